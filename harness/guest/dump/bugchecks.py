"""What a bug check means: the name of its code, what it says, and the meaning of its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from harness.nt.bugcheck import bugcheck_name
from harness.nt.status import status_name

FILE = Path(__file__).with_name("bugchecks.yaml")
_EXCEPTIONS = {0x1E, 0x3B, 0x7E, 0x8E}
"""Codes whose first parameter is an NTSTATUS."""


@dataclass(frozen=True)
class Parameter:
    """One of the four parameters; `meaning` is None where the reference says nothing of it."""

    value: int
    meaning: str | None


@dataclass(frozen=True)
class Explanation:
    """A bug check in words. `instruction` is the address of the code that did it, if a parameter has it."""

    code: int
    name: str
    says: str | None
    parameters: tuple[Parameter, ...]
    instruction: int | None

    def lines(self) -> tuple[str, ...]:
        """One line for what it says, one for each parameter."""
        head = (self.says,) if self.says else ("no meaning of this code is known to fltlab",)
        return (
            *head,
            *(
                f"parameter {number}: 0x{parameter.value:016X}{f'  {parameter.meaning}' if parameter.meaning else ''}"
                for number, parameter in enumerate(self.parameters, 1)
            ),
        )


def explain(code: int, parameters: Sequence[int]) -> Explanation:
    """Say what a bug check means; four parameters."""
    # Windows sets this bit for what was raised at the dump's own writing; it is no part of the code.
    code &= 0x0FFF_FFFF
    entry = _catalogue().get(code, {})
    case = entry.get("cases", {}).get(parameters[0], {})
    general = entry.get("from", {})
    if general and parameters[0] >= general["first"]:
        case = {"says": "an error of I/O verification", **general, **case}
    meanings: list[str | None] = list(entry.get("parameters", [None] * 4))
    if case:
        meanings = [f"{meanings[0]}: {case['says']}", *(case.get("parameters") or meanings[1:])]
    elif code in _EXCEPTIONS:
        meanings[0] = f"{meanings[0]}: {status_name(parameters[0])}"
    number = case.get("instruction", entry.get("instruction"))
    says = entry.get("says")
    return Explanation(
        code,
        bugcheck_name(code),
        f"{says}: {case['says']}" if case and says else says,
        tuple(Parameter(value, meaning) for value, meaning in zip(parameters, meanings, strict=True)),
        parameters[number - 1] or None if number else None,
    )


@cache
def _catalogue() -> Mapping[int, Mapping[str, Any]]:
    loaded: dict[int, Mapping[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded
