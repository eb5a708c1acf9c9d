"""Events, semaphores and mutexes. Their state is the DISPATCHER_HEADER in guest memory."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import I32, NTOSKRNL, U8, U32, export
from harness.reference.windows.ntos.ke.dispatcher_objects import (
    MUTANT,
    NOTIFICATION_EVENT,
    SEMAPHORE,
    DispatcherHeader,
    KMutant,
    initialize_header,
)
from harness.reference.windows.ntos.ke.dispatcher_states import set_event

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SEMAPHORE_LIMIT = 0x18
_SEMAPHORE_LIMIT_EXCEEDED = 0xC0000047
_MUTANT_NOT_OWNED = 0xC0000046


@export(NTOSKRNL, "KeInitializeEvent")
def ke_initialize_event(k: "Kernel", event: int, kind: U32, state: bool) -> int:
    initialize_header(k.memory, event, NOTIFICATION_EVENT + (kind & 1), 0x18, int(state))
    return 0


@export(NTOSKRNL, "KeSetEvent", max_irql=Irql.DISPATCH)
def ke_set_event(k: "Kernel", event: int, increment: I32, wait: bool) -> int:
    del increment
    if wait and k.irql > Irql.APC:
        k.bugcheck(BugCheck.IRQL_NOT_LESS_OR_EQUAL, event, k.irql, message="KeSetEvent with Wait at DISPATCH_LEVEL")
    return set_event(k, event)


@export(NTOSKRNL, "KePulseEvent", max_irql=Irql.DISPATCH)
def ke_pulse_event(k: "Kernel", event: int, increment: I32, wait: bool) -> int:
    del increment, wait
    before = set_event(k, event)
    DispatcherHeader(k.memory, event).signal_state = 0
    return before


@export(NTOSKRNL, "KeClearEvent", max_irql=Irql.DISPATCH)
def ke_clear_event(k: "Kernel", event: int) -> int:
    DispatcherHeader(k.memory, event).signal_state = 0
    return 0


@export(NTOSKRNL, "KeResetEvent", max_irql=Irql.DISPATCH)
def ke_reset_event(k: "Kernel", event: int) -> int:
    header = DispatcherHeader(k.memory, event)
    before = header.signal_state
    header.signal_state = 0
    return before & 0xFFFF_FFFF


@export(
    NTOSKRNL, "KeReadStateEvent", "KeReadStateSemaphore", "KeReadStateMutex", "KeReadStateTimer",
    max_irql=Irql.DISPATCH,
)  # fmt: skip
def ke_read_state(k: "Kernel", item: int) -> int:
    return DispatcherHeader(k.memory, item).signal_state & 0xFFFF_FFFF


@export(NTOSKRNL, "KeInitializeSemaphore")
def ke_initialize_semaphore(k: "Kernel", semaphore: int, count: I32, limit: I32) -> int:
    initialize_header(k.memory, semaphore, SEMAPHORE, 0x20, count)
    k.memory.write_u32(semaphore + _SEMAPHORE_LIMIT, limit)
    return 0


@export(NTOSKRNL, "KeReleaseSemaphore", max_irql=Irql.DISPATCH)
def ke_release_semaphore(k: "Kernel", semaphore: int, increment: I32, adjustment: I32, wait: bool) -> int:
    del increment, wait
    header = DispatcherHeader(k.memory, semaphore)
    before = header.signal_state
    if before + adjustment > k.memory.read_i32(semaphore + _SEMAPHORE_LIMIT) or adjustment <= 0:
        raise GuestException(_SEMAPHORE_LIMIT_EXCEEDED)
    header.signal_state = before + adjustment
    k.scheduler.signal_key(semaphore)
    return before & 0xFFFF_FFFF


@export(NTOSKRNL, "KeInitializeMutex")
def ke_initialize_mutex(k: "Kernel", mutex: int, level: U32) -> int:
    del level
    k.memory.write(mutex, bytes(KMutant.SIZE))
    initialize_header(k.memory, mutex, MUTANT, KMutant.SIZE, 1)
    KMutant(k.memory, mutex).apc_disable = 1
    k.mutexes.initialized(mutex)
    return 0


@export(NTOSKRNL, "KeReleaseMutex", max_irql=Irql.DISPATCH)
def ke_release_mutex(k: "Kernel", mutex: int, wait: bool) -> int:
    del wait
    mutant = KMutant(k.memory, mutex)
    if mutant.owner_thread != k.current.kthread:
        raise GuestException(_MUTANT_NOT_OWNED)
    header = DispatcherHeader(k.memory, mutex)
    before = header.signal_state
    header.signal_state = before + 1
    if before + 1 == 1:
        mutant.owner_thread = 0
        k.scheduler.signal_key(mutex)
    return before & 0xFFFF_FFFF


@export(NTOSKRNL, "KeInitializeMutant")
def ke_initialize_mutant(k: "Kernel", mutant: int, owned: U8) -> int:
    ke_initialize_mutex(k, mutant, 0)
    if owned:
        k.memory.write_u32(mutant + 4, 0)
        k.memory.write_u64(mutant + 0x28, k.current.kthread)
    return 0


@export(NTOSKRNL, "KeReleaseMutant", max_irql=Irql.DISPATCH)
def ke_release_mutant(k: "Kernel", mutant: int, increment: I32, abandoned: U8, wait: U8) -> int:
    del increment, abandoned
    return int(ke_release_mutex(k, mutant, bool(wait)))


@export(NTOSKRNL, "KeReadStateMutant", max_irql=Irql.DISPATCH)
def ke_read_state_mutant(k: "Kernel", mutant: int) -> int:
    return k.memory.read_u32(mutant + 4)
