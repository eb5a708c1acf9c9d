"""A structure that a driver has destroyed and gives back to the system is its verdict: nobody else's, and no error."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.journal import read_journal
from harness.report.records import Blame, Outcome, TestRecord

HERE = Path(__file__).parent / "black_box"
RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "--guest", "reference-local", "-p", "no:cacheprovider"]

SAID = {
    "data": "PARM-04 violated: fltlab-vandal READ",
    "iopb-pointer": "changed what of the callback data is the filter manager's",
    "iopb": "PARM-04 violated: fltlab-vandal READ",
    "file-wild": "PARM-06 violated: fltlab-vandal READ",
    "related": "changed what of FltObjects is the filter manager's",
    "in-post": "changed what of the callback data is the filter manager's",
    "mdl-destroyed": "bug check MEMORY_MANAGEMENT (0x1A) in driver fltlab-vandal",
    "mdl-overrun": "bug check BAD_POOL_HEADER (0x19) in driver fltlab-vandal",
    "mdl-freed": "BUF-01 violated: fltlab-vandal READ",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestRecord]:
    """The records of the suite's tests, by what the driver destroys."""
    directory = tmp_path_factory.mktemp("destroyed")
    words = [str(HERE / "vandal_suite.py"), "--drivers", str(HERE / "drivers"), "--out", str(directory / "run")]
    done = subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {record.name.partition("[")[2].rstrip("]"): record for record in read_journal(directory / "run")}


@pytest.mark.parametrize("what", SAID)
def test_the_driver_is_blamed(records: dict[str, TestRecord], what: str):
    record = records[what]

    assert (record.outcome, record.blame) == (Outcome.FAILED, Blame.DRIVER)
    assert SAID[what] in record.message


def test_the_driver_that_destroys_nothing_is_not(records: dict[str, TestRecord]):
    assert records["nothing"].outcome is Outcome.PASSED
