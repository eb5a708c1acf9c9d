"""Queues, processors and their affinity, floating point, bug check callbacks."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import I32, NTOSKRNL, U8, U16, U32, Length, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call, KernelCode, Wait
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestObject, initialize_header
from harness.reference.windows.ntos.ke.wait_arguments import timeout_at
from harness.reference.windows.ntos.ps.process_objects import thread_at
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_QUEUE = 4
_RECORD = Kind("bug check callback", "KeDeregisterBugCheckCallback")


# -- queues of entries that threads wait for


class Kqueue(Structure):
    """KQUEUE: its dispatcher header says how many entries are in it."""

    SIZE = 0x40
    signal_state = Field(0x04, "i")
    flink = Field(0x18)
    blink = Field(0x20)
    maximum = Field(0x2C, "I")
    HEAD = 0x18


class _QueueWait(GuestObject):
    """A thread that waits for an entry takes none by waiting: the export does."""

    def acquire(self, thread: object) -> bool:
        del thread
        return False


@export(NTOSKRNL, "KeInitializeQueue", max_irql=Irql.PASSIVE)
def ke_initialize_queue(k: "Kernel", queue: int, count: U32) -> int:
    k.memory.write(queue, bytes(Kqueue.SIZE))
    initialize_header(k.memory, queue, _QUEUE, Kqueue.SIZE, 0)
    view = Kqueue(k.memory, queue)
    view.flink = view.blink = queue + Kqueue.HEAD
    view.maximum = count or len(k.processors)
    return 0


def _insert(k: "Kernel", queue: int, entry: int, *, at_head: bool) -> int:
    view, head, memory = Kqueue(k.memory, queue), queue + Kqueue.HEAD, k.memory
    before = view.signal_state
    previous, following = (head, view.flink) if at_head else (view.blink, head)
    memory.write(entry, following.to_bytes(8, "little") + previous.to_bytes(8, "little"))
    memory.write_u64(previous, entry)
    memory.write_u64(following + 8, entry)
    view.signal_state = before + 1
    k.scheduler.signal_key(queue)
    return before


@export(NTOSKRNL, "KeInsertQueue", max_irql=Irql.DISPATCH)
def ke_insert_queue(k: "Kernel", queue: int, entry: int) -> int:
    return _insert(k, queue, entry, at_head=False)


@export(NTOSKRNL, "KeInsertHeadQueue", max_irql=Irql.DISPATCH)
def ke_insert_head_queue(k: "Kernel", queue: int, entry: int) -> int:
    return _insert(k, queue, entry, at_head=True)


@export(NTOSKRNL, "KeRemoveQueue", max_irql=Irql.DISPATCH)
def ke_remove_queue(k: "Kernel", queue: int, mode: U8, timeout: int) -> KernelCode:
    """An entry, or STATUS_TIMEOUT in its place."""
    del mode
    view, head = Kqueue(k.memory, queue), queue + Kqueue.HEAD
    while view.flink == head:
        status = yield Wait(
            [_QueueWait(k.memory, queue, "queue")], timeout_at(k, timeout), reason="an entry of a queue"
        )
        if status == NtStatus.TIMEOUT:
            return int(NtStatus.TIMEOUT)
    entry = view.flink
    following = k.memory.read_u64(entry)
    view.flink = following
    k.memory.write_u64(following + 8, head)
    view.signal_state -= 1
    return entry


@export(NTOSKRNL, "KeReadStateQueue", max_irql=Irql.DISPATCH)
def ke_read_state_queue(k: "Kernel", queue: int) -> int:
    return Kqueue(k.memory, queue).signal_state & 0xFFFF_FFFF


@export(NTOSKRNL, "KeRundownQueue", max_irql=Irql.PASSIVE)
def ke_rundown_queue(k: "Kernel", queue: int) -> int:
    """The first of what was still in it, null of an empty one; its entries stay linked to each other."""
    view, head = Kqueue(k.memory, queue), queue + Kqueue.HEAD
    first, last = view.flink, view.blink
    if first == head:
        return 0
    k.memory.write_u64(last, first)
    k.memory.write_u64(first + 8, last)
    view.flink = view.blink = head
    view.signal_state = 0
    return first


# -- processors


@export(NTOSKRNL, "KeQueryActiveGroupCount", "KeQueryMaximumGroupCount")
def ke_query_active_group_count(k: "Kernel") -> int:
    del k
    return 1


@export(NTOSKRNL, "KeQueryGroupAffinity")
def ke_query_group_affinity(k: "Kernel", group: U16) -> int:
    return (1 << len(k.processors)) - 1 if not group else 0


@export(NTOSKRNL, "KeGetProcessorIndexFromNumber")
def ke_get_processor_index_from_number(k: "Kernel", number: int) -> int:
    """Of a PROCESSOR_NUMBER; INVALID_PROCESSOR_INDEX for one that there is not."""
    group, index = k.memory.read_u16(number), k.memory.read_u8(number + 2)
    return index if not group and index < len(k.processors) else 0xFFFF_FFFF


@export(NTOSKRNL, "KeGetProcessorNumberFromIndex")
def ke_get_processor_number_from_index(k: "Kernel", index: U32, number: int) -> int:
    if index >= len(k.processors):
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(number, pack("<HBB", 0, index, 0))
    return 0


@export(NTOSKRNL, "KeGetCurrentNodeNumber", "KeQueryHighestNodeNumber")
def ke_get_current_node_number(k: "Kernel") -> int:
    del k
    return 0


@export(NTOSKRNL, "KeSetSystemGroupAffinityThread", max_irql=Irql.APC)
def ke_set_system_group_affinity_thread(k: "Kernel", affinity: int, previous: int) -> int:
    """GROUP_AFFINITY: a mask, then a group."""
    thread, everyone = k.current, (1 << len(k.processors)) - 1
    if previous:
        before = thread.affinity & everyone if thread.affinity != ~0 else 0
        k.memory.write(previous, pack("<QHHHH", before, 0, 0, 0, 0))
    mask = k.memory.read_u64(affinity) & everyone
    if mask:
        k.set_affinity(thread, mask)
    return 0


@export(NTOSKRNL, "KeRevertToUserGroupAffinityThread", max_irql=Irql.APC)
def ke_revert_to_user_group_affinity_thread(k: "Kernel", previous: int) -> int:
    k.set_affinity(k.current, k.memory.read_u64(previous) or ~0)
    return 0


@export(NTOSKRNL, "KeSetIdealProcessorThread", max_irql=Irql.DISPATCH)
def ke_set_ideal_processor_thread(k: "Kernel", thread: int, number: U8) -> int:
    """A wish that the model's scheduler does not know of."""
    del number
    thread_at(k, thread, "KeSetIdealProcessorThread")
    return 0


