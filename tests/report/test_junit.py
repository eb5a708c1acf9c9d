"""junit.xml suits the CI systems that read it, and says where a verdict comes from."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import xmlschema
from junitparser import Failure, JUnitXml

from harness.report.junit import junit_xml, write_junit
from harness.report.provenance import MODEL_NOTICE, Provenance
from harness.report.records import Outcome, TestRecord

HERE = Path(__file__).parent
GUARDED = frozenset({"PRE-COMP-01", "PRE-COMP-02"})


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(HERE / "junit.xsd")


def test_the_file_of_a_run_with_every_outcome(provenance: Provenance, records: list[TestRecord], tmp_path: Path):
    path = write_junit(tmp_path, provenance, records, GUARDED)

    assert path.read_text() == (HERE / "golden" / "junit.xml").read_text()


def test_the_schema_takes_it(schema: xmlschema.XMLSchema, provenance: Provenance, records: list[TestRecord]):
    schema.validate(junit_xml(provenance, records, GUARDED))


def test_the_schema_takes_a_run_without_tests(schema: xmlschema.XMLSchema, provenance: Provenance):
    schema.validate(junit_xml(provenance, [], GUARDED))


def test_the_schema_refuses_what_is_not_junit(schema: xmlschema.XMLSchema):
    assert not schema.is_valid('<testsuites tests="1" failures="0" errors="0"><test name="x"/></testsuites>')


def test_failures_and_errors_are_told_apart(provenance: Provenance, records: list[TestRecord]):
    document = ET.fromstring(junit_xml(provenance, records, GUARDED))
    cases = {case.get("name"): [child.tag for child in case] for case in document.iter("testcase")}

    assert cases["test_status"][0] == "failure"
    assert cases["test_lost"][0] == "error"
    assert cases["test_a_post_may_run_at_dispatch"][0] == "skipped"
    assert document.attrib == {"errors": "1", "failures": "1", "tests": "5", "time": "0.875"}


def test_the_properties_say_which_guest_and_which_driver_it_was(provenance: Provenance, records: list[TestRecord]):
    document = ET.fromstring(junit_xml(provenance, records, GUARDED))
    properties = {item.get("name"): item.get("value") for item in document.findall("testsuite[1]/properties/property")}

    assert properties["guest.kind"] == "reference"
    assert properties["guest.notice"] == MODEL_NOTICE
    assert properties["image.sha256"] == "ab" * 32
    assert properties["qemu.version"] == "7.2.22"
    assert properties["accelerator"] == "tcg"
    assert properties["driver.completion.sha256"] == "cd" * 32
    assert properties["rules.proven"] == "PRE-COMP-01"
    assert properties["rules.failed"] == "PRE-COMP-02"


def test_the_schema_refuses_what_jenkins_refuses(schema: xmlschema.XMLSchema, provenance, records):
    text = junit_xml(provenance, records, GUARDED)

    assert not schema.is_valid(text.replace("<testsuite ", '<testsuite disabled="0" '))
    assert not schema.is_valid(text.replace('time="0.250"', 'time="0.2500001"'))


def test_a_suite_names_its_file_and_every_file_has_a_suite(provenance: Provenance, records: list[TestRecord]):
    other = replace(records[0], nodeid="suites/completion/test_more.py::test_x", name="test_x")
    document = ET.fromstring(junit_xml(provenance, [*records, other], GUARDED))

    assert [(suite.get("name"), suite.get("file")) for suite in document] == [
        ("completion", "suites/completion/test_completion.py"),
        ("completion", "suites/completion/test_more.py"),
        ("irql", "suites/irql/test_irql.py"),
    ]


def test_other_readers_understand_it(provenance: Provenance, records: list[TestRecord]):
    suites = list(JUnitXml.fromstring(junit_xml(provenance, records, GUARDED).encode()))

    assert [(suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites] == [
        ("completion", 2, 1, 0, 0),
        ("irql", 3, 0, 1, 2),
    ]
    assert [type(result) for result in next(case for case in suites[0] if case.name == "test_status").result] == [
        Failure
    ]


def test_the_files_of_a_test_that_did_not_pass_are_attached_pictures_first(provenance, records, tmp_path: Path):
    run = tmp_path / "runs" / "1"
    for record in (records[0], records[1]):
        folder = run / (record.folder or "tests/passed")
        (folder / "guest").mkdir(parents=True)
        for name in ("trace.jsonl", "guest/screen.png", "guest/MEMORY.DMP"):
            (folder / name).write_bytes(b"x")
    passed = replace(records[0], folder="tests/passed")

    document = ET.fromstring(
        junit_xml(replace(provenance, directory=str(tmp_path)), [passed, *records[1:]], GUARDED, run)
    )

    said = {case.get("name"): case.findtext("system-out", "").splitlines() for case in document.iter("testcase")}
    assert [line for line in said["test_status"] if "ATTACHMENT" in line] == [
        "[[ATTACHMENT|runs/1/tests/test_status/guest/screen.png]]",
        "[[ATTACHMENT|runs/1/tests/test_status/trace.jsonl]]",
    ]
    assert "ATTACHMENT" not in "".join(said[passed.name])


def test_suites_of_two_guests_stay_apart(provenance: Provenance, records: list[TestRecord]):
    other = [replace(record, guest="windows-11", guest_kind="windows") for record in records]
    document = ET.fromstring(junit_xml(provenance, [*records, *other], GUARDED))

    assert [suite.get("name") for suite in document] == [
        "completion (reference)",
        "irql (reference)",
        "completion (windows-11)",
        "irql (windows-11)",
    ]


def test_a_flaky_test_is_skipped_with_what_failed_at_first(schema, provenance: Provenance, records: list[TestRecord]):
    flaky = replace(records[0], outcome=Outcome.FLAKY, message="passed on a fresh guest; failed before")

    text = junit_xml(provenance, [flaky], GUARDED)

    schema.validate(text)
    skipped = ET.fromstring(text).find("testsuite/testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "flaky: passed on a fresh guest; failed before"
