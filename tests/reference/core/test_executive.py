"""Executive and kernel services: shared spin locks, interlocked lists, callbacks, timers, queues, tracing, the rest."""

import pytest

from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
static EX_SPIN_LOCK Shared;
static ULONG Told;

EXPORT ULONG SpinLocks(void)
{
    KIRQL Irql = ExAcquireSpinLockShared(&Shared);

    CHECK(Irql == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(ExTryAcquireSpinLockSharedAtDpcLevel(&Shared));
    CHECK(!ExTryAcquireSpinLockExclusiveAtDpcLevel(&Shared));
    CHECK(!ExTryConvertSharedSpinLockExclusive(&Shared));
    ExReleaseSpinLockSharedFromDpcLevel(&Shared);
    CHECK(ExTryConvertSharedSpinLockExclusive(&Shared));
    ExReleaseSpinLockExclusive(&Shared, Irql);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && Shared == 0);
    Irql = ExAcquireSpinLockExclusive(&Shared);
    CHECK(!ExTryAcquireSpinLockSharedAtDpcLevel(&Shared));
    ExReleaseSpinLockExclusiveFromDpcLevel(&Shared);
    ExAcquireSpinLockSharedAtDpcLevel(&Shared);
    ExReleaseSpinLockSharedFromDpcLevel(&Shared);
    ExAcquireSpinLockExclusiveAtDpcLevel(&Shared);
    ExReleaseSpinLockExclusive(&Shared, Irql);
    return Checks;
}

EXPORT ULONG ReleaseShared(void)
{
    KIRQL Irql = ExAcquireSpinLockExclusive(&Shared);
    ExReleaseSpinLockShared(&Shared, Irql);
    return 0;
}

static LONG Sum;
static VOID Writer(PVOID Context)
{
    ULONG Index;
    UNREFERENCED_PARAMETER(Context);
    for (Index = 0; Index < 20; Index++) {
        KIRQL Irql = ExAcquireSpinLockExclusive(&Shared);
        LONG Before = Sum;
        KeStallExecutionProcessor(1);
        Sum = Before + 1;
        ExReleaseSpinLockExclusive(&Shared, Irql);
    }
}

EXPORT ULONG Writers(void)
{
    HANDLE Threads[3];
    ULONG Index;

    Sum = 0;
    for (Index = 0; Index < 3; Index++) PsCreateSystemThread(&Threads[Index], 0, NULL, NULL, NULL, Writer, NULL);
    for (Index = 0; Index < 3; Index++) {
        ZwWaitForSingleObject(Threads[Index], FALSE, NULL);
        ZwClose(Threads[Index]);
    }
    CHECK(Sum == 60);
    return Checks;
}

EXPORT ULONG Lists(void)
{
    LIST_ENTRY Head, One, Two;
    KSPIN_LOCK Lock = 0;
    LARGE_INTEGER Number = { .QuadPart = 5 }, Increment = { .QuadPart = -7 };
    SINGLE_LIST_ENTRY Top = { NULL }, Entry;
    ULONG Count = 1;

    InitializeListHead(&Head);
    CHECK(ExInterlockedInsertTailList(&Head, &One, &Lock) == NULL);
    CHECK(ExInterlockedInsertHeadList(&Head, &Two, &Lock) == &One);
    CHECK(Head.Flink == &Two && Two.Flink == &One && One.Flink == &Head && Head.Blink == &One && One.Blink == &Two);
    CHECK(ExInterlockedRemoveHeadList(&Head, &Lock) == &Two && ExInterlockedRemoveHeadList(&Head, &Lock) == &One);
    CHECK(ExInterlockedRemoveHeadList(&Head, &Lock) == NULL && IsListEmpty(&Head));
    CHECK(ExInterlockedPushEntryList(&Top, &Entry, &Lock) == NULL && ExInterlockedPopEntryList(&Top, &Lock) == &Entry);
    CHECK(ExInterlockedAddLargeInteger(&Number, Increment, &Lock).QuadPart == 5 && Number.QuadPart == -2);
    CHECK(ExInterlockedAddUlong(&Count, 2, &Lock) == 1 && Count == 3);
    return Checks;
}

static VOID NTAPI Called(PVOID Context, PVOID First, PVOID Second)
{
    Told += (ULONG)(ULONG_PTR)Context + (ULONG)(ULONG_PTR)First + (ULONG)(ULONG_PTR)Second;
}

