"""A small run with every outcome, which the report's tests show in every form."""

import pytest

from harness.report.provenance import GuestFacts, Provenance
from harness.report.records import Blame, Outcome, Section, SectionKind, TestRecord, Witness


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        id="20261123-081500-7f3a",
        started="2026-11-23T08:15:00+00:00",
        finished="2026-11-23T08:15:09+00:00",
        command=("fltlab", "run"),
        versions={"fltlab": "0.1.0", "commit": "0123456789ab", "python": "3.11.2"},
        host={"system": "Linux", "cores": "2"},
        options={"guest": ["reference"]},
        seed=7,
        guests={"reference": GuestFacts("reference", "reference", "ab" * 32, "7.2.22", "tcg")},
        drivers={"completion": "cd" * 32},
    )


@pytest.fixture
def records() -> list[TestRecord]:
    return [
        TestRecord(
            nodeid="suites/completion/test_completion.py::test_a_completed_create_goes_no_further_down",
            outcome=Outcome.PASSED,
            seconds=0.25,
            suite="completion",
            name="test_a_completed_create_goes_no_further_down",
            guest="reference",
            guest_kind="reference",
            rules=("PRE-COMP-01", "PRE-COMP-03"),
            stack=("observer@above", "completion", "observer@below"),
            drivers={"completion": "cd" * 32},
        ),
        TestRecord(
            nodeid="suites/completion/test_completion.py::test_status",
            outcome=Outcome.FAILED,
            seconds=0.5,
            suite="completion",
            name="test_status",
            guest="reference",
            guest_kind="reference",
            rules=("PRE-COMP-02",),
            message="0xC0000001 UNSUCCESSFUL is not 0xC0000022 ACCESS_DENIED",
            sections=(Section(SectionKind.FAILURE, "a \x00 bell \x07, <markup> & a ]]> in one text"),),
            blame=Blame.ASSERTION,
            cause="UNSUCCESSFUL at test_completion.py:9",
            folder="tests/test_status",
        ),
        TestRecord(
            nodeid="suites/irql/test_irql.py::test_a_post_may_run_at_dispatch",
            outcome=Outcome.NOT_WITNESSED,
            seconds=0.125,
            suite="irql",
            name="test_a_post_may_run_at_dispatch",
            guest="reference",
            guest_kind="reference",
            rules=("IRQL-05",),
            witnesses=(Witness("a post ran at DISPATCH_LEVEL", seen=False), Witness("a read completed", seen=True)),
        ),
        TestRecord(
            nodeid="suites/irql/test_irql.py::test_lost",
            outcome=Outcome.ERROR,
            seconds=0.0,
            suite="irql",
            name="test_lost",
            guest="reference",
            guest_kind="reference",
            rules=("IRQL-01",),
            message="the guest 'reference' never answered WinRM",
            sections=(Section(SectionKind.FAILURE, "last seen: connection refused"),),
            blame=Blame.OTHER,
            cause="the guest 'reference' never answered WinRM",
        ),
        TestRecord(
            nodeid="suites/irql/test_irql.py::test_left_out",
            outcome=Outcome.SKIPPED,
            seconds=0.0,
            suite="irql",
            name="test_left_out",
            guest="reference",
            guest_kind="reference",
            rules=("IRQL-02",),
            message="needs Windows 11",
        ),
    ]
