"""report.html: one page without any other file, with the callback timeline of each test and the matrix of rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.provenance import Provenance
from harness.report.records import TestRecord
from harness.report.summary import RuleVerdict, Summary, by_suite, rule_verdicts
from harness.report.timeline import TimelineOperation, read_timeline

FILE_NAME = "report.html"


@dataclass(frozen=True)
class RuleText:
    """What the catalogue says about a rule, as far as the page shows it."""

    statement: str
    source: str
    core: bool


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
        timelines=_timelines(directory, records),
    )
    path = directory / FILE_NAME
    path.write_text(page, encoding="utf-8")
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


def _timelines(directory: Path, records: Sequence[TestRecord]) -> dict[str, list[TimelineOperation]]:
    return {record.nodeid: read_timeline(directory / record.folder) for record in records if record.folder}
