"""Which rules are guarded: known to turn a test red when they are broken on purpose (proven.yaml).

A guarantee of the filter manager is broken by a *mutant* of the reference kernel, an obligation of a minifilter by a
*wrong driver* below drivers/wrong. `tests/mutation` runs each break against the tests it names and fails if one of
them stays green, so that the file cannot claim what is not so.
"""

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from harness.contract.catalogue import RuleId


class Guard(BaseModel):
    """One deliberate break of one rule, and the tests of the suites that it turns red.

    `tests` are node ids below suites/. A wrong driver takes the place of `instead_of` in the tests' stacks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: RuleId
    mutant: str | None = None
    wrong_driver: str | None = None
    instead_of: str | None = None
    tests: tuple[str, ...]

    @model_validator(mode="after")
    def _one_break(self) -> "Guard":
        if (self.mutant is None) == (self.wrong_driver is None):
            raise ValueError("a guard is either a mutant or a wrong driver")
        if not self.tests:
            raise ValueError("a guard names the tests it turns red")
        return self


@cache
def load_guards() -> tuple[Guard, ...]:
    """Every guard of the shipped registry."""
    text = files("harness.contract").joinpath("proven.yaml").read_text(encoding="utf-8")
    entries = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return tuple(Guard.model_validate(entry) for entry in entries or ())


@cache
def load_proven() -> frozenset[str]:
    """The ids of the guarded rules."""
    return frozenset(guard.rule for guard in load_guards())
