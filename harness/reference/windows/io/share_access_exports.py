"""Share access, as file systems keep it in a SHARE_ACCESS of each file."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.structures.file_objects import FileObjectView

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SHARE_ACCESS = Struct("<7I")
"""OpenCount, Readers, Writers, Deleters, SharedRead, SharedWrite, SharedDelete."""
_SHARE_READ = 1
_READ, _WRITE, _DELETE = 0x21, 0x06, 0x0001_0000
"""FILE_READ_DATA and FILE_EXECUTE; FILE_WRITE_DATA and FILE_APPEND_DATA; DELETE."""


def _change(k: "Kernel", file_object: int, share_access: int, by: int) -> None:
    """Add a file object to the counts, or take it out; one that neither reads, writes nor deletes does not count."""
    view = FileObjectView(k.memory, file_object)
    if _ignores_sharing(k, file_object):
        return
    asks = (view.read_access, view.write_access, view.delete_access)
    if not any(asks):
        return
    flags = (1, *asks, view.shared_read, view.shared_write, view.shared_delete)
    counts = k.memory.unpack(_SHARE_ACCESS, share_access)
    k.memory.pack(
        _SHARE_ACCESS, share_access, *(c + by * bool(f) & 0xFFFF_FFFF for c, f in zip(counts, flags, strict=True))
    )


def _ignores_sharing(k: "Kernel", file_object: int) -> bool:
    file = k.io.file_at(file_object)
    return file is not None and file.ignores_sharing


def _note(k: "Kernel", file_object: int, access: int, share: int) -> None:
    """Note in a file object what it was opened for."""
    view = FileObjectView(k.memory, file_object)
    view.read_access, view.write_access = int(bool(access & _READ)), int(bool(access & _WRITE))
    view.delete_access = int(bool(access & _DELETE))
    view.shared_read, view.shared_write, view.shared_delete = share & 1, share >> 1 & 1, share >> 2 & 1


@export(NTOSKRNL, "IoCheckShareAccess", max_irql=Irql.PASSIVE)
def io_check_share_access(
    k: "Kernel", access: U32, share: U32, file_object: int, share_access: int, update: bool
) -> int:
    """IoCheckShareAccess: STATUS_SHARING_VIOLATION where an open does not go with those that are there."""
    _note(k, file_object, access, share)
    count, readers, writers, deleters, read, write, delete = k.memory.unpack(_SHARE_ACCESS, share_access)
    asks = access & _READ, access & _WRITE, access & _DELETE
    if (
        any(asks)
        and not _ignores_sharing(k, file_object)
        and (
            any(asked and shared < count for asked, shared in zip(asks, (read, write, delete), strict=True))
            or (readers and not share & 1)
            or (writers and not share & 2)
            or (deleters and not share & 4)
        )
    ):
        return int(NtStatus.SHARING_VIOLATION)
    if update:
        _change(k, file_object, share_access, 1)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoCheckShareAccessEx", max_irql=Irql.PASSIVE)
def io_check_share_access_ex(
    k: "Kernel", access: U32, share: U32, file_object: int, share_access: int, update: bool, may_write: int
) -> int:
    """IoCheckShareAccessEx: who may not write a file (`may_write` points to FALSE) keeps nobody from reading it."""
    return io_check_share_access(k, access, _granted(k, share, may_write), file_object, share_access, update)


@export(NTOSKRNL, "IoSetShareAccessEx", max_irql=Irql.PASSIVE)
def io_set_share_access_ex(
    k: "Kernel", access: U32, share: U32, file_object: int, share_access: int, may_write: int
) -> None:
    """IoSetShareAccessEx: the same of the first open."""
    io_set_share_access(k, access, _granted(k, share, may_write), file_object, share_access)


def _granted(k: "Kernel", share: int, may_write: int) -> int:
    return share | _SHARE_READ if may_write and not k.memory.read_u8(may_write) else share


@export(NTOSKRNL, "IoSetShareAccess", max_irql=Irql.PASSIVE)
def io_set_share_access(k: "Kernel", access: U32, share: U32, file_object: int, share_access: int) -> None:
    """IoSetShareAccess: the first open of a file."""
    _note(k, file_object, access, share)
    k.memory.write(share_access, bytes(_SHARE_ACCESS.size))
    _change(k, file_object, share_access, 1)


@export(NTOSKRNL, "IoUpdateShareAccess", max_irql=Irql.PASSIVE)
def io_update_share_access(k: "Kernel", file_object: int, share_access: int) -> None:
    """IoUpdateShareAccess: count an open that IoCheckShareAccess has found good."""
    _change(k, file_object, share_access, 1)


@export(NTOSKRNL, "IoRemoveShareAccess", max_irql=Irql.PASSIVE)
def io_remove_share_access(k: "Kernel", file_object: int, share_access: int) -> None:
    """IoRemoveShareAccess: at cleanup."""
    _change(k, file_object, share_access, -1)


@export(NTOSKRNL, "IoSetFileObjectIgnoreSharing", max_irql=Irql.PASSIVE)
def io_set_file_object_ignore_sharing(k: "Kernel", file_object: int) -> int:
    """IoSetFileObjectIgnoreSharing: before the file system has opened it, as IO_IGNORE_SHARE_ACCESS_CHECK does."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    file.ignores_sharing = True
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoIsFileObjectIgnoringSharing", max_irql=Irql.DISPATCH)
def io_is_file_object_ignoring_sharing(k: "Kernel", file_object: int) -> bool:
    """IoIsFileObjectIgnoringSharing."""
    return _ignores_sharing(k, file_object)
