"""What a callback keeps or stores that it must not is a finding that names the driver, and the call."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.journal import read_journal
from harness.report.records import Blame, Outcome, TestRecord

HERE = Path(__file__).parent / "black_box"
RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "--guest", "reference-local", "-p", "no:cacheprovider"]

FINDINGS = {
    "critical": "its preoperation callback has returned inside a critical region, entered at fltlab-keeper+0x",
    "guarded": "its preoperation callback has returned inside a guarded region, entered at fltlab-keeper+0x",
    "resource": "has returned with the executive resource at 0x",
    "pushlock": "has returned with the push lock at 0x",
    "mutex": "its preoperation callback has returned inside a guarded region, entered at fltlab-keeper+0x",
    "interrupts": "its preoperation callback has returned with interrupts disabled: _enable",
    "tag": "tag 'Keep', of fltlab-keeper is freed with tag 'Oher'",
    "stack": "its preoperation callback has left less than 4096 of",
    "complete": "stored 513 in IoStatus.Information, and the buffer has 512 bytes",
    "beyond": "stored 100000 in IoStatus.Information, and the buffer has 512 bytes",
    "teardown": "its InstanceTeardownComplete callback has returned inside a critical region, entered at",
    "control": "FILE_SYSTEM_CONTROL \\control (IRP): stored 513 in IoStatus.Information, and the buffer has 512 bytes",
    "dereferences": "dereferenced the IoFileObjectType at 0x",
    "late": "its postoperation callback has returned inside a critical region, entered at fltlab-keeper+0x",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestRecord]:
    """The records of the suite's tests, by what the driver keeps."""
    directory = tmp_path_factory.mktemp("kept")
    words = [str(HERE / "keeper_suite.py"), "--drivers", str(HERE / "drivers"), "--out", str(directory / "run")]
    done = subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {record.name.partition("[")[2].rstrip("]"): record for record in read_journal(directory / "run")}


@pytest.mark.parametrize("what", FINDINGS)
def test_it_is_a_finding(records: dict[str, TestRecord], what: str):
    record = records[what]

    assert (record.outcome, record.blame) == (Outcome.FAILED, Blame.DRIVER)
    assert "fltlab-keeper" in record.message
    assert FINDINGS[what] in "\n".join(section.text for section in record.sections)


@pytest.mark.parametrize("what", ["leaves", "disables", "references"])
def test_what_is_put_right_again_is_none(records: dict[str, TestRecord], what: str):
    assert records[what].outcome is Outcome.PASSED
