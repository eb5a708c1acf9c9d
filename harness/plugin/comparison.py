"""What pytest says of two orders of callbacks that differ: both of them, whole."""

import re
from typing import TypeGuard

_CALLBACK = re.compile(r"[A-Za-z][\w-]*\.[a-z-]+")


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show `operation.path == [...]` in words; every other comparison is pytest's own."""
    if op == "==" and _is_path(left) and _is_path(right):
        return [
            "the callbacks did not come as they must",
            f"came:      {', '.join(left) or 'none'}",
            f"must come: {', '.join(right) or 'none'}",
        ]
    return None


def _is_path(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) and _CALLBACK.fullmatch(one) for one in value)
