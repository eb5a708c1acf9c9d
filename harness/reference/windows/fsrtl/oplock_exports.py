"""FsRtl's oplocks, for file systems and legacy filters: an OPLOCK in each file, asked with the IRPs that come to it."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fsrtl import driver_oplocks as oplocks
from harness.reference.windows.fsrtl import oplock_fsctls, oplock_keys
from harness.reference.windows.fsrtl.driver_oplocks import Checked
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.kernel import Kernel

_KEY_CONTEXT = Struct("<HH16s16sI")
"""OPLOCK_KEY_CONTEXT: version, OPLOCK_KEY_FLAG_*, keys of parent and target, reserved."""
_TARGET_KEY, _VERSION_WIN8 = 20, 2
_STATUS_OF = {
    Checked.MAY_GO_ON: NtStatus.SUCCESS,
    Checked.BREAK_IN_PROGRESS: NtStatus.OPLOCK_BREAK_IN_PROGRESS,
    Checked.WAITS: NtStatus.PENDING,
    Checked.CANCELLED: NtStatus.CANCELLED,
}


@export(NTOSKRNL, "FsRtlInitializeOplock", max_irql=Irql.DISPATCH)
def fs_rtl_initialize_oplock(k: "Kernel", address: int) -> None:
    """FsRtlInitializeOplock."""
    k.driver_oplocks.make(address)


@export(NTOSKRNL, "FsRtlUninitializeOplock", max_irql=Irql.APC)
def fs_rtl_uninitialize_oplock(k: "Kernel", address: int) -> None:
    """FsRtlUninitializeOplock."""
    k.driver_oplocks.remove(address)


@export(NTOSKRNL, "FsRtlOplockFsctrl", max_irql=Irql.APC)
def fs_rtl_oplock_fsctrl(k: "Kernel", address: int, irp: int, count: U32) -> Code:
    """FsRtlOplockFsctrl: does what an oplock FSCTL asks, and completes its IRP, now or when the oplock is broken."""
    return _fsctrl(k, address, irp, count, 0)


@export(NTOSKRNL, "FsRtlOplockFsctrlEx", max_irql=Irql.APC)
def fs_rtl_oplock_fsctrl_ex(k: "Kernel", address: int, irp: int, count: U32, flags: U32) -> Code:
    """The same with OPLOCK_FSCTRL_FLAG_ALL_KEYS_MATCH."""
    return _fsctrl(k, address, irp, count, flags)


def _fsctrl(k: "Kernel", address: int, irp: int, count: int, flags: int) -> Code:
    request = k.io.irps.request_of(irp)
    if request.major == IrpMajor.CREATE:  # its IRP stays the file system's
        return oplocks.of_create(k.io, k.driver_oplocks.at(address), request, count)
    parameters = Control.unpack(request.parameters)
    if parameters.code not in oplock_fsctls.CODES:
        return int(NtStatus.INVALID_PARAMETER)

    def give(target: int, status: int, information: int, output: bytes) -> Code:
        if output:
            yield from k.io.views.write(target, output)
        request.set_cancel_routine(None)
        yield from k.io.complete(irp, status, information)

    oplock = k.driver_oplocks.at(address)
    answered = yield from oplock_fsctls.asked(k, oplock, request, parameters, count, flags, give)
    if answered is None:
        k.io.irps.mark_pending(irp)
        return int(NtStatus.PENDING)
    yield from k.io.complete(irp, *answered)
    return int(answered[0])


def _check(
    k: "Kernel", address: int, irp: int, flags: int, context: int, completion: int, post: int, does: Does | None = None
) -> Code:
    """STATUS_SUCCESS if the operation may go on, STATUS_PENDING if `completion` is called once it may."""
    checked = yield from oplocks.check(
        k.io, k.driver_oplocks.at(address), k.io.irps.request_of(irp), flags, does,
        post=Call(post, context, irp) if post else None,
        completion=Call(completion, context, irp) if completion else None,
        tell=lambda status: k.io.irps.set_io_status(irp, int(status), 0),
    )  # fmt: skip
    if checked is Checked.WAITS:
        k.io.irps.mark_pending(irp)
    return int(_STATUS_OF[checked])


@export(NTOSKRNL, "FsRtlCheckOplock", max_irql=Irql.APC)
def fs_rtl_check_oplock(k: "Kernel", address: int, irp: int, context: int, completion: int, post: int) -> Code:
    """FsRtlCheckOplock."""
    return _check(k, address, irp, 0, context, completion, post)


@export(NTOSKRNL, "FsRtlCheckOplockEx", max_irql=Irql.APC)
def fs_rtl_check_oplock_ex(
    k: "Kernel", address: int, irp: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FsRtlCheckOplockEx."""
    return _check(k, address, irp, flags, context, completion, post)


