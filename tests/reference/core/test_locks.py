"""Locks with owners: who gets them, who waits, and what is said of a driver that misuses them."""

import pytest

from harness.reference.machine.stop import HangKind, HangStop
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = """
static ERESOURCE Resource;
static FAST_MUTEX Mutex;
static EX_RUNDOWN_REF Rundown;
static KEVENT Go;
static volatile ULONG Order;

static VOID Sleep(LONG Ticks)
{
    LARGE_INTEGER Interval;
    Interval.QuadPart = -Ticks;
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

EXPORT ULONG Prepare(void)
{
    ExInitializeResourceLite(&Resource);
    ExInitializeFastMutex(&Mutex);
    ExInitializeRundownProtection(&Rundown);
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    return 0;
}

EXPORT ULONG Recursion(void)
{
    ULONG Depth;
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExAcquireResourceSharedLite(&Resource, TRUE);
    Depth = ExIsResourceAcquiredSharedLite(&Resource);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
    Depth = Depth * 10 + ExIsResourceAcquiredSharedLite(&Resource);
    KeLeaveCriticalRegion();
    return Depth;
}

EXPORT ULONG HoldShared(void)
{
    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(&Resource, TRUE);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    Order = Order * 10 + 1;
    ExReleaseResourceLite(&Resource);
    KeLeaveCriticalRegion();
    return 0;
}

EXPORT ULONG TryWhileShared(void)
{
    ULONG Result;
    Sleep(100);
    KeEnterCriticalRegion();
    Result = ExAcquireResourceExclusiveLite(&Resource, FALSE) ? 1 : 0;
    if (ExAcquireResourceSharedLite(&Resource, FALSE)) {
        Result += 2;
        ExReleaseResourceLite(&Resource);
    }
    KeSetEvent(&Go, 0, FALSE);
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    Order = Order * 10 + 2;
    ExReleaseResourceLite(&Resource);
    KeLeaveCriticalRegion();
    return Result * 100 + Order;
}

EXPORT ULONG AcquireFastMutexTwice(void)
{
    ExAcquireFastMutex(&Mutex);
    ExAcquireFastMutex(&Mutex);
    return 0;
}

EXPORT ULONG ReleaseWhatIsNotOwned(void)
{
    KeEnterCriticalRegion();
    ExReleaseResourceLite(&Resource);
    KeLeaveCriticalRegion();
    return 0;
}

EXPORT ULONG AcquireWithApcs(void)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    return 0;
}

EXPORT ULONG LetOthersRun(void)
{
    Sleep(100000);
    return 0;
}

EXPORT ULONG EndWithFastMutex(void)
{
    ExAcquireFastMutex(&Mutex);
    ExReleaseFastMutex(&Mutex);
    return KeGetCurrentIrql();
}

static VOID ReleaseElsewhere(PVOID Owner)
{
    ExReleaseResourceForThreadLite(&Resource, (ERESOURCE_THREAD)Owner);
}

EXPORT ULONG HandedOver(ULONG Shared)
{
    PVOID Owner = (PVOID)((ULONG_PTR)&Mutex | 3);
    ULONG Before, After;

    if (Shared) {
        ExAcquireResourceSharedLite(&Resource, TRUE);
    } else {
        ExAcquireResourceExclusiveLite(&Resource, TRUE);
    }
    ExSetResourceOwnerPointer(&Resource, Owner);
    Before = ExIsResourceAcquiredSharedLite(&Resource);
    ReleaseElsewhere(Owner);
    After = ExAcquireResourceExclusiveLite(&Resource, FALSE);
    ExReleaseResourceLite(&Resource);
    return Before * 10 + After;
}

EXPORT ULONG ReleasedByThreadAfterHandingOver(void)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExSetResourceOwnerPointer(&Resource, (PVOID)((ULONG_PTR)&Mutex | 3));
    ExReleaseResourceLite(&Resource);
    return 1;
}

EXPORT ULONG ReleasedForNobody(void)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExReleaseResourceForThreadLite(&Resource, (ERESOURCE_THREAD)&Mutex);
    return 1;
}

EXPORT ULONG HandedToNothing(void)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExSetResourceOwnerPointer(&Resource, &Mutex);
    return 1;
}

EXPORT ULONG RunDown(void)
{
    ULONG Before = ExAcquireRundownProtection(&Rundown), After;
    ExReleaseRundownProtection(&Rundown);
    ExWaitForRundownProtectionRelease(&Rundown);
    After = ExAcquireRundownProtection(&Rundown);
    return (ULONG)(Before * 10 + After);
}
"""


@pytest.fixture
def machine(load):
    machine = load(DRIVER)
    machine.call("Prepare")
    return machine


def test_a_resource_counts_what_its_owner_acquires(machine):
    assert machine.call("Recursion") == 30


@pytest.mark.parametrize("shared", [0, 1])
def test_a_resource_handed_to_an_owner_pointer_is_released_by_that(machine, shared):
    assert machine.call("HandedOver", shared) == 1


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("ReleasedByThreadAfterHandingOver", "without owning it"),
        ("ReleasedForNobody", "neither a thread nor an owner pointer"),
        ("HandedToNothing", "two lowest bits set"),
    ],
)
def test_a_resource_is_released_by_nobody_but_its_owner(machine, function, says):
    with pytest.raises(BugCheckStop, match=says) as stop:
        machine.call(function)

    assert stop.value.driver == "test"


def test_shared_owners_keep_an_exclusive_one_out_and_let_another_shared_one_in(machine):
    machine.start("HoldShared")
    assert machine.call("TryWhileShared") == 212


def test_a_fast_mutex_that_its_owner_acquires_again_is_a_deadlock_and_reported(machine):
    with pytest.raises(HangStop) as stop:
        machine.call("AcquireFastMutexTwice")
    assert stop.value.kind is HangKind.DEADLOCK
    assert stop.value.driver == "test"
    assert any("acquired again by its owner" in text for text in machine.findings)


def test_a_fast_mutex_gives_the_irql_back(machine):
    assert machine.call("EndWithFastMutex") == 0


def test_rundown_protection_is_refused_once_it_has_run_down(machine):
    assert machine.call("RunDown") == 10


def test_a_resource_that_is_released_by_who_does_not_own_it_is_the_drivers_fault(machine):
    with pytest.raises(BugCheckStop) as stop:
        machine.call("ReleaseWhatIsNotOwned")
    assert stop.value.driver == "test"


def test_a_resource_is_acquired_with_apcs_disabled_unless_by_a_system_thread(machine):
    machine.call("AcquireWithApcs")
    assert machine.findings == []

    machine.start("AcquireWithApcs").system = False
    machine.call("LetOthersRun")
    assert len(machine.findings) == 1
    assert "APC" in machine.findings[0]