@export(NTOSKRNL, "KeSetBasePriorityThread", max_irql=Irql.DISPATCH)
def ke_set_base_priority_thread(k: "Kernel", thread: int, increment: I32) -> int:
    """Relative to a normal thread's; what it was before."""
    found = thread_at(k, thread, "KeSetBasePriorityThread")
    before = found.priority - 8
    k.scheduler.set_priority(found, max(1, min(31, 8 + increment)))
    return before & 0xFFFF_FFFF


@export(NTOSKRNL, "KeSetActualBasePriorityThread", max_irql=Irql.DISPATCH)
def ke_set_actual_base_priority_thread(k: "Kernel", thread: int, priority: I32) -> int:
    found = thread_at(k, thread, "KeSetActualBasePriorityThread")
    before = found.priority
    k.scheduler.set_priority(found, max(1, min(31, priority)))
    return before


@export(NTOSKRNL, "KeShouldYieldProcessor")
def ke_should_yield_processor(k: "Kernel") -> bool:
    """A DPC here is never too long."""
    del k
    return False


@export(NTOSKRNL, "KeIsExecutingDpc")
def ke_is_executing_dpc(k: "Kernel") -> int:
    return int(k.engine.current_execution is not k.current.execution)


@export(NTOSKRNL, "KeQueryUnbiasedInterruptTimePrecise")
def ke_query_unbiased_interrupt_time_precise(k: "Kernel", counter: int) -> int:
    if counter:
        k.memory.write_u64(counter, k.now)
    return k.now


