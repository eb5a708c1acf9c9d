"""junit.xml: the run as CI systems read it, one suite for each folder of suites and each guest.

A test that was *not witnessed* is `skipped` there, with what did not occur as its message: CI systems have no word for
"everything that must hold held, and what may happen did not".
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_string

from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord
from harness.report.summary import RuleVerdict, by_suite, rule_verdicts
from harness.text import safe_line

FILE_NAME = "junit.xml"


def write_junit(
    directory: Path, provenance: Provenance, records: Sequence[TestRecord], guarded: frozenset[str]
) -> Path:
    """Write junit.xml of a run; `guarded` as in `harness.report.summary`."""
    path = directory / FILE_NAME
    path.write_text(junit_xml(provenance, records, guarded), encoding="utf-8")
    return path


def junit_xml(provenance: Provenance, records: Sequence[TestRecord], guarded: frozenset[str]) -> str:
    """The text of junit.xml."""
    guests = list(dict.fromkeys(record.guest for record in records))
    suites = [
        _suite(name, guest, tests, provenance, guarded, several_guests=len(guests) > 1)
        for guest in guests
        for name, tests in by_suite(record for record in records if record.guest == guest).items()
    ]
    text: str = to_xml_report_string(suites, prettyprint=True, encoding="utf-8")
    return text


def _suite(
    name: str,
    guest: str,
    records: Sequence[TestRecord],
    provenance: Provenance,
    guarded: frozenset[str],
    *,
    several_guests: bool,
) -> TestSuite:
    return TestSuite(
        f"{name} ({guest})" if several_guests else name,
        [_case(record) for record in records],
        timestamp=provenance.started.split("+")[0],
        hostname="localhost",
        properties=_properties(guest, records, provenance, guarded),
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
        "rules.proven": " ".join(sorted(rule for rule, seen in verdicts.items() if seen is RuleVerdict.PROVEN)),
        "rules.failed": " ".join(sorted(rule for rule, seen in verdicts.items() if seen is RuleVerdict.FAILED)),
        "seed": "" if provenance.seed is None else str(provenance.seed),
        "mutants": " ".join(provenance.mutants),
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


def _case(record: TestRecord) -> TestCase:
    path, _, _ = record.nodeid.partition("::")
    case = TestCase(
        record.name,
        classname=safe_line(path.removesuffix(".py").replace("/", ".")),
        elapsed_sec=record.seconds,
        stdout=_what_it_was(record),
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
        case Outcome.PASSED:
            pass
    return case


def _what_it_was(record: TestRecord) -> str:
    lines = [
        f"rules: {' '.join(record.rules)}" if record.rules else "",
        f"stack: {', '.join(record.stack)}" if record.stack else "",
        *(f"{'witnessed' if witness.seen else 'not witnessed'}: {witness.text}" for witness in record.witnesses),
        f"files: {record.folder}" if record.folder else "",
    ]
    return "\n".join(line for line in lines if line)
