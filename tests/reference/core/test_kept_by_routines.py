"""What a routine of a driver keeps when it returns is told of it where it returns, whatever kind of routine it is."""

from collections.abc import Callable

import pytest

from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
static KEVENT Done;
static KMUTEX Mutex;
static KSPIN_LOCK Lock;
static WORK_QUEUE_ITEM Item;
static KDPC Dpc;
static LARGE_INTEGER Cookie;
static SECURITY_CLIENT_CONTEXT Client;

static VOID Keep(ULONG_PTR What)
{
    KIRQL Old;

    if (What == 1) KeEnterCriticalRegion();
    if (What == 2) __asm__ volatile("cli");
    if (What == 3) KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    if (What == 4) KeRaiseIrql(HIGH_LEVEL, &Old);
    if (What == 5) KeAcquireSpinLock(&Lock, &Old);
    if (What == 6) SeImpersonateClientEx(&Client, NULL);
    if (What == 7) {
        KeEnterCriticalRegion();
        KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
        KeReleaseMutex(&Mutex, FALSE);
        SeImpersonateClientEx(&Client, NULL);
        PsRevertToSelf();
        KeLeaveCriticalRegion();
    }
}

static VOID NTAPI Work(PVOID Context)
{
    KeSetEvent(&Done, 0, FALSE);
    Keep((ULONG_PTR)Context);
}

static VOID NTAPI Deferred(PKDPC Which, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Which);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    KeSetEvent(&Done, 0, FALSE);
    Keep((ULONG_PTR)Context);
}

static VOID NTAPI Expired(PEX_TIMER Timer, PVOID Context)
{
    UNREFERENCED_PARAMETER(Timer);
    KeSetEvent(&Done, 0, FALSE);
    Keep((ULONG_PTR)Context);
}

static NTSTATUS NTAPI Registry(PVOID Context, PVOID Which, PVOID Information)
{
    UNREFERENCED_PARAMETER(Information);
    if ((ULONG_PTR)Which == RegNtPreOpenKeyEx) Keep((ULONG_PTR)Context);
    return STATUS_SUCCESS;
}

static VOID NTAPI Notified(PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    Keep((ULONG_PTR)Context);
}

EXPORT ULONG Prepare(void)
{
    SECURITY_QUALITY_OF_SERVICE Quality = {sizeof(Quality), SecurityImpersonation, SECURITY_DYNAMIC_TRACKING, FALSE};

    KeInitializeEvent(&Done, SynchronizationEvent, FALSE);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeSpinLock(&Lock);
    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &Quality, FALSE, &Client) == STATUS_SUCCESS);
    return Checks;
}

EXPORT ULONG InWork(PVOID What)
{
    ExInitializeWorkItem(&Item, Work, What);
    ExQueueWorkItem(&Item, DelayedWorkQueue);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    return 0;
}

EXPORT ULONG InDpc(PVOID What)
{
    KeInitializeDpc(&Dpc, Deferred, What);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    return 0;
}

EXPORT ULONG InTimer(PVOID What)
{
    PEX_TIMER Timer = ExAllocateTimer(Expired, What, 0);

    ExSetTimer(Timer, -10000, 0, NULL);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    ExDeleteTimer(Timer, TRUE, TRUE, NULL);
    return 0;
}

EXPORT ULONG InRegistry(PVOID What)
{
    UNICODE_STRING Altitude = RTL_CONSTANT_STRING(L"328000");
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System");
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Key;

    CmRegisterCallbackEx(Registry, &Altitude, &Altitude, What, &Cookie, NULL);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(ZwOpenKey(&Key, KEY_READ, &Attributes))) ZwClose(Key);
    CmUnRegisterCallback(Cookie);
    return 0;
}

