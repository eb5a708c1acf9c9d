"""One test's result, as the journal keeps it and every report reads it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from harness.text import safe, safe_line

DETAILS_LIMIT = 1 << 20
"""How many characters of what pytest prints of a failure are kept."""


class Outcome(StrEnum):
    """How a test ended.

    `NOT_WITNESSED`: every assertion held, but something the contract only *permits* did not occur in this run, so
    that the test proves nothing about it. `FLAKY`: it failed, where something else may have disturbed it, and passed on
    a fresh guest, which proves nothing either. `ERROR`: the host, the guest or the harness failed, not the driver.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    NOT_WITNESSED = "not_witnessed"
    FLAKY = "flaky"


@dataclass(frozen=True)
class Witness:
    """One `lab.witness(condition, text)`: what the contract permits, and whether it occurred."""

    text: str
    seen: bool


@dataclass(frozen=True)
class Schedules:
    """Under how many schedules a test was tried, of how many that were asked for; or with how many seeds.

    `failed` are those under which it failed, by their numbers from 1, or the seeds. Exploring ends with the first.
    """

    asked: int
    tried: int
    failed: tuple[int, ...] = ()
    by_seeds: bool = False

    def __str__(self) -> str:
        """What that says of the test: it held under so many, or failed under one of them."""
        if self.by_seeds:
            failed = f"failed with {len(self.failed)} of " if self.failed else "held with "
            return f"{failed}{_plural(self.tried, 'seed')}"
        if self.failed:
            return f"failed under schedule {self.failed[0]} of {self.asked}"
        if self.tried < self.asked:
            return f"held under {_plural(self.tried, 'schedule')}, which is all that it has"
        return f"held under {_plural(self.tried, 'schedule')}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "failed": tuple(data["failed"])})


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


class Blame(StrEnum):
    """Why a test did not pass: by its own assertion, for what a driver did, or for what is no verdict at all."""

    ASSERTION = "assertion"
    DRIVER = "driver"
    OTHER = "other"


class SectionKind(StrEnum):
    """What a section of a test's record is; the value is the heading under which it is printed."""

    FAILURE = "failure"
    """What pytest prints of the exception."""
    KERNEL = "what the kernel did last: time, thread, what"
    WHERE = "where that is"
    DOCUMENTATION = "what the documentation says"
    SCHEDULE = "under which schedules"
    """Who was interrupted where, and who went on; or with which seeds."""
    TIMELINE = "callback timeline"
    AGAIN = "again"
    DUMP = "the dump of the guest"
    OUTPUT = "output"
    """What the test printed or logged; `title` says where."""


@dataclass(frozen=True)
class Section:
    """One part of what is told of a test that did not pass; `title` is its heading."""

    kind: SectionKind
    text: str
    title: str = ""

    def __post_init__(self) -> None:
        """Make safe whatever a guest or a test may have said."""
        object.__setattr__(self, "text", safe(self.text, DETAILS_LIMIT))
        object.__setattr__(self, "title", safe_line(self.title))

    def __str__(self) -> str:
        return self.text if self.kind is SectionKind.FAILURE else f"--- {self.title or self.kind.value}\n{self.text}"


@dataclass(frozen=True)
class TestRecord:
    """The result of one test on one guest.

    `suite` is the folder of the test below its suites (e.g. "passthrough"); `message` is one line, `sections` what
    more is told of a test that did not pass; `folder` is where its files are, relative to the run directory, if it has
    any. `blame` is None for a test that failed in nothing; `violated` are the rules that the kernel reported, which the
    test need not name; `cause` is the same for tests that went wrong for the same reason. `schedules` is None for a
    test that ran once.
    """

    __test__ = False

    nodeid: str
    outcome: Outcome
    seconds: float
    suite: str
    name: str
    guest: str = ""
    guest_kind: str = ""
    rules: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    message: str = ""
    sections: tuple[Section, ...] = ()
    blame: Blame | None = None
    violated: tuple[str, ...] = ()
    cause: str = ""
    folder: str | None = None
    drivers: Mapping[str, str] = field(default_factory=dict)
    schedules: Schedules | None = None

    def __post_init__(self) -> None:
        """Make safe whatever a guest or a test may have said; the node id stays, as the tests are found again by it."""
        made_safe: dict[str, object] = {
            "suite": safe_line(self.suite),
            "name": safe_line(self.name),
            "stack": tuple(map(safe_line, self.stack)),
            "witnesses": tuple(Witness(safe_line(witness.text), witness.seen) for witness in self.witnesses),
            "message": safe_line(self.message),
            "cause": safe_line(self.cause),
        }
        for field_name, value in made_safe.items():
            object.__setattr__(self, field_name, value)

    @property
    def details(self) -> str:
        """Its sections as one text, as the terminal and JUnit show it."""
        return "\n".join(map(str, self.sections)).strip()

    def section(self, kind: SectionKind) -> str:
        """The text of the sections of one kind; empty if there is none."""
        return "\n".join(section.text for section in self.sections if section.kind is kind)

    def to_json(self) -> dict[str, Any]:
        """Plain data for one line of the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record a line of the journal stands for."""
        witnesses = tuple(Witness(**witness) for witness in data.get("witnesses", ()))
        sections = tuple(Section(**{**item, "kind": SectionKind(item["kind"])}) for item in data.get("sections", ()))
        blame = Blame(data["blame"]) if data.get("blame") else None
        schedules = Schedules.from_json(data["schedules"]) if data.get("schedules") else None
        plain = {
            **data,
            "blame": blame,
            "schedules": schedules,
            "outcome": Outcome(data["outcome"]),
            "witnesses": witnesses,
            "sections": sections,
        }
        lists = {name: tuple(data.get(name, ())) for name in ("rules", "stack", "violated")}
        return cls(**{**plain, **lists})