EXPORT ULONG Callbacks(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Callback\\Test");
    UNICODE_STRING Power = RTL_CONSTANT_STRING(L"\\Callback\\PowerState");
    OBJECT_ATTRIBUTES Attributes;
    PCALLBACK_OBJECT Object, Again;
    PVOID Handle;

    Told = 0;
    InitializeObjectAttributes(&Attributes, &Name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&Object, &Attributes, FALSE, TRUE) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ExCreateCallback(&Object, &Attributes, TRUE, FALSE) == STATUS_SUCCESS);
    CHECK(ExCreateCallback(&Again, &Attributes, FALSE, FALSE) == STATUS_SUCCESS && Again == Object);
    Handle = ExRegisterCallback(Object, Called, (PVOID)1);
    CHECK(Handle != NULL && ExRegisterCallback(Object, Called, NULL) == NULL);
    ExNotifyCallback(Object, (PVOID)10, (PVOID)100);
    CHECK(Told == 111);
    ExUnregisterCallback(Handle);
    ExNotifyCallback(Object, (PVOID)10, (PVOID)100);
    CHECK(Told == 111);
    ObDereferenceObject(Object);
    ObDereferenceObject(Again);
    InitializeObjectAttributes(&Attributes, &Power, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&Object, &Attributes, FALSE, TRUE) == STATUS_SUCCESS);
    ObDereferenceObject(Object);
    return Checks;
}

static VOID NTAPI Expired(PVOID Timer, PVOID Context)
{
    UNREFERENCED_PARAMETER(Timer);
    *(PULONG)Context += KeGetCurrentIrql() == DISPATCH_LEVEL;
}

EXPORT ULONG Timers(ULONG Leave)
{
    PEX_TIMER Timer = ExAllocateTimer((PVOID)Expired, &Told, 0x80000000);
    LARGE_INTEGER Pause = { .QuadPart = -500000 };

    Told = 0;
    CHECK(Timer != NULL && !ExSetTimer(Timer, -100000, 0, NULL));
    if (Leave) return Checks;
    KeWaitForSingleObject(Timer, Executive, KernelMode, FALSE, NULL);
    KeDelayExecutionThread(KernelMode, FALSE, &Pause);
    CHECK(Told == 1 && !ExCancelTimer(Timer, NULL));
    ExSetTimer(Timer, -100000, 100000, NULL);
    KeDelayExecutionThread(KernelMode, FALSE, &Pause);
    CHECK(Told >= 4 && ExCancelTimer(Timer, NULL));
    CHECK(!ExDeleteTimer(Timer, TRUE, TRUE, NULL));
    return Checks;
}

EXPORT ULONG Tracing(ULONG Leave)
{
    static const GUID Provider = { 1, 2, 3, { 4 } };
    REGHANDLE Handle = 0;
    GUID Id = { 9 };

    CHECK(EtwRegister(&Provider, NULL, NULL, &Handle) == 0 && Handle != 0);
    if (Leave) return Checks;
    CHECK(!EtwProviderEnabled(Handle, 4, 0) && !EtwEventEnabled(Handle, (PVOID)&Id));
    CHECK(EtwWrite(Handle, (PVOID)&Id, NULL, 0, NULL) == 0);
    CHECK(EtwWrite(77, (PVOID)&Id, NULL, 0, NULL) == STATUS_INVALID_HANDLE);
    CHECK(EtwActivityIdControl(2, &Id) == 0);
    Id.Data1 = 0;
    CHECK(EtwActivityIdControl(1, &Id) == 0 && Id.Data1 == 9);
    CHECK(EtwUnregister(Handle) == 0 && EtwUnregister(Handle) == STATUS_INVALID_HANDLE);
    return Checks;
}

static KQUEUE Queue;
static VOID Consumer(PVOID Context)
{
    *(PLIST_ENTRY *)Context = KeRemoveQueue(&Queue, KernelMode, NULL);
}

EXPORT ULONG Queues(void)
{
    LIST_ENTRY One, Two;
    PLIST_ENTRY Got = NULL;
    LARGE_INTEGER Now = { .QuadPart = 0 };
    HANDLE Thread;

    KeInitializeQueue(&Queue, 0);
    CHECK((NTSTATUS)(ULONG_PTR)KeRemoveQueue(&Queue, KernelMode, &Now) == STATUS_TIMEOUT);
    PsCreateSystemThread(&Thread, 0, NULL, NULL, NULL, Consumer, &Got);
    CHECK(KeInsertQueue(&Queue, &One) == 0);
    ZwWaitForSingleObject(Thread, FALSE, NULL);
    ZwClose(Thread);
    CHECK(Got == &One && KeReadStateQueue(&Queue) == 0);
    KeInsertQueue(&Queue, &One);
    KeInsertHeadQueue(&Queue, &Two);
    CHECK(KeReadStateQueue(&Queue) == 2 && KeRemoveQueue(&Queue, KernelMode, NULL) == &Two);
    CHECK(KeRundownQueue(&Queue) == &One && KeRundownQueue(&Queue) == NULL);
    return Checks;
}

