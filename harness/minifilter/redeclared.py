"""Functions whose definition has other types of parameters than their declaration has.

Microsoft's compiler takes them in C: a callback that a header declares with a PVOID, and whose definition names what it
points to. clang does not. Where it finds one, the source is compiled once more with another name at that place, which
is told to be the same symbol: to callers nothing changes, since the registers are the same.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from harness.errors import ConfigurationError
from harness.minifilter.toolchain import Compilation, Toolchain

_CONFLICT = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): error: conflicting types for '(?P<name>\w+)'")
_OTHER = "{}__defined"


@dataclass(frozen=True, order=True)
class _Place:
    """Where a name is: line and column count from 1, columns in bytes."""

    file: Path
    line: int
    column: int
    name: str


def compile_redeclared(toolchain: Toolchain, compilation: Compilation) -> Path:
    """Compile one source as Toolchain.compile does, with parameters of other types than declared where there are."""
    places: set[_Place] = set()
    while True:
        try:
            return toolchain.compile(_renamed(compilation, sorted(places)))
        except ConfigurationError as error:
            found = set(_conflicts(error.details)) - places
            if compilation.cxx or compilation.strict or not found:
                raise
            places |= found


def _conflicts(output: Iterable[str]) -> Iterator[_Place]:
    for line in output:
        found = _CONFLICT.match(line)
        if found is not None:
            yield _Place(Path(found["file"]), int(found["line"]), int(found["column"]), found["name"])


def _renamed(compilation: Compilation, places: list[_Place]) -> Compilation:
    """The compilation that reads other names at these places, from copies that an overlay has."""
    if not places:
        return compilation
    folder = compilation.target.parent
    copies = []
    for index, (file, inside) in enumerate(groupby(places, lambda place: place.file)):
        lines = file.read_bytes().splitlines(keepends=True)
        for place in reversed(list(inside)):
            line, start = lines[place.line - 1], place.column - 1
            other = _OTHER.format(place.name).encode()
            lines[place.line - 1] = line[:start] + other + line[start + len(place.name) :]
        copy = folder / f"renamed-{index}{file.suffix}"
        copy.write_bytes(b"".join(lines))
        copies.append({"type": "file", "name": str(file), "external-contents": str(copy)})
    overlay = folder / "renamed.yaml"
    overlay.write_text(json.dumps({"version": 0, "use-external-names": "false", "roots": copies}), encoding="utf-8")
    names = folder / "renamed.h"
    same = (f"#pragma redefine_extname {_OTHER.format(name)} {name}\n" for name in {place.name for place in places})
    names.write_text("".join(same), encoding="utf-8")
    return replace(compilation, renamed=(overlay, names))
