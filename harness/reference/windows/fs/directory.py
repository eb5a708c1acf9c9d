"""Directory queries: the entries that match, in the layout that is asked for, page after page."""

from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.filesystem import FileFacts
from harness.reference.windows.fs.inode import Inode, Link
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.fsrtl.expressions import has_wildcards, is_name_in_expression, upcase
from harness.reference.windows.io.constants import FileInformationClass, StackFlags
from harness.reference.windows.io.parameters import DIRECTORY
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

_ENTRY = Struct("<IIqqqqqqII")
"""NextEntryOffset, FileIndex, four times, EndOfFile, AllocationSize, FileAttributes, FileNameLength."""
_NAMES = Struct("<III")
_HEADS = {
    FileInformationClass.DIRECTORY: 64,
    FileInformationClass.FULL_DIRECTORY: 68,
    FileInformationClass.BOTH_DIRECTORY: 94,
    FileInformationClass.NAMES: 12,
    FileInformationClass.ID_BOTH_DIRECTORY: 104,
    FileInformationClass.ID_FULL_DIRECTORY: 80,
    FileInformationClass.ID_EXTD_DIRECTORY: 88,
    FileInformationClass.ID_EXTD_BOTH_DIRECTORY: 114,
}
"""Where the name begins."""


def _entry(kind: int, name: str, facts: FileFacts) -> bytes:
    """One entry of a listing; the offset of the next one is filled in later."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    if kind == FileInformationClass.NAMES:
        return _NAMES.pack(0, 0, len(encoded)) + encoded
    head = _ENTRY.pack(
        0,
        0,
        facts.creation_time,
        facts.last_access_time,
        facts.last_write_time,
        facts.change_time,
        facts.end_of_file,
        facts.allocation_size,
        facts.attributes,
        len(encoded),
    )
    if kind == FileInformationClass.DIRECTORY:
        return head + encoded
    tagged = kind in (FileInformationClass.ID_EXTD_DIRECTORY, FileInformationClass.ID_EXTD_BOTH_DIRECTORY)
    # A reparse point has its tag where others have the size of their extended attributes.
    head += Struct("<I").pack(facts.ea_size if tagged or not facts.reparse_tag else facts.reparse_tag)
    if tagged:
        head += Struct("<IQQ").pack(facts.reparse_tag, facts.index, 0)
    if kind == FileInformationClass.ID_FULL_DIRECTORY:
        head += bytes(4) + Struct("<Q").pack(facts.index)
    if kind in _WITH_SHORT_NAME:
        head += bytes(2 + 24)  # ShortNameLength, ShortName: the volume makes none
    if kind == FileInformationClass.ID_BOTH_DIRECTORY:
        head += bytes(2) + Struct("<Q").pack(facts.index)
    return head + encoded


_WITH_SHORT_NAME = frozenset(
    {
        FileInformationClass.BOTH_DIRECTORY,
        FileInformationClass.ID_BOTH_DIRECTORY,
        FileInformationClass.ID_EXTD_BOTH_DIRECTORY,
    }
)


def _matches(pattern: str, name: str, *, sensitive: bool) -> bool:
    if not sensitive:
        pattern, name = upcase(pattern), upcase(name)
    return is_name_in_expression(pattern, name) if has_wildcards(pattern) else pattern == name


def _candidates(driver: "FileSystemDriver", directory: Inode) -> Iterator[tuple[str, Inode, Link | None]]:
    """Everything in a directory: `.` and `..` first, but not in the root."""
    if not directory.root:
        yield ".", directory, directory.links[0] if directory.links else None
        above = driver.files.store.above(directory)
        yield "..", above, above.links[0] if above.links else None
    for link in driver.files.store.listing(directory):
        yield link.name, link.inode, link


def _left(driver: "FileSystemDriver", opened: OpenFile) -> Iterator[tuple[str, Inode, Link | None]]:
    """What the scan has not given yet."""
    pattern, last = opened.pattern or "*", opened.last_name
    dots = 0
    for name, inode, link in _candidates(driver, opened.inode):
        if name in (".", ".."):
            dots += 1
            if dots <= opened.dots:
                continue
        elif last is not None and (upcase(name), name) <= (upcase(last), last):
            continue
        if _matches(pattern, name, sensitive=opened.inode.case_sensitive):
            yield name, inode, link


def query(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MN_QUERY_DIRECTORY."""
    file = request.file
    if file is None or file.opened is None or not file.opened.stream.directory:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    opened = file.opened
    length, name_at, kind, _, buffer, _ = DIRECTORY.unpack_from(request.parameters)
    first = _begin(driver, opened, request.operation_flags, name_at)
    head = next((size for of, size in _HEADS.items() if of == kind), None)
    if head is None:
        return int(NtStatus.INVALID_INFO_CLASS), 0
    if length < head:
        return int(NtStatus.INFO_LENGTH_MISMATCH), 0
    single = bool(request.operation_flags & StackFlags.RETURN_SINGLE_ENTRY)
    place = opened.last_name, opened.dots
    data, status = _page(driver, opened, kind, length, single=single)
    if request.operation_flags & StackFlags.NO_CURSOR_UPDATE:
        opened.last_name, opened.dots = place
    if not data:
        return int(NtStatus.NO_SUCH_FILE if first else NtStatus.NO_MORE_FILES), 0
    yield from driver.io.views.write(buffer, data)
    return status, len(data)


def _begin(driver: "FileSystemDriver", opened: OpenFile, flags: int, name_at: int) -> bool:
    """Settle pattern and place of the scan; whether it is the handle's first."""
    if opened.inode.gone:
        raise StatusError(NtStatus.FILE_DELETED)
    given = driver.kernel.memory.read_unicode_string(name_at) if name_at else ""
    first = opened.pattern is None
    restart = bool(flags & StackFlags.RESTART_SCAN)
    if first or (restart and given):
        opened.pattern = given or "*"
    if restart:
        opened.last_name, opened.dots = None, 0
    return first


def _page(driver: "FileSystemDriver", opened: OpenFile, kind: int, room: int, *, single: bool) -> tuple[bytes, int]:
    """As many entries as fit, and the status; of the first one as much as fits."""
    out, last = bytearray(), 0
    for name, inode, link in _left(driver, opened):
        entry = _entry(kind, name, driver.files.facts_of(inode.default_stream, link))
        padding = -len(out) % 8
        if len(out) + padding + len(entry) > room:
            if not out:
                return entry[:room], int(NtStatus.BUFFER_OVERFLOW)
            break
        out += bytes(padding)
        if out:
            out[last : last + 4] = (len(out) - last).to_bytes(4, "little")
        last = len(out)
        out += entry
        if name in (".", ".."):
            opened.dots += 1
            if opened.dots == 1 and name == "..":
                opened.dots = 2
        else:
            opened.dots, opened.last_name = 2, name
        if single:
            break
    return bytes(out), int(NtStatus.SUCCESS)
