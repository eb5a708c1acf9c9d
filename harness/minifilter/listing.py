"""Directory listings as they come back: the entries of a page, in the layout of each information class."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DirectoryEntry:
    """One entry. Sizes are in bytes, times in 100 ns since 1601; what the class does not tell is None."""

    name: str
    attributes: int | None = None
    end_of_file: int | None = None
    allocation_size: int | None = None
    creation_time: int | None = None
    last_access_time: int | None = None
    last_write_time: int | None = None
    change_time: int | None = None
    file_id: int | None = None


@dataclass(frozen=True)
class _Layout:
    """Where the length of the name is, and the name itself; where the file id is, if there is one."""

    length: int
    name: int
    file_id: int | None = None


_NAMES = 12
_LAYOUTS: Mapping[int, _Layout] = {
    1: _Layout(60, 64),  # FileDirectoryInformation
    2: _Layout(60, 68),  # FileFullDirectoryInformation
    3: _Layout(60, 94),  # FileBothDirectoryInformation
    _NAMES: _Layout(8, 12),  # FileNamesInformation
    37: _Layout(60, 104, 96),  # FileIdBothDirectoryInformation
    38: _Layout(60, 80, 72),  # FileIdFullDirectoryInformation
    60: _Layout(60, 88, 72),  # FileIdExtdDirectoryInformation
    63: _Layout(60, 114, 72),  # FileIdExtdBothDirectoryInformation
}
_FACTS = struct.Struct("<qqqqqqI")
"""Four times, EndOfFile, AllocationSize, FileAttributes: after NextEntryOffset and FileIndex."""


def entries_of(information_class: int, page: bytes) -> list[DirectoryEntry]:
    """The entries of a page; ValueError for a class that lists no directory. What is cut off at its end is left out."""
    layout = _LAYOUTS.get(information_class)
    if layout is None:
        raise ValueError(f"information class {information_class} lists no directory")
    return list(_entries(layout, page, has_facts=information_class != _NAMES))


def _entries(layout: _Layout, page: bytes, *, has_facts: bool) -> Iterator[DirectoryEntry]:
    at = 0
    while at + layout.name <= len(page):
        following = int.from_bytes(page[at : at + 4], "little")
        length = int.from_bytes(page[at + layout.length : at + layout.length + 4], "little")
        end = at + layout.name + length
        if end <= len(page):
            yield _entry(layout, page[at:end], has_facts=has_facts)
        if not following:
            return
        at += following


def _entry(layout: _Layout, data: bytes, *, has_facts: bool) -> DirectoryEntry:
    name = data[layout.name :].decode("utf-16-le", "surrogatepass")
    if not has_facts:
        return DirectoryEntry(name)
    created, accessed, written, changed, end_of_file, allocation, attributes = _FACTS.unpack_from(data, 8)
    at = layout.file_id
    return DirectoryEntry(
        name,
        attributes,
        end_of_file,
        allocation,
        created,
        accessed,
        written,
        changed,
        int.from_bytes(data[at : at + 8], "little") if at is not None else None,
    )
