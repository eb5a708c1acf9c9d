"""The smallest case that still does the same: fewer steps, fewer bytes, plainer ones."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from harness.fleet.fuzz.case import Case, Step, sound
from harness.fleet.fuzz.vocabulary import HEX_KEYS

MOST_ATTEMPTS = 160
SIDE_BY_SIDE = 4
"""How many are asked about at a time."""


def shrunk(case: Case, still: Callable[[Sequence[Case]], Sequence[bool]]) -> Case:
    """A case that `still` holds for, after at most MOST_ATTEMPTS questions; it is asked about several at a time.

    What makes it smaller is tried in turn; after each success it goes on where it was, as what came before that was in
    vain already, and begins again only at the end.
    """
    left, begin, again = MOST_ATTEMPTS, 0, False
    refused: set[Case] = set()
    while left > 0:
        untried = (
            (number, smaller)
            for number, smaller in enumerate(_smaller(case))
            if number >= begin and smaller not in refused and smaller == sound(smaller)
        )
        asked = list(islice(untried, min(left, SIDE_BY_SIDE)))
        if not asked:
            if not again:
                break
            begin, again = 0, False
            continue
        left -= len(asked)
        for (number, smaller), holds in zip(asked, still([smaller for _, smaller in asked]), strict=True):
            if holds:
                case, begin, again = smaller, number, True
                break
            refused.add(smaller)
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases that are smaller in one way, the much smaller ones first."""
    width = len(case) // 2
    while width:
        for at in range(len(case) - width, -1, -width):
            fewer = case[:at] + case[at + width :]
            if fewer:
                yield fewer
        width //= 2
    for at, step in enumerate(case):
        for plainer in _plainer(step):
            yield (*case[:at], plainer, *case[at + 1 :])


def _plainer(step: Step) -> Iterator[Step]:
    for key, value in step.keys:
        if (step.verb, key) in HEX_KEYS:
            data = bytes.fromhex(value)
            yield from (step.given(key, smaller.hex()) for smaller in _fewer_bytes(data))
    for key, _ in step.keys:
        if key in ("room", "out", "context", "share", "attributes", "options", "timeout"):
            yield step.given(key, None)


def _fewer_bytes(data: bytes) -> Iterator[bytes]:
    cut = len(data) // 2
    while cut:
        yield data[:-cut]
        cut //= 2
    width = max(1, len(data) // 2)
    while width:
        for at in range(0, len(data), width):
            if any(data[at : at + width]):
                yield data[:at] + bytes(len(data[at : at + width])) + data[at + width :]
        width //= 2
