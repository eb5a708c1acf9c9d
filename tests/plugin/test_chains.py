"""A driver that jumps where no code is, or hands on a bad pointer, is named with the chain of its calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.journal import read_journal
from harness.report.records import Blame, Outcome, SectionKind, TestRecord

HERE = Path(__file__).parent / "black_box"
RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "--guest", "reference-local", "-p", "no:cacheprovider"]

CHAINS = {
    "null": ["Inner", "Middle", "PreCreate"],
    "wild": ["Inner", "Middle", "PreCreate"],
    "user": ["Inner", "Middle", "PreCreate"],
    "odd": ["Inner", "Middle", "PreCreate"],
    "pool": ["Inner", "Middle", "PreCreate"],
    "stack": ["Deep"],
    "dpc": ["PreCreate"],
    "argument": ["PreCreate"],
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestRecord]:
    """The records of the suite's tests, by how each loses its way."""
    directory = tmp_path_factory.mktemp("chains")
    words = [str(HERE / "stray_suite.py"), "--drivers", str(HERE / "drivers"), "--out", str(directory / "run")]
    done = subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return {record.name.partition("[")[2].rstrip("]"): record for record in read_journal(directory / "run")}


@pytest.mark.parametrize("how", CHAINS)
def test_the_driver_is_named(records: dict[str, TestRecord], how: str):
    record = records[how]

    assert (record.outcome, record.blame) == (Outcome.FAILED, Blame.DRIVER)
    assert "in driver fltlab-stray" in record.message


@pytest.mark.parametrize("how", CHAINS)
def test_its_calls_are_told_innermost_first_with_three_lines_of_source(records: dict[str, TestRecord], how: str):
    (where,) = (section.text for section in records[how].sections if section.kind is SectionKind.WHERE)

    lines = where.splitlines()
    found = [line.split()[1] for line in lines if line.startswith("fltlab-stray+0x")]
    assert found == CHAINS[how]
    assert [line.startswith("  > ") for line in lines].count(True) == len(found)
    assert len(lines) == 4 * len(found)


def test_the_place_is_the_call_and_not_where_it_returns_to(records: dict[str, TestRecord]):
    (where,) = (section.text for section in records["null"].sections if section.kind is SectionKind.WHERE)

    marked = [line.split(None, 2)[2].strip() for line in where.splitlines() if line.startswith("  > ")]
    assert marked == ["Routine();", "Inner(Routine);", "Middle(NULL);"]
