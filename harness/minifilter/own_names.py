"""Names that a driver declares itself, and our headers too, otherwise.

The driver kit does not declare what is not documented, so each driver does that for itself: as the function it is, with
types of its own, or as a variable that MmGetSystemRoutineAddress fills. mingw-w64 and Microsoft's metadata have many of
these names, and structures that once were nobody's. Where a compiler says that they are in each other's way, the
driver's own is meant: the source is compiled once more, with another name for ours.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

HEADER = "own-names.h"
_AT = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): (?P<kind>error|note): (?P<what>.*)")
_IN_THE_WAY = re.compile(
    r"conflicting types for |redefinition of |typedef redefinition |functions that differ only in their return type"
)
_NAME = re.compile(r"[A-Za-z_]\w*")


def names_in_the_way(output: Sequence[str], kit: Sequence[Path]) -> frozenset[str]:
    """The names of headers below `kit` that the driver's own files declare otherwise, as a compiler tells it."""
    said = [found for line in output if (found := _AT.match(line))]
    return frozenset(name for error, note in pairwise(said) for name in _name(error, note, kit))


def _name(error: re.Match[str], note: re.Match[str], kit: Sequence[Path]) -> Iterator[str]:
    def is_ours(place: re.Match[str]) -> bool:
        return any(Path(place["file"]).is_relative_to(directory) for directory in kit)

    if error["kind"] != "error" or _IN_THE_WAY.match(error["what"]) is None:
        return
    if not note["what"].startswith("previous ") or not is_ours(note) or is_ours(error):
        return
    lines = Path(error["file"]).read_bytes().splitlines()
    # Columns are counted in bytes.
    at = lines[int(error["line"]) - 1][int(error["column"]) - 1 :].decode("latin-1")
    if (found := _NAME.match(at)) is not None:
        yield found[0]


def header(names: frozenset[str]) -> str:
    """The content of HEADER for these names."""
    return "".join(f"#undef {name}\n" for name in sorted(names))


def options(names: frozenset[str]) -> list[str]:
    """What gives these names of ours others, and takes them away again behind our headers."""
    return [*(f"-D{name}=FltLabKit_{name}" for name in sorted(names)), *(("-include", HEADER) if names else ())]
