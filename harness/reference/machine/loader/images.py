"""Loaded images: which module an address belongs to, and what the loader keeps of each."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.reference.machine.loader.pe import Section

_RUNTIME_FUNCTION_SIZE = 12


@dataclass(slots=True, eq=False)
class Image:
    """A loaded image."""

    name: str
    """What reports call it: the service's name for a driver, the file's for a program."""
    base: int
    size: int
    entry_point: int
    sections: tuple[Section, ...]
    functions: list[tuple[int, int, int]]
    function_table: int
    """RVA of `functions` in the image."""
    exports: dict[str, int] = field(default_factory=dict)
    user: bool = False
    discarded: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of INIT and other discardable sections that are gone."""
    unloaded: bool = False
    call_sites: dict[int, int] = field(default_factory=dict)
    """Calls by where they return to, of those that somebody has asked for."""

    @property
    def end(self) -> int:
        return self.base + self.size

    def section_at(self, address: int) -> Section | None:
        """The section an address lies in."""
        offset = address - self.base
        for section in self.sections:
            if section.address <= offset < section.address + section.size:
                return section
        return None

    def function_entry_at(self, address: int) -> int | None:
        """Address of the function-table entry (RUNTIME_FUNCTION) that covers an address; None for a leaf function."""
        offset = address - self.base
        index = bisect_right(self.functions, (offset, 1 << 32, 0)) - 1
        if index >= 0 and self.functions[index][0] <= offset < self.functions[index][1]:
            return self.base + self.function_table + _RUNTIME_FUNCTION_SIZE * index
        return None

    def describe(self, address: int) -> str:
        """`observer+0x1234`."""
        return f"{self.name}+{address - self.base:#x}"


class ImageTable:
    """The loaded images, and those that are gone (so that a call into unloaded code can be named)."""

    def __init__(self) -> None:
        self._loaded: list[Image] = []
        self.unloaded: list[Image] = []

    def __iter__(self) -> Iterator[Image]:
        return iter(self._loaded)

    def add(self, image: Image) -> None:
        self._loaded.append(image)

    def remove(self, image: Image) -> None:
        """Move an image to the unloaded ones."""
        self._loaded.remove(image)
        image.unloaded = True
        self.unloaded.append(image)

    def at(self, address: int) -> Image | None:
        """The loaded image at an address."""
        for image in self._loaded:
            if image.base <= address < image.base + image.size:
                return image
        return None

    def once_at(self, address: int) -> Image | None:
        """The image at an address, loaded or gone."""
        found = self.at(address)
        if found is None:
            for image in reversed(self.unloaded):
                if image.base <= address < image.end:
                    return image
        return found

    def by_name(self, name: str) -> Image | None:
        """A loaded image by name."""
        for image in self._loaded:
            if image.name.lower() == name.lower():
                return image
        return None

    def describe(self, address: int) -> str:
        """The address as module and offset, or as a number."""
        image = self.once_at(address)
        return image.describe(address) if image is not None else f"{address:#x}"
