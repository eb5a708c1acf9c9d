"""A test under many schedules: its race fails it, is told in the record, and the command that is told does it again."""

import shlex
import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import SectionKind, TestRecord
from harness.wire.trace import FILE_NAME, read_trace

SUITE = '''
import pytest

@pytest.fixture(autouse=True)
def two_files(volume):
    volume.file("a.bin", length=4096)
    volume.file("b.bin", length=4096)

@pytest.mark.stack("observer@above", "unlocked-list")
def test_two_creates(lab):
    io = lab.io("""
        spawn one open a V:\\\\a.bin access=rw
        open b V:\\\\b.bin access=rw
        wait one
    """)
    assert io.step("open", "b").status == 0
'''


HOLDS = """
import pytest

attempts = []

@pytest.mark.stack("observer")
def test_it_holds(lab):
    lab.io(r"open a V:\\a.bin access=rw disposition=open-if")
    attempts.append(1)
    lab.witness(len(attempts) == 2, "only the second attempt shows this")
    lab.witness(False, "none shows this")
"""


def run(folder: Path, *arguments: str, suite: str = SUITE, code: ExitCode = ExitCode.FAILED) -> TestRecord:
    (folder / "test_race.py").write_text(suite)
    command = [sys.executable, "-P", "-m", "harness.cli", "run", *arguments, "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    assert ran.returncode == code, ran.stdout + ran.stderr
    (record,) = read_journal(folder / arguments[-1])
    return record


def test_a_race_fails_its_test_and_the_command_that_is_told_repeats_it(tmp_path: Path):
    first = run(tmp_path, "test_race.py", "--guest", "reference-local", "--schedules", "bounded:40", "--out", "first")
    again = shlex.split(first.section(SectionKind.AGAIN))
    second = run(tmp_path, *again[2:], "--out", "second")

    assert "leak at unload" in first.message
    assert "is interrupted at Push unlocked_list.c:24" in first.section(SectionKind.SCHEDULE)
    assert (second.message, second.cause) == (first.message, first.cause)
    assert second.section(SectionKind.SCHEDULE).splitlines()[1:] == first.section(SectionKind.SCHEDULE).splitlines()[1:]


def test_what_any_schedule_witnessed_counts_and_the_trace_of_the_first_is_kept(tmp_path: Path):
    words = ("test_race.py", "--guest", "reference-local", "--schedules", "pct:3", "--out", "held")
    record = run(tmp_path, *words, suite=HOLDS, code=ExitCode.PASSED)

    assert record.schedules is not None
    assert record.schedules.tried > 1
    assert {witness.text: witness.seen for witness in record.witnesses} == {
        "only the second attempt shows this": True,
        "none shows this": False,
    }
    assert record.folder is not None
    trace = read_trace(tmp_path / "held" / record.folder / FILE_NAME)
    assert [io.number for io in trace.ios] == [1]
    assert any(operation.name == "a.bin" for operation in trace.operations)
