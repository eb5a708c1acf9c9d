"""Where two guests disagree, test by test and rule by rule: two runs, or two guests of one run.

They *disagree* about a test that passed on one and failed on the other. What one has seen and the other has not (*not
witnessed*), and what one has no answer to (an error, a skip, a test it did not run), is told apart from that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import ConfigurationError
from harness.minifilter.recording import Recording, observe
from harness.minifilter.tracing import probe_result
from harness.report.journal import read_journal
from harness.report.provenance import read_run_json
from harness.report.records import Outcome, TestRecord
from harness.report.resume import find_run
from harness.wire.trace import FILE_NAME, NotATraceError, read_trace


@dataclass(frozen=True)
class Side:
    """One guest of one run, with its results by test. `facts` say what the guest was."""

    run: Path
    run_id: str
    guest: str
    kind: str
    records: Mapping[str, TestRecord]
    facts: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.guest} of {self.run_id}"


class Difference(StrEnum):
    """How two guests differ about a test or a rule."""

    DISAGREE = "disagree"
    SEEN_ONCE = "seen on one only"
    UNANSWERED = "no answer from one"


@dataclass(frozen=True)
class TestDifference:
    """A test that did not end alike. An outcome is None where the test was not run."""

    __test__ = False

    test: str
    rules: tuple[str, ...]
    difference: Difference
    outcomes: tuple[Outcome | None, Outcome | None]
    messages: tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two sides, how many tests both ran, and where they differ."""

    sides: tuple[Side, Side]
    compared: int
    tests: tuple[TestDifference, ...]

    @property
    def disagreements(self) -> tuple[TestDifference, ...]:
        """The tests that passed on one side and failed on the other."""
        return tuple(item for item in self.tests if item.difference is Difference.DISAGREE)

    @property
    def rules(self) -> dict[str, list[TestDifference]]:
        """The differences of each rule; what is of no rule is under an empty name."""
        found: dict[str, list[TestDifference]] = {}
        for item in self.tests:
            for rule in item.rules or ("",):
                found.setdefault(rule, []).append(item)
        return dict(sorted(found.items()))


def find_sides(first: str, second: str | None, directory: Path) -> tuple[Side, Side]:
    """The two sides of a comparison; each is a run or `RUN:GUEST`, and one run with two guests is enough."""
    sides = _sides(first, directory) + (_sides(second, directory) if second else [])
    if len(sides) != 2:
        raise ConfigurationError(
            f"two guests are compared, and that names {len(sides)}",
            details=tuple(str(side) for side in sides),
            hint="RUN:GUEST chooses one guest of a run",
        )
    return sides[0], sides[1]


def compare(first: Side, second: Side) -> Comparison:
    """Hold two guests against each other; tests in the order of the first side, then what only the second has."""
    names = list(dict.fromkeys([*first.records, *second.records]))
    both = [name for name in names if name in first.records and name in second.records]
    if not both:
        raise ConfigurationError(
            "the two have no test in common",
            details=(f"{first}: {len(first.records)} tests", f"{second}: {len(second.records)} tests"),
        )
    found = (_difference(name, first.records.get(name), second.records.get(name)) for name in names)
    return Comparison((first, second), len(both), tuple(item for item in found if item is not None))


def save_recordings(comparison: Comparison, folder: Path) -> tuple[list[Path], list[str]]:
    """Save each disagreement as a recording of the Windows side (else of the second); also what could not be."""
    first, second = comparison.sides
    witness, other = (first, second) if first.kind == "windows" != second.kind else (second, first)
    saved, missing = [], []
    for item in comparison.disagreements:
        record, theirs = witness.records[item.test], other.records[item.test]
        said = theirs.message or record.message
        why = f"{record.outcome.value} on {witness}, {theirs.outcome.value} on {other}: {said}"
        try:
            recording = recording_of(witness, record, why)
        except ConfigurationError as error:
            missing.append(f"{item.test}: {error.message}")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{Path(record.folder or item.test).name}.json"
        path.write_text(recording.to_json(), encoding="utf-8")
        saved.append(path)
    return saved, missing


def recording_of(side: Side, record: TestRecord, why: str) -> Recording:
    """The recording of one test, from the files that its run has kept; ConfigurationError if it kept none."""
    if record.folder is None or not (side.run / record.folder / FILE_NAME).is_file():
        raise ConfigurationError(f"the run of {side} has no trace of it")
    try:
        trace = read_trace(side.run / record.folder / FILE_NAME)
    except NotATraceError as error:
        raise ConfigurationError(str(error)) from error
    stack = tuple(f"{item.driver}@{item.label}#{item.altitude}" for item in trace.minifilters)
    options = {item.label: item.options for item in trace.minifilters}
    io = tuple(observe(io.script, probe_result(trace, io)) for io in trace.ios)
    return Recording(_name(record), record.rules, stack, options, io, dict(side.facts), why)


def _sides(name: str, directory: Path) -> list[Side]:
    path, _, guest = name.partition(":")
    run = find_run(path, directory)
    provenance = read_run_json(run)
    records = read_journal(run)
    guests = list(dict.fromkeys(record.guest for record in records if record.guest))
    if guest and guest not in guests:
        raise ConfigurationError(f"the run {path} has no guest {guest!r}", details=(f"guests: {', '.join(guests)}",))
    sides = []
    for chosen in [guest] if guest else guests:
        facts = provenance.guests.get(chosen)
        known = {"run": provenance.id, "guest": chosen}
        if facts is not None:
            known |= {"kind": facts.kind, "image_sha256": facts.image_sha256, **facts.details}
        mine = {_name(record): record for record in records if record.guest == chosen}
        sides.append(Side(run, provenance.id, chosen, known.get("kind", ""), mine, known))
    return sides


def _name(record: TestRecord) -> str:
    """A test's name without the guest, which pytest puts into the brackets where a run has several."""
    path, bracket, parameters = record.nodeid.partition("[")
    if not bracket:
        return path
    inside = parameters.removesuffix("]")
    if inside == record.guest:
        return path
    for kept in (inside.removeprefix(f"{record.guest}-"), inside.removesuffix(f"-{record.guest}")):
        if kept != inside:
            return f"{path}[{kept}]"
    return record.nodeid


def _difference(name: str, first: TestRecord | None, second: TestRecord | None) -> TestDifference | None:
    one, two = first.outcome if first else None, second.outcome if second else None
    if one is two:
        return None
    outcomes = {one, two}
    if outcomes <= {Outcome.PASSED, Outcome.FAILED} or outcomes in (
        {Outcome.FAILED, Outcome.NOT_WITNESSED},
        {Outcome.FAILED, Outcome.FLAKY},
    ):
        kind = Difference.DISAGREE
    elif outcomes in ({Outcome.PASSED, Outcome.NOT_WITNESSED}, {Outcome.PASSED, Outcome.FLAKY}):
        kind = Difference.SEEN_ONCE
    else:
        kind = Difference.UNANSWERED
    records: Sequence[TestRecord] = [record for record in (first, second) if record is not None]
    messages = (first.message if first else "not run", second.message if second else "not run")
    return TestDifference(name, records[0].rules, kind, (one, two), messages)
