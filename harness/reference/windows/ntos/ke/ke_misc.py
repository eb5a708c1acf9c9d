"""Critical regions, time, and what a thread may ask about processors."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import HAL, NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME, PERFORMANCE_FREQUENCY, TICK, UP_TICKS

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "KeEnterCriticalRegion", max_irql=Irql.APC)
def ke_enter_critical_region(k: "Kernel") -> int:
    k.apc_counts.enter_critical_region()
    return 0


@export(NTOSKRNL, "KeLeaveCriticalRegion", max_irql=Irql.DISPATCH)
def ke_leave_critical_region(k: "Kernel") -> int:
    counts = k.apc_counts
    if counts.critical_regions == 0:
        k.bugcheck(
            BugCheck.APC_INDEX_MISMATCH, 0, 0, 1,
            message="KeLeaveCriticalRegion without KeEnterCriticalRegion in this thread",
        )  # fmt: skip
    counts.leave_critical_region()
    return 0


@export(NTOSKRNL, "KeEnterGuardedRegion", max_irql=Irql.APC)
def ke_enter_guarded_region(k: "Kernel") -> int:
    k.apc_counts.enter_guarded_region()
    return 0


@export(NTOSKRNL, "KeLeaveGuardedRegion", max_irql=Irql.APC)
def ke_leave_guarded_region(k: "Kernel") -> int:
    counts = k.apc_counts
    if counts.guarded_regions == 0:
        k.bugcheck(
            BugCheck.APC_INDEX_MISMATCH, 0, 0, 1,
            message="KeLeaveGuardedRegion without KeEnterGuardedRegion in this thread",
        )  # fmt: skip
    counts.leave_guarded_region()
    return 0


@export(NTOSKRNL, "KeAreApcsDisabled", max_irql=Irql.DISPATCH)
def ke_are_apcs_disabled(k: "Kernel") -> bool:
    return k.apc_counts.disabled


@export(NTOSKRNL, "KeAreAllApcsDisabled", max_irql=Irql.DISPATCH)
def ke_are_all_apcs_disabled(k: "Kernel") -> bool:
    return k.apc_counts.guarded_regions > 0 or k.irql >= Irql.APC


@export(NTOSKRNL, "KeQueryPerformanceCounter")
@export(HAL, "KeQueryPerformanceCounter")
def ke_query_performance_counter(k: "Kernel", frequency: int) -> int:
    if frequency:
        k.memory.write_u64(frequency, PERFORMANCE_FREQUENCY)
    return k.now


@export(NTOSKRNL, "KeQuerySystemTimePrecise")
def ke_query_system_time_precise(k: "Kernel", time: int) -> int:
    k.memory.write_u64(time, BOOT_TIME + k.now)
    return 0


@export(NTOSKRNL, "KeQuerySystemTime", "KeQuerySystemTimeCoarse")
def ke_query_system_time(k: "Kernel", time: int) -> int:
    k.memory.write_u64(time, BOOT_TIME + k.now // TICK * TICK)
    return 0


@export(NTOSKRNL, "KeQueryInterruptTime", "KeQueryUnbiasedInterruptTime")
def ke_query_interrupt_time(k: "Kernel") -> int:
    return (UP_TICKS + k.now // TICK) * TICK


@export(NTOSKRNL, "KeQueryInterruptTimePrecise")
def ke_query_interrupt_time_precise(k: "Kernel", counter: int) -> int:
    if counter:
        k.memory.write_u64(counter, k.now)
    return UP_TICKS * TICK + k.now


@export(NTOSKRNL, "KeQueryTickCount")
def ke_query_tick_count(k: "Kernel", count: int) -> int:
    k.memory.write_u64(count, UP_TICKS + k.now // TICK)
    return 0


@export(NTOSKRNL, "KeQueryTimeIncrement")
def ke_query_time_increment(k: "Kernel") -> int:
    del k
    return TICK


@export(NTOSKRNL, "ExSystemTimeToLocalTime", "ExLocalTimeToSystemTime")
def ex_convert_time(k: "Kernel", source: int, destination: int) -> int:
    """The model's time zone is UTC."""
    k.memory.write_u64(destination, k.memory.read_u64(source))
    return 0