@export(NTOSKRNL, "KeQueryRuntimeThread", max_irql=Irql.DISPATCH)
def ke_query_runtime_thread(k: "Kernel", thread: int, user: int) -> int:
    """Processor time is not kept per thread."""
    thread_at(k, thread, "KeQueryRuntimeThread")
    k.memory.write_u32(user, 0)
    return 0


@export(NTOSKRNL, "KeQueryTotalCycleTimeThread", max_irql=Irql.DISPATCH)
def ke_query_total_cycle_time_thread(k: "Kernel", thread: int, stamp: int) -> int:
    created = thread_at(k, thread, "KeQueryTotalCycleTimeThread").created
    k.memory.write_u64(stamp, k.now)
    return k.now - created


@export(NTOSKRNL, "KeExpandKernelStackAndCalloutEx", max_irql=Irql.DISPATCH)
def ke_expand_kernel_stack_and_callout_ex(
    k: "Kernel", callout: int, parameter: int, size: int, wait: U8, context: int
) -> KernelCode:
    """Kernel stacks do not grow here: the callout runs on the stack there is."""
    del size, wait, context
    yield Call(callout, parameter)
    return 0


# -- floating point: the registers of a thread are its own here


@export(NTOSKRNL, "KeSaveExtendedProcessorState", max_irql=Irql.DISPATCH)
def ke_save_extended_processor_state(k: "Kernel", mask: int, save: int) -> int:
    del mask
    k.memory.write_u64(save, 0)
    return 0


@export(NTOSKRNL, "KeRestoreExtendedProcessorState", max_irql=Irql.DISPATCH)
def ke_restore_extended_processor_state(k: "Kernel", save: int) -> int:
    k.memory.read_u64(save)
    return 0


@export(NTOSKRNL, "KeSaveFloatingPointState", "KeRestoreFloatingPointState", max_irql=Irql.DISPATCH)
def ke_save_floating_point_state(k: "Kernel", save: int) -> int:
    k.memory.read(save, 1)
    return 0


@export(NTOSKRNL, "KeFlushIoBuffers", "KeInvalidateAllCaches", "KeInvalidateRangeAllCaches", "KeFlushEntireTb")
def ke_flush_io_buffers(k: "Kernel") -> int:
    """Caches are coherent."""
    del k
    return 1


# -- who wants to hear of a bug check


@export(NTOSKRNL, "KeRegisterBugCheckCallback")
def ke_register_bug_check_callback(
    k: "Kernel", record: int, routine: int, buffer: int, length: Length, component: int
) -> bool:
    """The record is kept; the callback is not called: what a bug check stops, nothing runs on."""
    del routine, buffer, length, component
    if k.holdings.count(_RECORD, record):
        return False
    k.holdings.take(_RECORD, record)
    return True


@export(NTOSKRNL, "KeRegisterBugCheckReasonCallback")
def ke_register_bug_check_reason_callback(k: "Kernel", record: int, routine: int, reason: U32, component: int) -> bool:
    del routine, reason, component
    return bool(ke_register_bug_check_callback(k, record, 0, 0, 0, 0))


@export(NTOSKRNL, "KeDeregisterBugCheckCallback", "KeDeregisterBugCheckReasonCallback")
def ke_deregister_bug_check_callback(k: "Kernel", record: int) -> bool:
    return k.holdings.give_back(_RECORD, record)