EXPORT ULONG InCallback(PVOID What)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Callback\\Keeps");
    OBJECT_ATTRIBUTES Attributes;
    PCALLBACK_OBJECT Object;
    PVOID Registration;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    ExCreateCallback(&Object, &Attributes, TRUE, TRUE);
    Registration = ExRegisterCallback(Object, Notified, What);
    ExNotifyCallback(Object, NULL, NULL);
    ExUnregisterCallback(Registration);
    ObDereferenceObject(Object);
    return 0;
}
"""

CRITICAL, INTERRUPTS, MUTEX, IRQL, SPIN_LOCK, CLIENT, NOTHING = range(1, 8)
ROUTINES = {
    "InWork": "its work item",
    "InDpc": "its DPC routine",
    "InTimer": "its timer callback",
    "InRegistry": "its registry callback",
    "InCallback": "its callback routine",
}
AT_DISPATCH = {"InDpc", "InTimer"}
KEPT = {
    CRITICAL: "has returned inside a critical region, entered at test+0x",
    INTERRUPTS: "has returned with interrupts disabled: _enable",
    MUTEX: "has returned with the mutex at 0x",
    CLIENT: "has returned with its thread acting as a client, since test+0x",
}
CASES = [
    (routine, kept)
    for routine in ROUTINES
    for kept in KEPT
    if routine not in AT_DISPATCH or kept is INTERRUPTS
]  # fmt: skip


@pytest.mark.parametrize(("routine", "kept"), CASES)
def test_it_is_a_finding_with_the_routine_and_the_call(load: Callable, routine: str, kept: int):
    machine = load(DRIVER)
    machine.check("Prepare")

    machine.call(routine, kept)

    (finding,) = [item for item in machine.kernel.verifier.findings if "has returned" in item.text]
    assert finding.text.startswith(f"{ROUTINES[routine]} {KEPT[kept]}")
    assert finding.driver == "test"
    assert finding.chain[0].startswith("test+0x")


@pytest.mark.parametrize("routine", ROUTINES)
def test_another_irql_is_a_bug_check(load: Callable, routine: str):
    machine = load(DRIVER)
    machine.check("Prepare")

    with pytest.raises(BugCheckStop) as stopped:
        machine.call(routine, IRQL)

    assert stopped.value.driver == "test"
    assert f"{ROUTINES[routine]} was called at IRQL" in str(stopped.value)


@pytest.mark.parametrize("routine", ROUTINES)
def test_a_spin_lock_is_told(load: Callable, routine: str):
    machine = load(DRIVER)
    machine.check("Prepare")

    if routine in AT_DISPATCH:
        machine.call(routine, SPIN_LOCK)
    else:
        with pytest.raises(BugCheckStop):
            machine.call(routine, SPIN_LOCK)

    (finding,) = [item for item in machine.findings if "has returned" in item]
    assert finding.startswith(f"{ROUTINES[routine]} has returned with the spin lock at 0x")
    assert finding.endswith(" held") or "held, acquired at test+0x" in finding  # a tail call leaves no trace


@pytest.mark.parametrize("routine", sorted(set(ROUTINES) - AT_DISPATCH))
def test_what_is_put_right_again_is_none(load: Callable, routine: str):
    machine = load(DRIVER)
    machine.check("Prepare")

    machine.call(routine, NOTHING)

    assert machine.findings == []


IMPERSONATES = r"""
static SECURITY_CLIENT_CONTEXT Client;

EXPORT ULONG Restores(void)
{
    SECURITY_QUALITY_OF_SERVICE Quality = {sizeof(Quality), SecurityImpersonation, SECURITY_DYNAMIC_TRACKING, FALSE};
    UCHAR State[16];
    BOOLEAN Copy, Effective;
    SECURITY_IMPERSONATION_LEVEL Level;
    PACCESS_TOKEN Before;

    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &Quality, FALSE, &Client) == STATUS_SUCCESS);
    CHECK(SeImpersonateClientEx(&Client, NULL) == STATUS_SUCCESS);
    CHECK(PsDisableImpersonation(PsGetCurrentThread(), (PVOID)State));
    PsRestoreImpersonation(PsGetCurrentThread(), (PVOID)State);
    Before = PsReferenceImpersonationToken(PsGetCurrentThread(), &Copy, &Effective, &Level);
    PsRevertToSelf();
    CHECK(PsImpersonateClient(PsGetCurrentThread(), Before, Copy, Effective, Level) == STATUS_SUCCESS);
    PsDereferenceImpersonationToken(Before);
    SeDeleteClientSecurity(&Client);
    return Checks;
}
"""


def test_whom_a_system_thread_acted_as_is_its_own_matter(load: Callable):
    machine = load(IMPERSONATES)
    machine.check("Restores")

    assert machine.unload() == []