@export(NTOSKRNL, "KeStallExecutionProcessor")
@export(HAL, "KeStallExecutionProcessor")
def ke_stall_execution_processor(k: "Kernel", microseconds: U32) -> int:
    k.clock.nanoseconds += 1000 * microseconds
    return 0


@export(NTOSKRNL, "KeGetCurrentProcessorNumberEx")
def ke_get_current_processor_number_ex(k: "Kernel", processor_number: int) -> int:
    number = k.processor.number
    if processor_number:
        k.memory.write(processor_number, bytes((0, 0, number, 0)))
    return number


@export(NTOSKRNL, "KeQueryActiveProcessorCount", "KeQueryActiveProcessorCountEx", "KeQueryMaximumProcessorCount")
def ke_query_active_processor_count(k: "Kernel") -> int:
    return len(k.processors)


@export(NTOSKRNL, "KeQueryMaximumProcessorCountEx")
def ke_query_maximum_processor_count_ex(k: "Kernel") -> int:
    return len(k.processors)


@export(NTOSKRNL, "KeQueryActiveProcessors")
def ke_query_active_processors(k: "Kernel") -> int:
    return (1 << len(k.processors)) - 1


@export(NTOSKRNL, "KeSetSystemAffinityThreadEx", max_irql=Irql.APC)
def ke_set_system_affinity_thread_ex(k: "Kernel", affinity: int) -> int:
    thread = k.current
    mask = (1 << len(k.processors)) - 1
    before = thread.affinity & mask if thread.affinity != ~0 else 0
    if affinity & mask:
        k.set_affinity(thread, affinity & mask)
    return before


@export(NTOSKRNL, "KeSetSystemAffinityThread", max_irql=Irql.APC)
def ke_set_system_affinity_thread(k: "Kernel", affinity: int) -> int:
    ke_set_system_affinity_thread_ex(k, affinity)
    return 0


@export(NTOSKRNL, "KeRevertToUserAffinityThreadEx", max_irql=Irql.APC)
def ke_revert_to_user_affinity_thread_ex(k: "Kernel", affinity: int) -> int:
    k.set_affinity(k.current, affinity or ~0)
    return 0


@export(NTOSKRNL, "KeRevertToUserAffinityThread", max_irql=Irql.APC)
def ke_revert_to_user_affinity_thread(k: "Kernel") -> int:
    k.set_affinity(k.current, ~0)
    return 0


@export(NTOSKRNL, "KeSetPriorityThread", max_irql=Irql.DISPATCH)
def ke_set_priority_thread(k: "Kernel", thread: int, priority: U32) -> int:
    target = k.processes.threads.get(thread)
    if target is None:
        k.bugcheck(
            BugCheck.PAGE_FAULT_IN_NONPAGED_AREA, thread, message=f"KeSetPriorityThread: {thread:#x} is no thread"
        )
    before = target.priority
    k.scheduler.set_priority(target, max(1, min(31, priority)))
    return before


@export(NTOSKRNL, "KeQueryPriorityThread")
def ke_query_priority_thread(k: "Kernel", thread: int) -> int:
    target = k.processes.threads.get(thread)
    return target.priority if target is not None else 0


@export(NTOSKRNL, "KeExpandKernelStackAndCallout", max_irql=Irql.DISPATCH)
def ke_expand_kernel_stack_and_callout(k: "Kernel", callout: int, parameter: int, size: int) -> KernelCode:
    """Kernel stacks do not grow here: the callout runs on the stack there is."""
    del k, size
    return _callout(callout, parameter)


def _callout(callout: int, parameter: int) -> KernelCode:
    yield Call(callout, parameter)
    return 0


@export(NTOSKRNL, "IoGetStackLimits")
def io_get_stack_limits(k: "Kernel", low: int, high: int) -> int:
    execution = k.engine.current_execution
    k.memory.write_u64(low, execution.stack_base)
    k.memory.write_u64(high, execution.stack_top)
    return 0


@export(NTOSKRNL, "IoGetInitialStack")
def io_get_initial_stack(k: "Kernel") -> int:
    return k.engine.current_execution.stack_top