EXPORT ULONG Rest(void)
{
    KMUTANT Mutant;
    KGUARDED_MUTEX Guarded;
    FAST_MUTEX Fast;
    XSTATE_SAVE Save;
    PROCESSOR_NUMBER Number;
    PEX_RUNDOWN_REF_CACHE_AWARE Rundown = ExAllocateCacheAwareRundownProtection(NonPagedPoolNx, TAG);
    PAGED_LOOKASIDE_LIST Lookaside;
    KBUGCHECK_CALLBACK_RECORD Record = { 0 };
    PVOID Entry, Block;

    KeInitializeMutant(&Mutant, TRUE);
    CHECK(KeReadStateMutant(&Mutant) == 0);
    KeReleaseMutant(&Mutant, 0, FALSE, FALSE);
    CHECK(KeReadStateMutant(&Mutant) == 1);
    KeInitializeGuardedMutex(&Guarded);
    CHECK(KeTryToAcquireGuardedMutex(&Guarded) && !KeTryToAcquireGuardedMutex(&Guarded));
    KeReleaseGuardedMutex(&Guarded);
    ExInitializeFastMutex(&Fast);
    ExEnterCriticalRegionAndAcquireFastMutexUnsafe(&Fast);
    CHECK(KeAreApcsDisabled());
    ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(&Fast);
    CHECK(!KeAreApcsDisabled());
    CHECK(KeSaveExtendedProcessorState(XSTATE_MASK_LEGACY, &Save) == STATUS_SUCCESS);
    KeRestoreExtendedProcessorState(&Save);
    CHECK(KeGetProcessorNumberFromIndex(0, &Number) == 0 && KeGetProcessorIndexFromNumber(&Number) == 0);
    CHECK(KeGetProcessorNumberFromIndex(99, &Number) == STATUS_INVALID_PARAMETER);
    CHECK(Rundown != NULL && ExAcquireRundownProtectionCacheAware(Rundown));
    ExReleaseRundownProtectionCacheAware(Rundown);
    ExWaitForRundownProtectionReleaseCacheAware(Rundown);
    CHECK(!ExAcquireRundownProtectionCacheAware(Rundown));
    ExFreeCacheAwareRundownProtection(Rundown);
    ExInitializePagedLookasideList(&Lookaside, NULL, NULL, 0, 32, TAG, 0);
    Entry = ExAllocateFromPagedLookasideList(&Lookaside);
    CHECK(Entry != NULL);
    ExFreeToPagedLookasideList(&Lookaside, Entry);
    ExDeletePagedLookasideList(&Lookaside);
    Block = FsRtlAllocatePoolWithTag(PagedPool, 40, TAG);
    CHECK(Block != NULL && ExIsProcessorFeaturePresent(PF_XMMI64_INSTRUCTIONS_AVAILABLE));
    ExFreePoolWithTag(Block, TAG);
    KeInitializeCallbackRecord(&Record);
    CHECK(KeRegisterBugCheckCallback(&Record, (PVOID)Rest, NULL, 0, (PUCHAR)"me"));
    CHECK(KeDeregisterBugCheckCallback(&Record) && !KeDeregisterBugCheckCallback(&Record));
    CHECK(KeQueryActiveGroupCount() == 1 && !KeIsAttachedProcess());
    return Checks;
}
"""


def test_what_drivers_call_of_ex_ke_and_etw(load):
    machine = load(DRIVER)

    for function in ("SpinLocks", "Writers", "Lists", "Callbacks", "Timers", "Tracing", "Queues", "Rest"):
        machine.check(function)

    assert machine.unload() == []


def test_a_shared_release_of_an_exclusive_spin_lock_is_a_bug_check(load):
    with pytest.raises(BugCheckStop, match="is released shared, and was not acquired so"):
        load(DRIVER).call("ReleaseShared")


def test_timers_and_providers_that_are_left_are_reported(load):
    machine = load(DRIVER)
    machine.check("Timers", 1)
    machine.check("Tracing", 1)

    told = "\n".join(machine.unload())
    assert "a timer held and not given back: ExDeleteTimer" in told
    assert "a provider of ETW events held and not given back: EtwUnregister" in told
