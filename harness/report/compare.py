"""Where guests disagree, test by test and rule by rule: of two runs, or of one.

They *disagree* about a test that passed on one and failed on another. What one has seen and another has not (*not
witnessed*), and what one has no answer to (an error, a skip, a test it did not run), is told apart from that.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    """How guests differ about a test or a rule."""

    DISAGREE = "disagree"
    NOT_SEEN = "not seen on all"
    UNANSWERED = "no answer from all"


_WORST_FIRST = (
    *(Outcome.FAILED, Outcome.ERROR, None, Outcome.SKIPPED, Outcome.FLAKY, Outcome.NOT_WITNESSED, Outcome.PASSED),
)
"""What of several tests decides about their rule; None: a test that was not run."""


@dataclass(frozen=True)
class TestDifference:
    """A test that did not end alike. An outcome is None where the test was not run."""

    __test__ = False

    test: str
    rules: tuple[str, ...]
    difference: Difference
    outcomes: tuple[Outcome | None, ...]
    """By side, and so are the messages."""
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two sides or more, how many tests all of them ran, and where they differ."""

    sides: tuple[Side, ...]
    compared: int
    tests: tuple[TestDifference, ...]

    @property
    def disagreements(self) -> tuple[TestDifference, ...]:
        """The tests that passed on one side and failed on another."""
        return tuple(item for item in self.tests if item.difference is Difference.DISAGREE)

    @property
    def table(self) -> dict[str, tuple[Outcome | None, ...]]:
        """How each rule ended on each side: as the worst of its tests; None if one of them was not run there."""
        tests: dict[str, set[str]] = {}
        for record in (record for side in self.sides for record in side.records.items()):
            for rule in record[1].rules:
                tests.setdefault(rule, set()).add(record[0])
        return {rule: tuple(_worst(side, names) for side in self.sides) for rule, names in sorted(tests.items())}

    @property
    def rules(self) -> dict[str, list[TestDifference]]:
        """The differences of each rule; what is of no rule is under an empty name."""
        found: dict[str, list[TestDifference]] = {}
        for item in self.tests:
            for rule in item.rules or ("",):
                found.setdefault(rule, []).append(item)
        return dict(sorted(found.items()))


def find_sides(runs: Sequence[str], directory: Path) -> list[Side]:
    """The sides of a comparison: each word is a run, with all of its guests, or `RUN:GUEST`; two sides at least."""
    sides = [side for run in runs for side in _sides(run, directory)]
    if len(sides) < 2:
        raise ConfigurationError(
            f"guests are compared with each other, and that names {len(sides)}",
            details=tuple(str(side) for side in sides),
            hint="name a second run, or RUN:GUEST of one",
        )
    return sides


def compare(sides: Sequence[Side]) -> Comparison:
    """Hold guests against each other; tests in the order of the first side, then what only others have."""
    names = list(dict.fromkeys(name for side in sides for name in side.records))
    common = [name for name in names if all(name in side.records for side in sides)]
    if not common:
        raise ConfigurationError(
            "they have no test in common", details=tuple(f"{side}: {len(side.records)} tests" for side in sides)
        )
    found = (_difference(name, [side.records.get(name) for side in sides]) for name in names)
    return Comparison(tuple(sides), len(common), tuple(item for item in found if item is not None))


def save_recordings(comparison: Comparison, folder: Path) -> tuple[list[Path], list[str]]:
    """Save each disagreement as a recording of the Windows side (else of the second); also what could not be.

    ConfigurationError if more than two are compared.
    """
    if len(comparison.sides) != 2:
        raise ConfigurationError(
            f"--save takes two guests, and {len(comparison.sides)} are compared",
            hint="RUN:GUEST chooses one guest of a run",
        )
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
    records = read_journal(run)
    provenance = read_run_json(run)
    tried = dict.fromkeys(record.guest for record in records if record.guest)
    guests = [
        *filter(tried.__contains__, provenance.guests),
        *(name for name in tried if name not in provenance.guests),
    ]
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


def _worst(side: Side, tests: Iterable[str]) -> Outcome | None:
    found = {side.records[test].outcome if test in side.records else None for test in tests}
    return min(found, key=_WORST_FIRST.index)


def _difference(name: str, records: Sequence[TestRecord | None]) -> TestDifference | None:
    outcomes = tuple(record.outcome if record else None for record in records)
    kinds = set(outcomes)
    if len(kinds) == 1:
        return None
    held = kinds & {Outcome.PASSED, Outcome.NOT_WITNESSED, Outcome.FLAKY}
    if Outcome.FAILED in kinds and held:
        kind = Difference.DISAGREE
    elif kinds == held:
        kind = Difference.NOT_SEEN
    else:
        kind = Difference.UNANSWERED
    first = next(record for record in records if record is not None)
    messages = tuple(record.message if record else "not run" for record in records)
    return TestDifference(name, first.rules, kind, outcomes, messages)
