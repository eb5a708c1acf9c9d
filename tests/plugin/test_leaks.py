"""What a driver has taken and not given back is a finding of the test that took it, with the call that did."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.journal import read_journal
from harness.report.records import Blame, Outcome, TestRecord

HERE = Path(__file__).parent / "black_box"
RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "--guest", "reference-local", "-p", "no:cacheprovider"]

KINDS = {
    "volume": "a reference to the volume V:",
    "instance": "a reference to the instance fltlab-forgetful",
    "filter": "a reference to the filter fltlab-forgetful",
    "context": "a reference to the STREAM context",
    "data": "a callback data structure held",
    "name": "a file name information held",
    "workitem": "a generic work item held",
    "device": "an object reference to a IoDeviceObjectType",
    "fileobject": "an object reference to a IoFileObjectType",
    "process": "an object reference to a Process",
    "threadobject": "an object reference to a Thread",
    "memory": "a 100-byte nonpaged pool block, tag 'Frgt'",
    "lookaside": "a lookaside list held",
    "resource": "an executive resource held",
    "timer": "the timer at",
    "thread": "of the driver has not ended",
    "callback": "a process notify routine held",
    "newdevice": "was never deleted (IoDeleteDevice)",
    "pages": "a locked MDL held",
    "client": "an impersonation held",
    "irp": "an allocated IRP held",
    "rundown": "a rundown protection held",
    "notifysync": "a NOTIFY_SYNC held",
    "registry": "a registry callback held",
    "link": r"a symbolic link \??\Forgetful held",
    "section": "an object reference to a MmSectionObjectType",
    "opened": "an object reference to a IoFileObjectType",
    "gotten": "a reference to the STREAM context",
    "handle": "a handle to a IoFileObjectType was never closed",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestRecord]:
    """The records of the suite's tests, by the kind that each is about."""
    directory = tmp_path_factory.mktemp("leaks")
    words = [str(HERE / "forgetful_suite.py"), "--drivers", str(HERE / "drivers"), "--out", str(directory / "run")]
    done = subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {record.name.partition("[")[2].rstrip("]"): record for record in read_journal(directory / "run")}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_is_a_finding_of_the_test_that_took_it(records: dict[str, TestRecord], kind: str):
    record = records[kind]

    assert (record.outcome, record.blame) == (Outcome.FAILED, Blame.DRIVER)
    assert "fltlab-forgetful" in record.message
    text = "\n".join(section.text for section in record.sections)
    assert KINDS[kind] in text
    assert "fltlab-forgetful+0x" in text
    assert not re.search(r"^ *at fltlab-forgetful", text, re.MULTILINE)  # "taken at" has said it
    assert "forgetful.c:" in text, "where it was taken has a line of source"


@pytest.mark.parametrize("innocent", ["before", "after"])
def test_other_tests_of_the_file_pass(records: dict[str, TestRecord], innocent: str):
    assert records[innocent].outcome is Outcome.PASSED


def test_of_a_context_that_is_got_several_times_the_call_is_told_that_was_one_too_many(records: dict[str, TestRecord]):
    (where,) = [section.text for section in records["gotten"].sections if section.kind == "where that is"]
    marked = next(line for line in where.splitlines() if line.lstrip().startswith(">"))

    assert "(VOID) FltGetStreamContext(" in marked
