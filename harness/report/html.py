"""report.html: one page without any other file, with the callback timeline of each test and the matrix of rules.

The page is the viewer (harness/report/viewer, TypeScript; its built file is part of the package) and the run's data:
one JSON document of the whole run, and one for each test's trace, compressed, so that a page with many events opens at
once and reads a trace when somebody looks at it.
"""

import base64
import gzip
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.history import FormerRun, former_runs
from harness.report.picture import picture_of
from harness.report.provenance import Provenance
from harness.report.records import Outcome, TestRecord
from harness.report.summary import Summary, rule_verdicts
from harness.report.troubles import Trouble, troubles
from harness.text import safe, safe_line
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import NotATraceError, read_trace

if TYPE_CHECKING:  # what they read images with is not for every run
    from harness.report.coverage.line_coverage import SourceFile
    from harness.report.coverage.measured import Measured

FILE_NAME = "report.html"
TRACES = 32 * 1024 * 1024
"""How many bytes of compressed traces a page takes; those of tests that did not pass come first."""
SOURCE = 1 << 20
"""How many characters of one file of source are in the page."""
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class RuleText:
    """What the catalogue says about a rule, as far as the page shows it."""

    statement: str
    source: str
    address: str
    area: str = ""
    kind: str = ""


def write_html(
    directory: Path,
    provenance: Provenance,
    records: Sequence[TestRecord],
    summary: Summary,
    guarded: frozenset[str],
    rules: Mapping[str, RuleText],
    coverage: "Measured | None" = None,
) -> Path:
    """Write report.html of a run; `rules` is the catalogue, `guarded` as in `harness.report.summary`."""
    path = directory / FILE_NAME
    traces, left_out = _traces(directory, records)
    former = former_runs(directory, provenance, records)
    document = {
        "format": 1,
        "run": _run(provenance),
        "summary": {**asdict(summary), "tests": summary.tests},
        "troubles": [_trouble(trouble) for trouble in troubles(records)],
        "rules": [{"id": rule, **asdict(text), "guarded": rule in guarded} for rule, text in rules.items()],
        "verdicts": _verdicts(records, guarded),
        "tests": [_test(record, number in traces, number in left_out) for number, record in enumerate(records)],
        "coverage": covered(coverage) if coverage is not None else None,
        "former": [_former(run, records) for run in former],
    }
    with path.open("w", encoding="utf-8") as page:
        page.writelines(_page(provenance, summary, records, document, traces))
    return path


def covered(measured: "Measured") -> dict[str, Any]:
    """What ran of the drivers' sources, with their text as far as it is at hand."""
    drivers = {name: [file.name for file in files] for name, files in measured.drivers.items()}
    return {
        "drivers": drivers,
        "without": measured.without,
        "suites": measured.suites,
        "files": [_source(file) for file in measured.files],
    }


def _source(file: "SourceFile") -> dict[str, Any]:
    text = file.path.read_text(encoding="utf-8", errors="replace") if file.path is not None else ""
    return {
        "name": safe_line(file.name),
        "lines": file.lines,
        "branches": file.branches,
        "hit": file.lines_hit,
        "ways": len(file.ways),
        "gone": file.ways_gone,
        "text": safe(text, SOURCE).split("\n"),
    }


def _page(
    provenance: Provenance,
    summary: Summary,
    records: Sequence[TestRecord],
    document: Mapping[str, Any],
    traces: Mapping[int, str],
) -> Iterator[str]:
    viewer = files("harness.report").joinpath("viewer", "dist")
    title = f"fltlab {html.escape(provenance.id)}"
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
    yield f"<style>\n{viewer.joinpath('viewer.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
    yield f'<div id="viewer">\n<noscript>{"".join(_plain(provenance, summary, records))}</noscript>\n</div>\n'
    yield f'<script type="text/plain" id="run">{packed(document)}</script>\n'
    for number, trace in traces.items():
        yield f'<script type="text/plain" id="trace-{number}">{trace}</script>\n'
    yield f"<script>\n{viewer.joinpath('viewer.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n"


