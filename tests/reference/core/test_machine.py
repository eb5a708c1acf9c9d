"""The machine under a driver: guarded memory, IRQL, processors, time, locks; and what it says of their misuse."""

import pytest

from harness.nt import BugCheck
from harness.reference.machine.stop import HangKind, HangStop
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

DRIVER = """
static KEVENT Never;
static KSPIN_LOCK Lock;
static ULONG Counter;
static ULONG Seen[2];
static FAST_MUTEX First, Second;
static KDPC Dpc;
static KTIMER Timer;

static UCHAR *Allocate(SIZE_T Size) { return ExAllocatePool2(POOL_FLAG_NON_PAGED, Size, TAG); }

EXPORT ULONG WriteBehind(ULONG Size)
{
    volatile UCHAR *Block = Allocate(Size);
    Block[Size] = 1;
    ExFreePoolWithTag((PVOID)Block, TAG);
    return 0;
}

EXPORT ULONG WriteBefore(ULONG Size)
{
    volatile UCHAR *Block = Allocate(Size);
    Block[-1] = 1;
    ExFreePoolWithTag((PVOID)Block, TAG);
    return 0;
}

EXPORT ULONG UseAfterFree(void)
{
    volatile UCHAR *Block = Allocate(64);
    ExFreePoolWithTag((PVOID)Block, TAG);
    return Block[0];
}

EXPORT ULONG FreeTwice(void)
{
    UCHAR *Block = Allocate(64);
    ExFreePoolWithTag(Block, TAG);
    ExFreePoolWithTag(Block, TAG);
    return 0;
}

EXPORT ULONG FreeWithAnotherTag(void)
{
    ExFreePoolWithTag(Allocate(64), 'rehO');
    return 0;
}

EXPORT ULONG Leak(void)
{
    return Allocate(64) != NULL;
}

EXPORT ULONG Zeroed(void)
{
    UCHAR *Block = Allocate(64);
    ULONG Sum = 0, Index;
    for (Index = 0; Index < 64; Index++) Sum += Block[Index];
    ExFreePoolWithTag(Block, TAG);
    return Sum;
}

EXPORT ULONG PagedAtDispatch(void)
{
    volatile UCHAR *Block = ExAllocatePool2(POOL_FLAG_PAGED, 64, TAG);
    KIRQL Irql;
    ULONG Value;
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Value = Block[0];
    KeLowerIrql(Irql);
    return Value;
}

EXPORT ULONG WaitAtDispatch(void)
{
    KIRQL Irql;
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
    KeLowerIrql(Irql);
    return 0;
}

EXPORT ULONG WaitForEver(void)
{
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    return (ULONG)KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
}

EXPORT ULONG64 SleepSeconds(LONG Seconds)
{
    LARGE_INTEGER Interval;
    ULONG64 Begin = KeQueryInterruptTime();
    Interval.QuadPart = -10000000LL * Seconds;
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
    return KeQueryInterruptTime() - Begin;
}

EXPORT ULONG TimeOut(void)
{
    LARGE_INTEGER Timeout;
    Timeout.QuadPart = -1;
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    return (ULONG)KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, &Timeout);
}

EXPORT ULONG Prepare(void)
{
    KeInitializeSpinLock(&Lock);
    ExInitializeFastMutex(&First);
    ExInitializeFastMutex(&Second);
    return 0;
}

EXPORT ULONG CountUnderLock(ULONG Times)
{
    ULONG Index, Value;
    KIRQL Irql;
    for (Index = 0; Index < Times; Index++) {
        KeAcquireSpinLock(&Lock, &Irql);
        Value = Counter;
        KeGetCurrentProcessorNumberEx(NULL);
        Counter = Value + 1;
        KeReleaseSpinLock(&Lock, Irql);
    }
    return Counter;
}

EXPORT ULONG CountWithoutLock(ULONG Times)
{
    ULONG Index, Value;
    for (Index = 0; Index < Times; Index++) {
        Value = Counter;
        KeGetCurrentProcessorNumberEx(NULL);
        Counter = Value + 1;
    }
    return Counter;
}

EXPORT ULONG Counted(void)
{
    return Counter;
}

EXPORT ULONG LockBothWays(ULONG Other)
{
    FAST_MUTEX *Outer = Other ? &Second : &First;
    FAST_MUTEX *Inner = Other ? &First : &Second;
    LARGE_INTEGER Interval;
    Interval.QuadPart = -10;
    ExAcquireFastMutex(Outer);
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
    ExAcquireFastMutex(Inner);
    ExReleaseFastMutex(Inner);
    ExReleaseFastMutex(Outer);
    return 0;
}

EXPORT ULONG StayAtDispatch(ULONG Rounds)
{
    KIRQL Irql;
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    while (Rounds--) {
        Seen[KeGetCurrentProcessorNumberEx(NULL) & 1] |= 1u << KeGetCurrentIrql();
    }
    KeLowerIrql(Irql);
    return 0;
}

EXPORT ULONG StayAtPassive(ULONG Rounds)
{
    while (Rounds--) {
        Seen[KeGetCurrentProcessorNumberEx(NULL) & 1] |= 1u << KeGetCurrentIrql();
    }
    return 0;
}

EXPORT ULONG SeenOn(ULONG Processor)
{
    return Seen[Processor];
}

static KDEFERRED_ROUTINE Routine;
static VOID Routine(PKDPC Own, PVOID Context, PVOID One, PVOID Two)
{
    UNREFERENCED_PARAMETER(Own);
    UNREFERENCED_PARAMETER(One);
    UNREFERENCED_PARAMETER(Two);
    Counter = KeGetCurrentIrql() + 100;
    KeSetEvent(Context, 0, FALSE);
}

EXPORT ULONG IrqlOfTimerDpc(void)
{
    LARGE_INTEGER Due;
    Due.QuadPart = -10000;
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    KeInitializeDpc(&Dpc, Routine, &Never);
    KeInitializeTimer(&Timer);
    KeSetTimer(&Timer, Due, &Dpc);
    KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
    return Counter;
}

EXPORT ULONG LeaveTimerSet(void)
{
    LARGE_INTEGER Due;
    Due.QuadPart = -10000000000LL;
    KeInitializeTimer(&Timer);
    KeSetTimer(&Timer, Due, NULL);
    return 0;
}
"""


