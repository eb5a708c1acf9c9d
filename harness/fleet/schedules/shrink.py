"""The fewest moves that still do it: delta debugging (Zeller) over a schedule's moves."""

from collections.abc import Callable, Sequence

from harness.wire.schedule import Move


def shrink(moves: Sequence[Move], does: Callable[[tuple[Move, ...]], bool], most: int = 200) -> tuple[Move, ...]:
    """A part of `moves` of which none can be left out, if `most` attempts suffice; `does` says whether a part does."""
    left = list(moves)
    attempts = 0
    pieces = 2
    while len(left) >= 1 and attempts < most:
        size = max(len(left) // pieces, 1)
        for begin in range(0, len(left), size):
            candidate = left[:begin] + left[begin + size :]
            attempts += 1
            if does(tuple(candidate)):
                left, pieces = candidate, max(pieces - 1, 2)
                break
            if attempts >= most:
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(left))
    return tuple(left)
