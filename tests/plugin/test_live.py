"""What a person at a terminal sees of a run while it goes: a line that lives, and what stays above it."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plugin.live_line import CLEAR, LiveLine

ROOT = Path(__file__).resolve().parents[2]
SECONDS = r"(\d+ min )?[\d.]+ s"
TESTS = """
import time
from pathlib import Path
import pytest
from harness.fleet.progress import say

@pytest.fixture(scope="module")
def slow():
    say("unpacking something")
    while not Path("seen").exists():  # at the terminal
        time.sleep(0.05)

def test_of_a_user(slow):
    print("of the test")

def test_that_fails():
    assert False
"""


def at_a_terminal(directory: Path, *words: str) -> str:
    """What `fltlab run` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "FLTLAB_HOME": str(directory / "home")}
    command = [sys.executable, "-P", "-m", "harness.cli", "run", "test_user.py", "--out", "run", *words]
    with subprocess.Popen(command, cwd=directory, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            told += piece
            if b"unpacking something, " in told:
                (directory / "seen").touch()
        process.wait()
    os.close(ours)
    return told.decode()


def test_the_line_has_counts_and_what_is_waited_for_and_leaves_the_parts_that_are_done(tmp_path: Path):
    (tmp_path / "test_user.py").write_text(TESTS)

    told = at_a_terminal(tmp_path)

    assert told.startswith("fltlab: starting …\r")
    lines = [piece.partition("\r\n")[0] for piece in told.split(CLEAR)]
    assert any(re.match(rf"\[0/2\]  reference  unpacking something, {SECONDS}$", line) for line in lines), lines
    assert max(len(line) for line in lines if line.startswith("[")) < 80
    stays = re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert re.search(rf"fltlab: unpacking something: done in {SECONDS}\r\n", stays)
    assert "FAILED test_user.py::test_that_fails\r\n" in stays
    assert re.search(rf"test_user\.py  1 passed, 1 failed  {SECONDS}\r\n", stays)
    assert "1 failed, 1 passed in" in stays
    assert "of the test" not in stays.partition("what went wrong")[0]


def test_without_a_terminal_and_with_q_there_is_no_line(tmp_path: Path, pytester: pytest.Pytester):
    (tmp_path / "test_user.py").write_text("def test_of_a_user(): pass")

    assert CLEAR not in at_a_terminal(tmp_path, "-q")


def test_what_others_write_stands_above_the_line(tmp_path: Path):
    with (tmp_path / "terminal").open("w") as terminal:
        line = LiveLine(terminal)
        line.show("first")
        line.show("first")
        line.file.write("of pytest\n")
        line.show("second" * 40)
        line.file.write("begun")
        line.show("not in the middle of a line")
        line.file.write(", ended\n")
        line.close()
        line.show("no more")

    told = (tmp_path / "terminal").read_bytes().decode()
    assert told == (f"{CLEAR}first{CLEAR}of pytest\n{CLEAR}{('second' * 40)[:78]}…{CLEAR}begun, ended\n")
