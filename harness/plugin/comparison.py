"""What pytest says of two orders of callbacks that differ: both of them, whole. The trace of the test has it too."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import pytest

from harness.minifilter.trace import CallbackPath
from harness.nt.status import Status, status_name

_CALLBACK = re.compile(r"[A-Za-z][\w-]*\.[a-z-]+")


@dataclass(frozen=True)
class PathExpectation:
    """The path that a test has asserted of an operation, and that it did not take."""

    came: CallbackPath
    must: tuple[str, ...]


EXPECTED = pytest.StashKey[PathExpectation]()
"""In the config: the last of them in the test that is running."""


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Show `operation.path == [...]`, and statuses, in words; every other comparison is pytest's own."""
    statuses = isinstance(left, Status) or isinstance(right, Status)
    if op in {"==", "!="} and statuses and isinstance(left, int) and isinstance(right, int):
        returned, wanted = (left, right) if isinstance(left, Status) else (right, left)
        which = "must be" if op == "==" else "must not be"
        return [f"status {status_name(returned)}, {which} {status_name(wanted)}"]
    if op != "==" or not _is_path(left) or not _is_path(right):
        return None
    came, must = (right, left) if isinstance(right, CallbackPath) else (left, right)
    if isinstance(came, CallbackPath):
        config.stash[EXPECTED] = PathExpectation(came, tuple(must))
    return [
        where_they_part(came, must),
        f"came:      {', '.join(came) or 'none'}",
        f"must come: {', '.join(must) or 'none'}",
    ]


def where_they_part(came: Sequence[str], must: Sequence[str]) -> str:
    """The first difference of two paths in words."""
    place = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(came, must, strict=False)))
    if place == len(must):
        return f"{came[place]} came, where nothing more must come"
    return f"{came[place] if place < len(came) else 'nothing'} came, where {must[place]} must come"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what the test before has asserted."""
    if EXPECTED in item.config.stash:
        del item.config.stash[EXPECTED]


def _is_path(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) and _CALLBACK.fullmatch(one) for one in value)
