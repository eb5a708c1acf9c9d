"""The transparency oracle: the same workload from the same start, with a minifilter and without; each difference once.

A step that comes out differently because an earlier one did, on the same handle, is no difference of its own. Steps
that differ in the same way are told together. What a driver is meant to change, its driver.yaml says (`changes`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from harness.fleet.trial.answers import Parts, parts_of
from harness.fleet.trial.census import Census
from harness.minifilter.package import AllowedChange
from harness.minifilter.probe import ProbeResult, Step
from harness.minifilter.script import words_of

AFTERWARDS = "afterwards"
"""The verb of differences of the volume's content, when nobody filters any more."""


@dataclass(frozen=True)
class Difference:
    """One part of one step's answer that is not as it is without the driver."""

    verb: str
    what: str
    file: str
    was: str
    now: str
    step: str
    part: str
    """The part of the workload."""

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """Differences of one kind are told together."""
        if self.what in {"status", "became", "it is"} or len(self.was) + len(self.now) < 24:
            return self.verb, self.what, self.was, self.now
        return self.verb, self.what, "", ""

    @property
    def words(self) -> str:
        """The difference as a sentence."""
        place = f"{self.verb} {self.file}".strip()
        if self.verb == AFTERWARDS:
            place = f"afterwards {self.file}"
        if self.what == "it is":
            return f"{place} is missing (it was {self.was})" if self.now == GONE else f"{place} is {self.now} now"
        if self.now == GONE:
            return f"{place}: {self.what} is missing (it was {self.was})"
        if self.was == GONE:
            return f"{place}: {self.what} is there ({self.now})"
        return f"{place}: {self.what} {self.was} became {self.now}"


GONE = ""


@dataclass(frozen=True)
class Change:
    """All differences of one kind. `allowed` is why the driver is meant to make them, None if nobody says so."""

    first: Difference
    count: int
    others: tuple[str, ...]
    """The files of the others, a few of them."""
    allowed: str | None = None

    @property
    def words(self) -> str:
        """The change as a sentence."""
        more = f" (and {self.count - 1} more)" if self.count > 1 else ""
        return f"{self.first.words}{more}"


@dataclass
class _Handles:
    """Which file a name of the script is about, and which names are not worth a look any more."""

    files: dict[str, str] = field(default_factory=dict)
    begun: dict[str, Sequence[str]] = field(default_factory=dict)
    """The words of the step that a `wait` is about."""
    spoiled: set[str] = field(default_factory=set)

    def note(self, words: Sequence[str]) -> None:
        verb = words[0]
        if verb == "open":
            self.files[words[1]] = words[2]
        elif verb in {"open-by-id", "section", "map"}:
            self.files[words[1]] = self.files.get(words[2], words[2])
        for word in words:
            key, _, value = word.partition("=")
            if key == "async":
                self.files[value] = self.files.get(words[1], words[1])
                self.begun[value] = [one for one in words if one != word]

    def file_of(self, words: Sequence[str]) -> str:
        return self.files.get(words[1], words[1]) if len(words) > 1 else ""

    def names(self, words: Sequence[str]) -> set[str]:
        named = {words[1]} if len(words) > 1 else set()
        if words[0] in {"open-by-id", "section", "map"}:
            named.add(words[2])
        named |= {word.partition("=")[2] for word in words if word.startswith(("async=", "relative="))}
        return named


def compare_steps(part: str, lines: Sequence[str], without: ProbeResult, given: ProbeResult) -> Iterator[Difference]:
    """The differences of one part of the workload, in the order of its steps."""
    handles = _Handles()
    found = _by_place(given.steps)
    for place, before in _by_place(without.steps).items():
        line = lines[place[0] - 1] if place[0] <= len(lines) else ""
        words = words_of(line)
        if words[:1] == ["spawn"]:
            joins, words = words[1], words[2:]
            if place[1] == 0:
                continue  # that a thread could be made says nothing
        else:
            joins = ""
        if not words:
            continue
        handles.note(words)
        named = handles.names(words)
        if joins:
            handles.spoiled.add(joins)  # what its `wait` says is said here already
        if named & handles.spoiled:
            continue
        answered = handles.begun.get(words[1], words) if words[0] == "wait" else words
        now = found.get(place)
        after = parts_of(answered, now) if now is not None else {"status": "it was not reached"}
        differing = list(_parts(parts_of(answered, before), after))
        for what, was, is_now in differing:
            yield Difference(answered[0], what, handles.file_of(words), was, is_now, line, part)
        if any(what == "status" for what, _, _ in differing):
            handles.spoiled |= named


def _by_place(steps: Iterable[Step]) -> dict[tuple[int, int], Step]:
    """Steps by their line, and how many of the same line came before: a spawned step has its spawner's."""
    found: dict[tuple[int, int], Step] = {}
    for step in steps:
        found[step.line, sum((step.line, nth) in found for nth in range(2))] = step
    return found


def _parts(before: Parts, after: Parts) -> Iterator[tuple[str, str, str]]:
    if before.get("status") != after.get("status"):
        yield "status", before.get("status", GONE), after.get("status", GONE)
        return
    for what in dict.fromkeys((*before, *after)):
        was, now = before.get(what, GONE), after.get(what, GONE)
        if was != now:
            yield what, was, now


def compare_census(without: Census, given: Census) -> Iterator[Difference]:
    """The differences of what is on the volume in the end."""
    for path in sorted({*without, *given}):
        for what, was, now in _parts(without.get(path, {}), given.get(path, {})):
            yield Difference(AFTERWARDS, what, path, was, now, "", AFTERWARDS)
            if what == "it is":
                break


def summarize(differences: Iterable[Difference], allowed: Sequence[AllowedChange]) -> list[Change]:
    """Each kind of difference once, those first that nobody has allowed."""
    kinds: dict[tuple[object, ...], list[Difference]] = {}
    reason: Mapping[tuple[object, ...], str | None]
    reasons: dict[tuple[object, ...], str | None] = {}
    for one in differences:
        why = next((rule.why or "allowed" for rule in allowed if _meant(rule, one)), None)
        key = (*one.kind, why)
        kinds.setdefault(key, []).append(one)
        reasons[key] = why
    reason = reasons
    changes = [
        Change(some[0], len(some), tuple(dict.fromkeys(one.file for one in some[1:]))[:3], reason[key])
        for key, some in kinds.items()
    ]
    return sorted(changes, key=lambda change: change.allowed is not None)


def _meant(rule: AllowedChange, difference: Difference) -> bool:
    return (
        fnmatchcase(difference.verb, rule.step)
        and fnmatchcase(difference.what, rule.what)
        and fnmatchcase(difference.file.casefold(), rule.file.casefold())
    )
