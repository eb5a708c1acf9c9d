"""I/O priorities and activity ids, of operations, files and threads; the I/O manager's own calls do the same."""

from struct import pack, unpack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL, U32, export
from harness.reference.windows.ntos.ps.process_objects import thread_at

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_CALL = "the call"
"""Of whichever of the two names: a finding's place says which."""

_NORMAL, _PRIORITIES = 2, 5
_PAGE_PRIORITY, _INFO_SIZE = 5, 16


@export(FLTMGR, "FltGetIoPriorityHintFromFileObject", max_irql=Irql.DISPATCH)
def flt_get_io_priority_hint_from_file_object(k: "Kernel", file_object: int) -> int:
    """FltGetIoPriorityHintFromFileObject: normal, unless it was set."""
    k.memory.read(file_object, 1)
    return k.io.priorities.get(file_object, _NORMAL)


@export(FLTMGR, "FltGetIoPriorityHintFromThread", max_irql=Irql.DISPATCH)
def flt_get_io_priority_hint_from_thread(k: "Kernel", thread: int) -> int:
    """FltGetIoPriorityHintFromThread: normal, unless it was set."""
    return k.io.priorities.get(thread_at(k, thread, "FltGetIoPriorityHintFromThread").kthread, _NORMAL)


@export(NTOSKRNL, "IoSetIoPriorityHintIntoFileObject", max_irql=Irql.DISPATCH)
@export(FLTMGR, "FltSetIoPriorityHintIntoFileObject", max_irql=Irql.DISPATCH)
def flt_set_io_priority_hint_into_file_object(k: "Kernel", file_object: int, priority: U32) -> int:
    """FltSetIoPriorityHintIntoFileObject: what is requested on it from now on has this priority."""
    if priority >= _PRIORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.io.priorities[file_object] = priority
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoSetIoPriorityHintIntoThread", max_irql=Irql.DISPATCH)
@export(FLTMGR, "FltSetIoPriorityHintIntoThread", max_irql=Irql.DISPATCH)
def flt_set_io_priority_hint_into_thread(k: "Kernel", thread: int, priority: U32) -> int:
    """FltSetIoPriorityHintIntoThread: what the thread requests from now on has this priority."""
    found = thread_at(k, thread, _CALL)
    if priority >= _PRIORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    k.io.priorities[found.kthread] = priority
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltRetrieveIoPriorityInfo", max_irql=Irql.DISPATCH)
def flt_retrieve_io_priority_info(k: "Kernel", data: int, file_object: int, thread: int, info: int) -> int:
    """FltRetrieveIoPriorityInfo: of the operation, else of the file, else of the thread."""
    return _retrieve(k, k.flt.operation_at(data).request.priority if data else None, file_object, thread, info)


@export(NTOSKRNL, "IoRetrievePriorityInfo", max_irql=Irql.DISPATCH)
def io_retrieve_priority_info(k: "Kernel", irp: int, file_object: int, thread: int, info: int) -> int:
    """IoRetrievePriorityInfo: of the IRP, else of the file, else of the thread."""
    return _retrieve(k, k.io.irps.request_of(irp).priority if irp else None, file_object, thread, info)


def _retrieve(k: "Kernel", priority: int | None, file_object: int, thread: int, info: int) -> int:
    if k.memory.read_u32(info) != _INFO_SIZE:
        return int(NtStatus.INVALID_PARAMETER)
    found = thread_at(k, thread, _CALL) if thread else k.current
    if priority is None:
        priority = k.io.priorities.get(file_object, k.io.priorities.get(found.kthread, _NORMAL))
    k.memory.write(info, pack("<IIII", _INFO_SIZE, found.priority, _PAGE_PRIORITY, priority))
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoApplyPriorityInfoThread", max_irql=Irql.DISPATCH)
@export(FLTMGR, "FltApplyPriorityInfoThread", max_irql=Irql.DISPATCH)
def flt_apply_priority_info_thread(k: "Kernel", wanted: int, before: int, thread: int) -> int:
    """FltApplyPriorityInfoThread: to undo it, what it was before is applied again."""
    found = thread_at(k, thread, _CALL)
    size, priority, _, hint = unpack("<IIII", k.memory.read(wanted, _INFO_SIZE))
    if size != _INFO_SIZE or hint >= _PRIORITIES:
        return int(NtStatus.INVALID_PARAMETER)
    old = k.io.priorities.get(found.kthread, _NORMAL)
    if before:
        k.memory.write(before, pack("<IIII", _INFO_SIZE, found.priority, _PAGE_PRIORITY, old))
    k.io.priorities[found.kthread] = hint
    if 1 <= priority <= 31:
        k.scheduler.set_priority(found, priority)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltPropagateActivityIdToThread", max_irql=Irql.DISPATCH)
def flt_propagate_activity_id_to_thread(k: "Kernel", data: int, copy: int, original: int) -> int:
    """FltPropagateActivityIdToThread: the thread goes on under the operation's activity; IoClearActivityIdThread."""
    activity = k.flt.operation_at(data).request.activity
    k.memory.write_u64(original, 0)
    if activity is None:
        return int(NtStatus.NOT_FOUND)
    k.memory.write(copy, activity)
    k.memory.write_u64(original, k.io.thread_activities.get(k.current.kthread, 0))
    k.io.thread_activities[k.current.kthread] = copy
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltPropagateIrpExtension", max_irql=Irql.DISPATCH)
def flt_propagate_irp_extension(k: "Kernel", source: int, target: int, flags: U32) -> int:
    """FltPropagateIrpExtension: the activity, from one operation to another."""
    if flags:
        return int(NtStatus.INVALID_PARAMETER)
    k.flt.operation_at(target).request.activity = k.flt.operation_at(source).request.activity
    return int(NtStatus.SUCCESS)
