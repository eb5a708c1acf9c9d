"""Directories: listing them, and telling who watches them."""

from enum import IntEnum
from fnmatch import fnmatchcase
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.fs.filesystem import FileFacts
from harness.reference.windows.io.constants import FileInformationClass, Minor, StackFlags
from harness.reference.windows.io.parameters import DIRECTORY, NOTIFY
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.fs.filesystem import Node

_ENTRY = Struct("<IIqqqqqqII")
"""NextEntryOffset, FileIndex, four times, EndOfFile, AllocationSize, FileAttributes, FileNameLength."""


class Action(IntEnum):
    """FILE_ACTION_*."""

    ADDED = 1
    REMOVED = 2
    MODIFIED = 3
    RENAMED_OLD_NAME = 4
    RENAMED_NEW_NAME = 5


def control(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_DIRECTORY_CONTROL."""
    if request.minor == Minor.NOTIFY_CHANGE_DIRECTORY:
        return (yield from _notify(driver, request))
    return (yield from _query(driver, request))


# -- listing


def _entry(kind: int, name: str, facts: FileFacts) -> bytes:
    """One entry of a listing; the offset of the next one is filled in later."""
    encoded = name.encode("utf-16-le", "surrogatepass")
    if kind == FileInformationClass.NAMES:
        return Struct("<III").pack(0, 0, len(encoded)) + encoded
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
    head += bytes(4)  # EaSize
    if kind == FileInformationClass.FULL_DIRECTORY:
        return head + encoded
    if kind == FileInformationClass.ID_FULL_DIRECTORY:
        return head + bytes(4) + Struct("<q").pack(facts.index) + encoded
    head += bytes(2 + 24)  # ShortNameLength, ShortName
    if kind == FileInformationClass.BOTH_DIRECTORY:
        return head + encoded
    if kind == FileInformationClass.ID_BOTH_DIRECTORY:
        return head + bytes(2) + Struct("<q").pack(facts.index) + encoded
    raise VolumeError(NtStatus.INVALID_INFO_CLASS)


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.upper().translate({ord("<"): "*", ord(">"): "?", ord('"'): "."})
    return pattern in ("*", "*.*") or fnmatchcase(name.upper(), pattern.replace("[", "[[]"))


def _query(driver: "FileSystemDriver", request: Request) -> Code:
    file = request.file
    if file is None or file.opened is None:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    memory = driver.kernel.memory
    length, name_at, kind, _, buffer, _ = DIRECTORY.unpack_from(request.parameters)
    first = file.directory_pattern is None
    pattern = file.directory_pattern or memory.read_unicode_string(name_at) or "*"
    file.directory_pattern = pattern
    if request.operation_flags & StackFlags.RESTART_SCAN:
        file.directory_position = 0
    listing = [(name, node) for name, node in driver.files.listing(file.opened.node) if _matches(name, pattern)]
    room, answer, last = length, bytearray(), 0
    while file.directory_position < len(listing):
        name, node = listing[file.directory_position]
        entry = _entry(kind, name, driver.files.facts(node))
        padding = -len(answer) % 8
        if len(answer) + padding + len(entry) > room:
            if not answer:
                return int(NtStatus.BUFFER_OVERFLOW), 0
            break
        answer += bytes(padding)
        if len(answer):
            answer[last : last + 4] = (len(answer) - last).to_bytes(4, "little")
        last = len(answer)
        answer += entry
        file.directory_position += 1
        if request.operation_flags & StackFlags.RETURN_SINGLE_ENTRY:
            break
    if not answer:
        return int(NtStatus.NO_SUCH_FILE if first else NtStatus.NO_MORE_FILES), 0
    yield from driver.kernel.io.views.write(buffer, bytes(answer))
    return int(NtStatus.SUCCESS), len(answer)


# -- watching


def _notify(driver: "FileSystemDriver", request: Request) -> Code:
    file = request.file
    if file is None or file.opened is None or not file.opened.node.directory:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    if request.cancelled:  # while a filter had it
        return int(NtStatus.CANCELLED), 0
    driver.watches.append(request)
    request.set_cancel_routine(lambda request: _cancel(driver, request))
    yield from ()
    return None


def _cancel(driver: "FileSystemDriver", request: Request) -> Code:
    if request in driver.watches:
        driver.watches.remove(request)
        driver.kernel.io.complete_later(request, NtStatus.CANCELLED, 0)
    yield from ()
    return


def changed(driver: "FileSystemDriver", node: "Node", action: Action) -> None:
    """Tell who watches the directory of `node`, or one above it."""
    parent = node.relative.rpartition("\\")[0] or "\\"
    for request in list(driver.watches):
        assert request.file is not None
        opened = request.file.opened
        if opened is None:
            continue
        watched = opened.node.relative
        below = parent == watched or (
            request.operation_flags & StackFlags.WATCH_TREE and (watched == "\\" or parent.startswith(watched + "\\"))
        )
        if below:
            driver.watches.remove(request)
            relative = node.relative[len(watched) :].lstrip("\\")
            driver.kernel.queue_worker(_report(driver, request, action, relative))


def _report(driver: "FileSystemDriver", request: Request, action: Action, relative: str) -> Code:
    length, *_, buffer, _ = NOTIFY.unpack_from(request.parameters)
    encoded = relative.encode("utf-16-le", "surrogatepass")
    record = Struct("<III").pack(0, int(action), len(encoded)) + encoded
    if len(record) > length:
        driver.kernel.io.complete_later(request, NtStatus.NOTIFY_ENUM_DIR, 0)
        return
    yield from driver.kernel.io.views.write(buffer, record)
    driver.kernel.io.complete_later(request, NtStatus.SUCCESS, len(record))
