"""What tests have in common that went wrong for the same reason."""

import re

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{7,16}\b")
_NUMBER = re.compile(r"(?<![\w.+-])\d+(?:\.\d+)?(?![\w.])")


def cause_of(message: str) -> str:
    """A message without what differs from one occurrence to the next: addresses, identifiers, times, counts.

    A place in a driver (`guard+0x5033`), a status and a rule stay: they tell one cause from another.
    """
    return _NUMBER.sub("…", _ADDRESS.sub("…", message.strip()))
