"""Names for addresses in drivers that were built here: by llvm-symbolizer, from the PDB beside the driver's image.

In the guest a driver's file is named after its label, so that a module is found again by TimeDateStamp and SizeOfImage,
which lld writes from the content.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pefile

from harness.guest.dump.modules import Module
from harness.host.tools import find_first

SYMBOLIZERS = ("llvm-symbolizer-19", "llvm-symbolizer")
SECONDS = 300.0


@dataclass(frozen=True)
class Location:
    """An address in words: the module, the offset in it, and the function and line where they are known."""

    address: int
    module: str | None = None
    offset: int = 0
    driver: str | None = None
    function: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        if self.module is None:
            return f"0x{self.address:016X}, in no module that was loaded"
        words = [f"{self.module}+0x{self.offset:X}"]
        if self.driver is not None and self.driver != Path(self.module).stem:
            words.append(f"(driver {self.driver})")
        if self.function is not None:
            words.append(f"{self.function} [{self.source}]" if self.source else self.function)
        return " ".join(words)


class Symbols:
    """The drivers below some directories that have a PDB beside them."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self.directories = tuple(directories)

    def locate(self, address: int, modules: Sequence[Module]) -> Location:
        """Say where an address is."""
        module = next((module for module in modules if module.contains(address)), None)
        if module is None:
            return Location(address)
        offset = address - module.base
        image = self.image_of(module)
        function, source = symbolize(image, offset) if image is not None else (None, None)
        return Location(address, module.name, offset, image.stem if image is not None else None, function, source)

    def image_of(self, module: Module) -> Path | None:
        """The image that a module was loaded from, if it was built here."""
        return self._images.get((module.stamp, module.size))

    @cached_property
    def _images(self) -> dict[tuple[int, int], Path]:
        found = {}
        for directory in self.directories:
            for path in sorted(directory.rglob("*.sys")):
                # In `unsigned` is what was signed: the same build, without the PDB beside it.
                if path.with_suffix(".pdb").is_file():
                    key = build_of(path)
                    if key is not None:
                        found[key] = path
        return found


def build_of(image: Path) -> tuple[int, int] | None:
    """TimeDateStamp and SizeOfImage of an image; None if it is none."""
    try:
        headers = pefile.PE(str(image), fast_load=True)
    except pefile.PEFormatError:
        return None
    return int(headers.FILE_HEADER.TimeDateStamp), int(headers.OPTIONAL_HEADER.SizeOfImage)


@dataclass(frozen=True)
class Frame:
    """A function that an address is in, and the line there; an inlined one is a frame of its own."""

    function: str
    file: str = ""
    line: int = 0

    @property
    def source(self) -> str | None:
        """`file:line`."""
        return f"{self.file}:{self.line}" if self.file and self.line else None


def frames_at(image: Path, offsets: Sequence[int]) -> list[list[Frame]]:
    """For each offset in an image with its PDB beside it the functions that it is in, outermost first.

    An offset that nobody knows is in none.
    """
    program = find_first(SYMBOLIZERS)
    if program is None or not offsets:
        return [[] for _ in offsets]
    command = [str(program), f"--obj={image}", "--relative-address", "--output-style=JSON", *map(hex, offsets)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    try:
        found = json.loads(done.stdout)
        return [frames_of(item) for item in found]
    except (ValueError, LookupError, TypeError):
        return [[] for _ in offsets]


def frames_of(item: Mapping[str, Any]) -> list[Frame]:
    """The frames of one address as llvm-symbolizer tells them, outermost first."""
    return [_frame(symbol) for symbol in reversed(item["Symbol"]) if symbol.get("FunctionName")]


def _frame(symbol: Mapping[str, Any]) -> Frame:
    return Frame(
        str(symbol["FunctionName"]),
        str(symbol.get("FileName") or "").replace("\\", "/"),
        int(symbol.get("Line") or 0),
    )


def symbolize(image: Path, offset: int) -> tuple[str | None, str | None]:
    """Function and `file:line` of an offset in an image with its PDB beside it; nothing where nobody knows them."""
    (frames,) = frames_at(image, [offset])
    return (frames[-1].function, frames[-1].source) if frames else (None, None)
