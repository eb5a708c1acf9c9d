"""Under how many schedules a test was tried, as every report says it."""

import json
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.report.journal import Journal, read_journal
from harness.report.junit import junit_xml
from harness.report.provenance import Provenance, write_run_json
from harness.report.records import Schedules, TestRecord
from harness.report.summary import summarise
from harness.report.table import held_or_failed

NONE: frozenset[str] = frozenset()


@pytest.fixture
def tried(records: list[TestRecord]) -> list[TestRecord]:
    """One test that held under 200 schedules, one that failed under the 17th, one that was not tried so."""
    held, failed, other, *_ = records
    return [replace(held, schedules=Schedules(200, 200)), replace(failed, schedules=Schedules(200, 17, (17,))), other]


@pytest.mark.parametrize(
    ("schedules", "said"),
    [
        (Schedules(200, 200), "held under 200 schedules"),
        (Schedules(1, 1), "held under 1 schedule"),
        (Schedules(200, 12), "held under 12 schedules, which is all that it has"),
        (Schedules(200, 17, (17,)), "failed under schedule 17 of 200"),
        (Schedules(40, 40, by_seeds=True), "held with 40 seeds"),
        (Schedules(40, 40, (3, 17), by_seeds=True), "failed with 2 of 40 seeds"),
    ],
)
def test_what_a_test_that_was_tried_says(schedules: Schedules, said: str):
    assert str(schedules) == said
    assert Schedules.from_json(json.loads(json.dumps(asdict(schedules)))) == schedules


def test_the_journal_keeps_it(tmp_path: Path, tried: list[TestRecord]):
    journal = Journal(tmp_path)
    for record in tried:
        journal.append(record)
    journal.close()

    assert read_journal(tmp_path) == tried


def test_the_terminal_counts_them_and_names_what_failed(tried: list[TestRecord]):
    assert held_or_failed(tried) == [
        "schedules: 217 tried; 1 tests held under each of theirs, 1 failed",
        f"  failed under schedule 17 of 200: {tried[1].nodeid}",
    ]
    assert held_or_failed(tried[2:]) == []


def test_junit_says_it_of_each_test_and_of_their_suite(provenance: Provenance, tried: list[TestRecord]):
    document = ET.fromstring(junit_xml(provenance, tried, NONE))
    (suite, *_) = document.findall("testsuite")
    said = [case.findtext("system-out") or "" for case in suite.findall("testcase")]
    properties = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}

    assert "schedules: held under 200 schedules" in said[0]
    assert "schedules: failed under schedule 17 of 200" in said[1]
    assert properties["schedules.tried"] == "217"
    assert (properties["schedules.held"], properties["schedules.failed"]) == ("1", "1")


def test_run_json_has_the_sums(tmp_path: Path, provenance: Provenance, tried: list[TestRecord]):
    data = json.loads(write_run_json(tmp_path, provenance, summarise(tried, NONE, 1.0)).read_text())

    assert data["summary"]["explored"] == {"schedules": {"tried": 217, "held": 1, "failed": 1}}