@export(NTOSKRNL, "FsRtlOplockBreakH", max_irql=Irql.APC)
def fs_rtl_oplock_break_h(
    k: "Kernel", address: int, irp: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FsRtlOplockBreakH: who caches the handle gives it up, before a sharing violation is told."""
    return _check(k, address, irp, flags, context, completion, post, Does.SHARE_CONFLICT)


@export(NTOSKRNL, "FsRtlOplockBreakToNone", max_irql=Irql.APC)
def fs_rtl_oplock_break_to_none(
    k: "Kernel", address: int, location: int, irp: int, context: int, completion: int, post: int
) -> Code:
    """FsRtlOplockBreakToNone."""
    del location
    return _check(k, address, irp, 0, context, completion, post, Does.OVERWRITE)


@export(NTOSKRNL, "FsRtlOplockBreakToNoneEx", max_irql=Irql.APC)
def fs_rtl_oplock_break_to_none_ex(
    k: "Kernel", address: int, irp: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FsRtlOplockBreakToNoneEx."""
    return _check(k, address, irp, flags, context, completion, post, Does.OVERWRITE)


@export(NTOSKRNL, "FsRtlOplockIsFastIoPossible", max_irql=Irql.APC)
def fs_rtl_oplock_is_fast_io_possible(k: "Kernel", address: int) -> bool:
    """FsRtlOplockIsFastIoPossible."""
    return oplocks.is_fast_io_possible(k.driver_oplocks.at(address))


@export(NTOSKRNL, "FsRtlCurrentBatchOplock", max_irql=Irql.APC)
def fs_rtl_current_batch_oplock(k: "Kernel", address: int) -> bool:
    """FsRtlCurrentBatchOplock."""
    return oplocks.is_batch(k.driver_oplocks.at(address))


@export(NTOSKRNL, "FsRtlCurrentOplock", max_irql=Irql.APC)
def fs_rtl_current_oplock(k: "Kernel", address: int) -> bool:
    """FsRtlCurrentOplock."""
    return bool(k.driver_oplocks.at(address).holders)


@export(NTOSKRNL, "FsRtlCurrentOplockH", max_irql=Irql.APC)
def fs_rtl_current_oplock_h(k: "Kernel", address: int) -> bool:
    """FsRtlCurrentOplockH."""
    return oplocks.caches_handles(k.driver_oplocks.at(address))


@export(NTOSKRNL, "FsRtlOplockIsSharedRequest", max_irql=Irql.APC)
def fs_rtl_oplock_is_shared_request(k: "Kernel", irp: int) -> bool:
    """FsRtlOplockIsSharedRequest."""
    parameters = Control.unpack(k.io.irps.request_of(irp).parameters)
    given = k.memory.read(parameters.first, parameters.input_length) if parameters.input_length else b""
    return oplock_fsctls.is_shared(parameters.code, given)


@export(NTOSKRNL, "IoGetOplockKeyContext", max_irql=Irql.DISPATCH)
def io_get_oplock_key_context(k: "Kernel", file_object: int) -> int:
    """IoGetOplockKeyContext: OPLOCK_KEY_ECP_CONTEXT of an open that has a key, or NULL."""
    file = k.io.file_at(file_object)
    if file is None or file.oplock_key is None:
        return 0
    return _key_context(k, file) + _TARGET_KEY


@export(NTOSKRNL, "IoGetOplockKeyContextEx", max_irql=Irql.DISPATCH)
def io_get_oplock_key_context_ex(k: "Kernel", file_object: int) -> int:
    """IoGetOplockKeyContextEx: OPLOCK_KEY_CONTEXT of an open that has a key, or whose parent has one; or NULL."""
    file = k.io.file_at(file_object)
    if file is None or (file.oplock_key is None and file.parent_oplock_key is None):
        return 0
    return _key_context(k, file)


def _key_context(k: "Kernel", file: "FileObject") -> int:
    """OPLOCK_KEY_CONTEXT of a file object, which lives as long as that does."""
    if not file.oplock_key_context:
        file.oplock_key_context = k.io.heap.allocate(_KEY_CONTEXT.size)
    parent, target = file.parent_oplock_key, file.oplock_key
    flags = (parent is not None) | (target is not None) << 1
    packed = _KEY_CONTEXT.pack(_VERSION_WIN8, flags, parent or bytes(16), target or bytes(16), 0)
    k.memory.write(file.oplock_key_context, packed)
    return file.oplock_key_context


@export(NTOSKRNL, "FsRtlOplockKeysEqual", max_irql=Irql.DISPATCH)
def fs_rtl_oplock_keys_equal(k: "Kernel", first: int, second: int) -> bool:
    """FsRtlOplockKeysEqual."""
    return oplock_keys.equal(k.io.file_at(first), k.io.file_at(second))