def _plain(provenance: Provenance, summary: Summary, records: Sequence[TestRecord]) -> Iterator[str]:
    """The run in a few words, for a browser that runs no scripts."""
    yield f"<h1>fltlab run {html.escape(provenance.id)}</h1><p>{summary.tests} tests: {summary.passed} passed, "
    yield f"{summary.failed} failed, {summary.errors} errors, {summary.skipped} skipped, "
    yield f"{summary.not_witnessed} not witnessed, {summary.flaky} flaky. The rest of this page needs JavaScript.</p>"
    for trouble in troubles(records):
        message = trouble.first.message or trouble.first.outcome.value
        yield f"<p>{html.escape(safe(message))} ({len(trouble.tests)} tests)</p>"


def packed(document: object) -> str:
    """A JSON document, compressed with gzip and written in base64."""
    text = json.dumps(document, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, compresslevel=6, mtime=0)).decode("ascii")


def _traces(directory: Path, records: Sequence[TestRecord]) -> tuple[dict[int, str], set[int]]:
    """The pictures of the tests' traces by the tests' numbers, and the tests whose trace is not in the page."""
    found: dict[int, str] = {}
    left_out: set[int] = set()
    room = TRACES
    order = sorted(range(len(records)), key=lambda number: (records[number].outcome is Outcome.PASSED, number))
    for number in order:
        folder = records[number].folder
        if folder is None or not (directory / folder / TRACE).is_file():
            continue
        try:
            picture = packed(picture_of(read_trace(directory / folder / TRACE))) if room > 0 else ""
        except NotATraceError:
            picture = ""
        room -= len(picture)
        if picture and room > 0:
            found[number] = picture
        else:
            left_out.add(number)
    return dict(sorted(found.items())), left_out


def _run(provenance: Provenance) -> dict[str, Any]:
    data = asdict(provenance)
    data["guests"] = [{**asdict(facts), "notice": facts.notice} for facts in provenance.guests.values()]
    return data


def _test(record: TestRecord, has_trace: bool, left_out: bool) -> dict[str, Any]:
    data = record.to_json()
    for name in ("drivers", "guest_kind"):
        data.pop(name)
    said = str(record.schedules) if record.schedules else ""
    return {**data, "schedules": said, "trace": has_trace, "left_out": left_out}


def _trouble(trouble: Trouble) -> dict[str, Any]:
    first = trouble.first
    message = first.message or first.outcome.value
    return {"message": message, "rules": trouble.rules, "tests": trouble.numbers, "blame": first.blame}


def _verdicts(records: Sequence[TestRecord], guarded: frozenset[str]) -> dict[str, dict[str, Any]]:
    """By rule and guest: the verdict, the verdict of each suite, and the tests that name the rule or report it."""
    table: dict[str, dict[str, Any]] = {}
    for guest in dict.fromkeys(record.guest for record in records):
        mine = [(number, record) for number, record in enumerate(records) if record.guest == guest]
        for rule, verdict in rule_verdicts((record for _, record in mine), guarded).items():
            table.setdefault(rule, {})[guest] = {"verdict": verdict.value, "suites": {}, "tests": []}
        for suite in dict.fromkeys(record.suite for _, record in mine):
            of_suite = [record for _, record in mine if record.suite == suite]
            for rule, verdict in rule_verdicts(of_suite, guarded).items():
                table[rule][guest]["suites"][suite] = verdict.value
        for number, record in mine:
            for rule in dict.fromkeys((*record.rules, *record.violated)):
                table[rule][guest]["tests"].append(number)
    return table


def _former(run: FormerRun, records: Iterable[TestRecord]) -> dict[str, Any]:
    """A former run with what each test of this one came to in it, in this one's order; null where it was not run."""
    return {
        "id": run.id,
        "started": run.started,
        "tests": [list(run.tests[record.nodeid]) if record.nodeid in run.tests else None for record in records],
    }