@pytest.fixture
def machine(load):
    return load(DRIVER)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("WriteBehind", (4096,)),
        ("WriteBehind", (61,)),
        ("WriteBefore", (64,)),
        ("UseAfterFree", ()),
        ("FreeTwice", ()),
        ("PagedAtDispatch", ()),
    ],
)
def test_what_a_driver_must_not_do_with_memory_stops_the_machine_and_names_it(machine, function, args):
    with pytest.raises(BugCheckStop) as stop:
        machine.call(function, *args)
    assert stop.value.driver == "test"
    assert stop.value.kind is BugCheckKind.DRIVER


def test_a_block_that_is_freed_with_another_tag_is_a_finding_and_freed(machine):
    machine.call("FreeWithAnotherTag")

    (finding,) = machine.kernel.verifier.findings
    assert "is freed with tag" in finding.text
    assert finding.driver == "test"
    assert len(machine.unload()) == 1


def test_new_pool_is_zeroed(machine):
    assert machine.call("Zeroed") == 0
    assert machine.unload() == []


def test_a_block_that_is_still_there_at_unload_is_a_leak_with_its_tag(machine):
    machine.call("Leak")
    (finding,) = machine.unload()
    assert "leak" in finding
    assert "Test" in finding


def test_a_timer_that_is_still_set_at_unload_is_a_leak(machine):
    machine.call("LeaveTimerSet")
    assert any("timer" in text for text in machine.unload())


def test_a_thread_cannot_wait_at_dispatch_level(machine):
    with pytest.raises(BugCheckStop) as stop:
        machine.call("WaitAtDispatch")
    assert stop.value.driver == "test"
    assert stop.value.code is BugCheck.IRQL_NOT_LESS_OR_EQUAL


def test_a_wait_that_nothing_can_end_is_found_at_once(machine):
    with pytest.raises(HangStop) as stop:
        machine.call("WaitForEver")
    assert stop.value.kind is HangKind.HANG


def test_time_is_virtual_and_a_delay_takes_as_long_as_it_says(machine):
    assert 3600 * 10_000_000 <= machine.call("SleepSeconds", 3600) < 3601 * 10_000_000


def test_a_wait_ends_with_its_timeout(machine):
    assert machine.call("TimeOut") == 0x102


def test_two_threads_that_take_two_locks_in_opposite_orders_are_a_deadlock_that_names_both(machine):
    machine.call("Prepare")
    machine.start("LockBothWays", 0, name="one")
    other = machine.start("LockBothWays", 1, name="two")
    with pytest.raises(HangStop, match="threads wait for each other") as stop:
        machine.kernel.run_until(other)
    assert stop.value.kind is HangKind.DEADLOCK
    assert stop.value.driver == "test"
    assert {waiter.name: (waiter.owner or "").split()[-1] for waiter in stop.value.waiters} == {
        "one": "(two)",
        "two": "(one)",
    }


def count_in_two_threads(load, function: str, seed: int) -> int:
    machine = load(DRIVER, seed=seed)
    machine.call("Prepare")
    threads = [machine.start(function, 40, name=f"counter {number}") for number in range(2)]
    for thread in threads:
        machine.kernel.run_until(thread)
    return machine.call("Counted")


def test_a_spin_lock_keeps_two_processors_apart_and_without_it_updates_are_lost(load):
    seeds = range(6)
    assert {count_in_two_threads(load, "CountUnderLock", seed) for seed in seeds} == {80}
    unlocked = [count_in_two_threads(load, "CountWithoutLock", seed) for seed in seeds]
    assert min(unlocked) < 80
    assert [count_in_two_threads(load, "CountWithoutLock", seed) for seed in seeds] == unlocked


def test_each_processor_has_an_irql_of_its_own(load):
    passive, dispatch = 1 << 0, 1 << 2
    seen = set()
    for seed in range(6):
        machine = load(DRIVER, seed=seed)
        threads = [machine.start(name, 60) for name in ("StayAtDispatch", "StayAtPassive")]
        for thread in threads:
            machine.kernel.run_until(thread)
        seen |= {(processor, machine.call("SeenOn", processor)) for processor in (0, 1)}
    assert all(levels & ~(passive | dispatch) == 0 for _, levels in seen)
    assert {levels & dispatch for _, levels in seen} == {0, dispatch}
    assert any(levels & passive for _, levels in seen)


def test_a_timers_dpc_runs_at_dispatch_level(machine):
    assert machine.call("IrqlOfTimerDpc") == 102
