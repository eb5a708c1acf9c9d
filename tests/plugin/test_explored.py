"""A test under many schedules: its race fails it, is told in the record, and the command that is told does it again."""

import shlex
import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import SectionKind, TestRecord

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


def run(folder: Path, *arguments: str) -> TestRecord:
    (folder / "test_race.py").write_text(SUITE)
    command = [sys.executable, "-P", "-m", "harness.cli", "run", *arguments, "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    assert ran.returncode == ExitCode.FAILED, ran.stdout + ran.stderr
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
