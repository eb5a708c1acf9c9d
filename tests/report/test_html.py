"""report.html: what went wrong comes first, everything is said once, and the page needs nothing but itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.html import RuleText, write_html
from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord
from harness.report.summary import summarise
from harness.report.timeline import TimelineOperation, TimelineRow, write_timeline

ADDRESS = "https://docs.example/ifs/completing"
RULES = {"PRE-COMP-02": RuleText("The status is the one above sees.", "ifs/completing.md", ADDRESS)}
ROW = TimelineRow(3.1, "4:1288", "completion <370030>", "pre", "PASSIVE", "COMPLETE", "0xC0000022 ACCESS_DENIED")


@pytest.fixture
def page_of(tmp_path: Path, provenance: Provenance):
    """The page of a run with some records; the timeline is there of every test that has a folder."""

    def make(records: list[TestRecord]) -> str:
        for record in records:
            if record.folder:
                (tmp_path / record.folder).mkdir(parents=True, exist_ok=True)
                write_timeline(tmp_path / record.folder, [TimelineOperation("CREATE secret.txt (IRP)", (ROW,))])
        guarded: frozenset[str] = frozenset()
        return write_html(tmp_path, provenance, records, summarise(records, guarded, 9.0), guarded, RULES).read_text()

    return make


def test_the_page_shows_timelines_rules_and_the_notice(page_of, records: list[TestRecord]):
    page = page_of(records)

    assert "CREATE secret.txt (IRP)" in page
    assert "completion &lt;370030&gt;" in page
    assert "The status is the one above sees." in page
    assert "not of Windows" in page
    assert "<markup>" not in page


def test_the_page_loads_nothing_and_links_only_to_what_a_rule_says_and_to_its_own_files(page_of, records):
    page = page_of(records)

    assert re.findall(r"<link|<script|\bsrc=|@import|url\(", page) == []
    assert set(re.findall(r"https?://[^\"]+", page)) == {ADDRESS}
    assert set(re.findall(r'href="([^#"][^"]*)"', page)) == {ADDRESS, "tests/test_status"}


def test_what_went_wrong_is_said_once_with_the_tests_in_which_it_did(page_of, records: list[TestRecord]):
    failed = next(record for record in records if record.outcome is Outcome.FAILED)
    others = [replace(failed, nodeid=f"{failed.nodeid}[{n}]", name=f"{failed.name}[{n}]") for n in range(6)]

    page = page_of([*records, *others])

    wrong = page[page.index("What went wrong") : page.index("<h2>Suites")]
    assert wrong.count(failed.message) == 1
    assert wrong.index(failed.message) < wrong.index("never answered WinRM")
    assert "test_status[3]</a>" in wrong
    assert "test_status[4]</a>" not in wrong
    assert "and 2 more" in wrong
    for place in re.findall(r'href="#(test-\d+)"', wrong):
        assert page.count(f'<details id="{place}" open>') == 1


def test_a_run_in_which_nothing_went_wrong_says_nothing_of_it(page_of, records: list[TestRecord]):
    assert "What went wrong" not in page_of([record for record in records if record.outcome is Outcome.PASSED])


def test_a_timeline_that_the_page_shows_is_not_printed_above_it_again(page_of, records: list[TestRecord]):
    failed = next(record for record in records if record.outcome is Outcome.FAILED)
    told = "test.py:3: in test\n--- callback timeline\nCREATE again.txt (IRP)\n   0.0  4:1\n--- again\nfltlab run x"

    shown, unshown = (page_of([replace(failed, details=told, folder=folder)]) for folder in (failed.folder, None))

    assert "<pre>test.py:3: in test\n--- again\nfltlab run x</pre>" in shown
    assert "CREATE again.txt (IRP)" in unshown
