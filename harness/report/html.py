"""report.html: one page without any other file, with the callback timeline of each test and the matrix of rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord
from harness.report.summary import RuleVerdict, Summary, by_suite, rule_verdicts
from harness.report.timeline import HEADING, TimelineOperation, read_timeline
from harness.text import safe

FILE_NAME = "report.html"
_TIMELINE = re.compile(rf"^--- {HEADING}\n.*?(?=^--- |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class RuleText:
    """What the catalogue says about a rule, as far as the page shows it."""

    statement: str
    source: str
    address: str


@dataclass(frozen=True)
class Trouble:
    """What went wrong, and the tests in which it did: their places on the page and their names."""

    message: str
    tests: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class RuleRow:
    """One line of the matrix: the rule, and its verdict on each guest."""

    id: str
    text: RuleText | None
    verdicts: Mapping[str, RuleVerdict]


def write_html(
    directory: Path,
    provenance: Provenance,
    records: Sequence[TestRecord],
    summary: Summary,
    guarded: frozenset[str],
    rules: Mapping[str, RuleText],
) -> Path:
    """Write report.html of a run; `rules` is the catalogue, `guarded` as in `harness.report.summary`."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        run=provenance,
        summary=summary,
        suites=by_suite(records),
        guests=list(dict.fromkeys(record.guest for record in records)),
        matrix=_matrix(records, guarded, rules),
        troubles=_troubles(records),
        places=_places(records),
        timelines=_timelines(directory, records),
        explained=_explained,
    )
    path = directory / FILE_NAME
    path.write_text(safe(page, len(page)), encoding="utf-8")
    return path


def _matrix(records: Sequence[TestRecord], guarded: frozenset[str], rules: Mapping[str, RuleText]) -> list[RuleRow]:
    guests = list(dict.fromkeys(record.guest for record in records))
    by_guest = {
        guest: rule_verdicts([record for record in records if record.guest == guest], guarded) for guest in guests
    }
    named = [rule for rule in rules if any(rule in verdicts for verdicts in by_guest.values())]
    unknown = sorted({rule for verdicts in by_guest.values() for rule in verdicts} - set(named))
    return [
        RuleRow(
            id=rule,
            text=rules.get(rule),
            verdicts={guest: verdicts[rule] for guest, verdicts in by_guest.items() if rule in verdicts},
        )
        for rule in [*named, *unknown]
    ]


def _places(records: Sequence[TestRecord]) -> dict[str, str]:
    return {record.nodeid: f"test-{number}" for number, record in enumerate(records, start=1)}


def _troubles(records: Sequence[TestRecord]) -> list[Trouble]:
    """What went wrong, each with all the tests in which it did, in the order in which it came up."""
    places = _places(records)
    tests: dict[str, list[tuple[str, str]]] = {}
    for record in records:
        if record.outcome in {Outcome.FAILED, Outcome.ERROR}:
            tests.setdefault(record.message or record.outcome.value, []).append((places[record.nodeid], record.name))
    return [Trouble(message, names) for message, names in tests.items()]


def _explained(record: TestRecord, timeline: Sequence[TimelineOperation]) -> str:
    """What was printed of a failure, without the timeline if the page shows it anyway."""
    return _TIMELINE.sub("", record.details).strip() if timeline else record.details


def _timelines(directory: Path, records: Sequence[TestRecord]) -> dict[str, list[TimelineOperation]]:
    return {record.nodeid: read_timeline(directory / record.folder) for record in records if record.folder}
