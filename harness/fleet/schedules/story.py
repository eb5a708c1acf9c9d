"""A race in words: who was interrupted where, who went on and did what, with the stacks of both."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.fleet.schedules.exploration import Explored, Found
from harness.guest.dump.symbols import frames_at
from harness.wire.schedule import Turn

MOST_TURNS = 7
_DEEPEST = 4
"""Calls of a stack that are told."""
_PLACE = re.compile(r"(?P<service>[\w.-]+)\+0x(?P<offset>[0-9a-f]+)")


def story(explored: Explored, images: Mapping[str, Path]) -> list[str]:
    """Lines about the schedule that was found; `images` are the drivers whose PDB is there, by service."""
    found = explored.found
    if found is None:
        return []
    turns = _about(found)
    names = _Names(images, (place for turn in turns for place in (*turn.began, *turn.ended)))
    lines = [_head(explored, found)]
    for number, turn in enumerate(turns, start=1):
        lines += _told(number, turn, names)
    return lines


def _head(explored: Explored, found: Found) -> str:
    switches = f"{len(found.moves)} switch{'es' if len(found.moves) != 1 else ''}"
    if not found.moves:
        return "the plain schedule does it: nobody need be interrupted"
    if explored.tried == 1:
        return f"it happens with {switches}"
    return f"schedule {found.number} does it; {switches} of its {found.longer} suffice"


def _about(found: Found) -> Sequence[Turn]:
    """The turns from the first that was interrupted, or else the last ones."""
    first = next((number for number, turn in enumerate(found.turns) if turn.how == "interrupted"), None)
    turns = found.turns[first:] if first is not None else found.turns[-2:]
    return turns[:MOST_TURNS]


def _told(number: int, turn: Turn, names: "_Names") -> Iterator[str]:
    began, ended = names.stack(turn.began), names.stack(turn.ended)
    if turn.how == "interrupted":
        yield f"{number}. {turn.who} is interrupted at {ended or began}"
        return
    yield f"{number}. {turn.who} goes on{f' at {began}' if began else ''}"
    to = f"to {ended}" if ended and ended != began else ""
    rest = ", ".join(part for part in (to, _how(turn.how)) if part)
    if rest:
        yield f"   {rest}"


def _how(how: str) -> str:
    return {"ended": "and ends", "": "where the kernel stopped", "went on later": ""}.get(how, how)


class _Names:
    """Places by function and line."""

    def __init__(self, images: Mapping[str, Path], places: Iterable[str]) -> None:
        wanted: dict[str, list[int]] = {}
        for place in dict.fromkeys(places):
            match = _PLACE.fullmatch(place)
            if match is not None and match["service"] in images:
                wanted.setdefault(match["service"], []).append(int(match["offset"], 16))
        self._names: dict[str, list[str]] = {}
        for service, offsets in wanted.items():
            for offset, frames in zip(offsets, frames_at(images[service], offsets), strict=True):
                told = [f"{frame.function} {Path(frame.file).name}:{frame.line}" for frame in reversed(frames)]
                self._names[f"{service}+0x{offset:x}"] = told

    def stack(self, chain: Sequence[str]) -> str:
        """A chain of calls, innermost first."""
        told = [name for place in chain for name in self._names.get(place, [place])]
        rest = ["…"] if len(told) > _DEEPEST else []
        return " < ".join([*told[:_DEEPEST], *rest])
