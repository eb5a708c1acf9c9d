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
    that the test proves nothing about it. `ERROR`: the host, the guest or the harness failed, not the driver.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    NOT_WITNESSED = "not_witnessed"


@dataclass(frozen=True)
class Witness:
    """One `lab.witness(condition, text)`: what the contract permits, and whether it occurred."""

    text: str
    seen: bool


@dataclass(frozen=True)
class TestRecord:
    """The result of one test on one guest.

    `suite` is the folder of the test below its suites (e.g. "passthrough"); `message` is one line, `details` what
    pytest prints of the failure; `folder` is where its files are, relative to the run directory, if it has any.
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
    details: str = ""
    folder: str | None = None
    drivers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make safe whatever a guest or a test may have said; the node id stays, as the tests are found again by it."""
        made_safe: dict[str, object] = {
            "suite": safe_line(self.suite),
            "name": safe_line(self.name),
            "stack": tuple(map(safe_line, self.stack)),
            "witnesses": tuple(Witness(safe_line(witness.text), witness.seen) for witness in self.witnesses),
            "message": safe_line(self.message),
            "details": safe(self.details, DETAILS_LIMIT),
        }
        for field_name, value in made_safe.items():
            object.__setattr__(self, field_name, value)

    def to_json(self) -> dict[str, Any]:
        """Plain data for one line of the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record a line of the journal stands for."""
        witnesses = tuple(Witness(**witness) for witness in data.get("witnesses", ()))
        plain = {**data, "outcome": Outcome(data["outcome"]), "witnesses": witnesses}
        return cls(**{**plain, "rules": tuple(data.get("rules", ())), "stack": tuple(data.get("stack", ()))})
