"""The catalogue of rules (rules.yaml), read and checked."""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints

DRIVER_DOCUMENTATION = "https://learn.microsoft.com/windows-hardware/drivers"
"""Where the pages are published that rules.yaml names as sources."""

RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z]+(-[A-Z]+)*-\d\d$")]


class Area(StrEnum):
    """What a rule is about; most areas have a suite of their name."""

    REGISTRATION = "registration"
    PASSTHROUGH = "passthrough"
    COMPLETION = "completion"
    PENDING = "pending"
    SYNCHRONIZE = "synchronize"
    FASTIO = "fastio"
    POSTOP = "postop"
    IRQL = "irql"
    CONTEXT = "context"
    PARAMETERS = "parameters"
    TEARDOWN = "teardown"
    IO = "io"


class Kind(StrEnum):
    """Who has to keep a rule."""

    GUARANTEE = "guarantee"  # the filter manager promises it
    OBLIGATION = "obligation"  # the minifilter must do it


class Rule(BaseModel):
    """One rule of the documented contract; rules.yaml says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: RuleId
    area: Area
    core: bool
    kind: Kind
    statement: str
    applies: tuple[str, ...]
    source: str
    also: tuple[str, ...] = ()
    in_seed: bool
    seed_ref: tuple[str, ...] = ()
    observable: str
    violation: str | None = None
    min_windows: str | None = None
    open_question: str | None = None
    note: str | None = None
    reason: str | None = None
    unguarded: str | None = None
    narrow: str | None = None
    inferred: bool = False

    @property
    def address(self) -> str:
        """Where Microsoft publishes the rule's source."""
        page = self.source.removesuffix(".md")
        return f"{DRIVER_DOCUMENTATION}/{f'ddi/{page}' if page.startswith('fltkernel/') else page}"


class Catalogue(BaseModel):
    """All rules, in the order of the file."""

    model_config = ConfigDict(frozen=True)

    rules: tuple[Rule, ...]

    def __contains__(self, rule_id: str) -> bool:
        return any(rule.id == rule_id for rule in self.rules)

    def __getitem__(self, rule_id: str) -> Rule:
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(rule_id)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(rule.id for rule in self.rules)

    def select(self, *, area: Area | None = None, core: bool | None = None, seed: bool | None = None) -> Iterator[Rule]:
        """The rules that meet everything given."""
        for rule in self.rules:
            if area not in {None, rule.area} or core not in {None, rule.core} or seed not in {None, rule.in_seed}:
                continue
            yield rule


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that is shipped with fltlab."""
    text = files("harness.contract").joinpath("rules.yaml").read_text(encoding="utf-8")
    return Catalogue.model_validate({"rules": yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))})  # noqa: S506
