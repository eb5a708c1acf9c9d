"""junit.xml: the run as CI systems read it, one suite for each test file and each guest.

A test that was *not witnessed* or *flaky* is `skipped` there, with what did not occur, or failed at first, as its
message: CI systems have no word for "everything that must hold held, and what may happen did not".

The file suits the schema of Jenkins' xUnit plugin (junit-10.xsd), the strictest of them: `file` stands on the suite,
because a test case has none there. The files of a test that did not pass are attached as `[[ATTACHMENT|path]]`, which
Jenkins, GitLab and Azure Pipelines read; the path is below the directory in which the run was started, if it is there.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_string

from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord
from harness.report.summary import RuleVerdict, by_suite, explored, rule_verdicts
from harness.text import safe_line

FILE_NAME = "junit.xml"
ATTACHMENTS = 12
"""How many files of a test are attached, at most."""
_PICTURES_FIRST = (".png", ".jsonl", ".txt", ".log", ".json")


def write_junit(
    directory: Path, provenance: Provenance, records: Sequence[TestRecord], guarded: frozenset[str]
) -> Path:
    """Write junit.xml of a run; `guarded` as in `harness.report.summary`."""
    path = directory / FILE_NAME
    path.write_text(junit_xml(provenance, records, guarded, directory), encoding="utf-8")
    return path


def junit_xml(
    provenance: Provenance, records: Sequence[TestRecord], guarded: frozenset[str], directory: Path | None = None
) -> str:
    """The text of junit.xml; what is in `directory` of the tests' files is attached."""
    guests = list(dict.fromkeys(record.guest for record in records))
    suites = [
        _suite(name, guest, tests, provenance, guarded, several_guests=len(guests) > 1, directory=directory)
        for guest in guests
        for name, of_suite in by_suite(record for record in records if record.guest == guest).items()
        for tests in _by_file(of_suite)
    ]
    return _strict(to_xml_report_string(suites, prettyprint=False))


def _by_file(records: Iterable[TestRecord]) -> Iterator[list[TestRecord]]:
    files: dict[str, list[TestRecord]] = {}
    for record in records:
        files.setdefault(_file(record), []).append(record)
    yield from files.values()


def _file(record: TestRecord) -> str:
    return safe_line(record.nodeid.partition("::")[0])


def _strict(text: str) -> str:
    """Without the attributes that the schema does not know, and with times that have three decimals."""
    root = ET.fromstring(text)  # noqa: S314 (it was written here)
    for element in root.iter():
        element.attrib.pop("disabled", None)
        if "time" in element.attrib:
            element.set("time", f"{float(element.attrib['time']):.3f}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(
    name: str,
    guest: str,
    records: Sequence[TestRecord],
    provenance: Provenance,
    guarded: frozenset[str],
    *,
    several_guests: bool,
    directory: Path | None,
) -> TestSuite:
    return TestSuite(
        f"{name} ({guest})" if several_guests else name,
        [_case(record, provenance, directory) for record in records],
        timestamp=provenance.started.split("+")[0],
        hostname="localhost",
        properties=_properties(guest, records, provenance, guarded),
        file=_file(records[0]),
    )


def _properties(
    guest: str, records: Iterable[TestRecord], provenance: Provenance, guarded: frozenset[str]
) -> dict[str, str]:
    records = list(records)
    verdicts = rule_verdicts(records, guarded)
    properties = {
        "run": provenance.id,
        "fltlab": provenance.versions.get("fltlab", ""),
        "commit": provenance.versions.get("commit", ""),
        "guest": guest,
        **{
            f"rules.{word.value.replace(' ', '_')}": " ".join(
                sorted(rule for rule, verdict in verdicts.items() if verdict is word)
            )
            for word in RuleVerdict
        },
        "seed": "" if provenance.seed is None else str(provenance.seed),
        "mutants": " ".join(provenance.mutants),
        **{f"{unit}.{name}": str(count) for unit, each in explored(records).items() for name, count in each.items()},
    }
    facts = provenance.guests.get(guest)
    if facts:
        properties |= {
            "guest.kind": facts.kind,
            "guest.notice": facts.notice,
            "image.sha256": facts.image_sha256,
            "qemu.version": facts.qemu,
            "accelerator": facts.accelerator,
        }
    used = {name: digest for record in records for name, digest in record.drivers.items()}
    properties |= {f"driver.{name}.sha256": digest for name, digest in sorted(used.items())}
    return {name: safe_line(value) for name, value in properties.items() if value}


def _case(record: TestRecord, provenance: Provenance, directory: Path | None) -> TestCase:
    case = TestCase(
        record.name,
        classname=_file(record).removesuffix(".py").replace("/", "."),
        elapsed_sec=record.seconds,
        stdout="\n".join([*_what_it_was(record), *_attachments(record, provenance, directory)]),
    )
    match record.outcome:
        case Outcome.FAILED:
            case.add_failure_info(message=record.message or "failed", output=record.details)
        case Outcome.ERROR:
            case.add_error_info(message=record.message or "error", output=record.details)
        case Outcome.SKIPPED:
            case.add_skipped_info(message=record.message or "skipped")
        case Outcome.NOT_WITNESSED:
            unseen = "; ".join(witness.text for witness in record.witnesses if not witness.seen)
            case.add_skipped_info(message=f"not witnessed: {unseen}")
        case Outcome.FLAKY:
            case.add_skipped_info(message=f"flaky: {record.message}")
        case Outcome.PASSED:
            pass
    return case


def _what_it_was(record: TestRecord) -> Iterator[str]:
    if record.rules:
        yield f"rules: {' '.join(record.rules)}"
    if record.violated:
        yield f"violated: {' '.join(record.violated)}"
    if record.stack:
        yield f"stack: {', '.join(record.stack)}"
    for witness in record.witnesses:
        yield f"{'witnessed' if witness.seen else 'not witnessed'}: {witness.text}"
    if record.schedules:
        yield f"schedules: {record.schedules}"
    if record.folder:
        yield f"files: {record.folder}"


def _attachments(record: TestRecord, provenance: Provenance, directory: Path | None) -> Iterator[str]:
    """A line for each file of a test that did not pass, pictures first."""
    if directory is None or record.folder is None or record.outcome is Outcome.PASSED:
        return
    found = sorted(
        (path for path in (directory / record.folder).rglob("*") if path.suffix in _PICTURES_FIRST),
        key=lambda path: (_PICTURES_FIRST.index(path.suffix), str(path)),
    )
    for path in found[:ATTACHMENTS]:
        whole = path.resolve()
        started_in = Path(provenance.directory or "/")
        below = provenance.directory and whole.is_relative_to(started_in)
        yield f"[[ATTACHMENT|{whole.relative_to(started_in) if below else whole}]]"
