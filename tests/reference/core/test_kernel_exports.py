"""Ke, Ex and Mm: dispatcher objects, processors, locks, pool, memory and questions, called from machine code."""

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
NTKERNELAPI VOID ExAcquireFastMutexUnsafe(PFAST_MUTEX); NTKERNELAPI VOID ExReleaseFastMutexUnsafe(PFAST_MUTEX);
NTKERNELAPI PVOID ExEnterCriticalRegionAndAcquireResourceExclusive(PERESOURCE);
NTKERNELAPI PVOID ExEnterCriticalRegionAndAcquireResourceShared(PERESOURCE);
NTKERNELAPI VOID ExReleaseResourceAndLeaveCriticalRegion(PERESOURCE);
NTKERNELAPI VOID KeAttachProcess(PKPROCESS); NTKERNELAPI VOID KeDetachProcess(VOID);
NTKERNELAPI SIZE_T ExQueryPoolBlockSize(PVOID, PBOOLEAN);
NTKERNELAPI PVOID ExAllocateCacheAwarePushLock(VOID);
NTKERNELAPI PVOID ExAcquireCacheAwarePushLockExclusive(PVOID); NTKERNELAPI VOID ExReleaseCacheAwarePushLockExclusive(PVOID);
NTKERNELAPI VOID ExFreeCacheAwarePushLock(PVOID);
NTKERNELAPI NTSTATUS KeSaveFloatingPointState(PKFLOATING_SAVE); NTKERNELAPI NTSTATUS KeRestoreFloatingPointState(PKFLOATING_SAVE);
NTKERNELAPI BOOLEAN MmIsThisAnNtAsSystem(VOID);
NTKERNELAPI ULONG KeQueryRuntimeThread(PKTHREAD, PULONG);
NTKERNELAPI USHORT KeGetCurrentNodeNumber(VOID);
NTKERNELAPI VOID KeFlushEntireTb(BOOLEAN, BOOLEAN);
NTKERNELAPI LOGICAL KeIsExecutingDpc(VOID);
NTKERNELAPI LOGICAL KeShouldYieldProcessor(VOID);
NTKERNELAPI ULONG KeSetActualBasePriorityThread(PKTHREAD, KPRIORITY);
NTKERNELAPI SIZE_T ExSizeOfRundownProtectionCacheAware(VOID);
NTKERNELAPI ULONG ExSetTimerResolution(ULONG, BOOLEAN);
NTKERNELAPI VOID ExQueryTimerResolution(PULONG, PULONG, PULONG);
NTKERNELAPI ULONG64 KeQueryUnbiasedInterruptTimePrecise(PULONG64);

EXPORT ULONG Dispatchers(void)
{
    KEVENT Event, Other;
    KMUTEX Mutex;
    KSEMAPHORE Semaphore;
    KTIMER Timer;
    PVOID Both[2] = { &Event, &Other };
    KWAIT_BLOCK Blocks[2];
    LARGE_INTEGER Now = { .QuadPart = 0 }, Due = { .QuadPart = -20000 };

    KeInitializeEvent(&Event, NotificationEvent, TRUE);
    KeInitializeEvent(&Other, SynchronizationEvent, FALSE);
    CHECK(KeReadStateEvent(&Event) == 1 && KeResetEvent(&Event) == 1 && KeReadStateEvent(&Event) == 0);
    KeSetEvent(&Other, 0, FALSE);
    CHECK(KeWaitForMultipleObjects(2, Both, WaitAny, Executive, KernelMode, FALSE, &Now, NULL) == STATUS_WAIT_1);
    CHECK(KeWaitForMultipleObjects(2, Both, WaitAll, Executive, KernelMode, FALSE, &Now, Blocks) == STATUS_TIMEOUT);
    CHECK(KePulseEvent(&Event, 0, FALSE) == 0 && KeReadStateEvent(&Event) == 0);
    KeInitializeMutex(&Mutex, 0);
    CHECK(KeReadStateMutex(&Mutex) == 1 && KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL) == 0);
    CHECK(KeReleaseMutex(&Mutex, FALSE) == 0 && KeReadStateMutex(&Mutex) == 1);
    KeInitializeSemaphore(&Semaphore, 1, 3);
    CHECK(KeReleaseSemaphore(&Semaphore, 0, 2, FALSE) == 1 && KeReadStateSemaphore(&Semaphore) == 3);
    KeInitializeTimerEx(&Timer, SynchronizationTimer);
    CHECK(!KeSetTimerEx(&Timer, Due, 0, NULL) && KeSetTimerEx(&Timer, Due, 0, NULL) && KeCancelTimer(&Timer));
    CHECK(!KeCancelTimer(&Timer) && !KeSetCoalescableTimer(&Timer, Due, 0, 10, NULL));
    CHECK(KeWaitForSingleObject(&Timer, Executive, KernelMode, FALSE, NULL) == 0 && !KeReadStateTimer(&Timer));
    return Checks;
}

static LONG Ran;
static VOID NTAPI Routine(PKDPC Dpc, PVOID Context, PVOID One, PVOID Two)
{
    UNREFERENCED_PARAMETER(Dpc); UNREFERENCED_PARAMETER(One); UNREFERENCED_PARAMETER(Two);
    CHECK(KeIsExecutingDpc() && KeGetCurrentIrql() == DISPATCH_LEVEL && Context == &Ran);
    InterlockedIncrement(&Ran);
}

EXPORT ULONG Processors(void)
{
    KDPC Dpc;
    PROCESSOR_NUMBER Number = { 0, 1, 0 };
    GROUP_AFFINITY Group = { 1, 0 }, Before;
    KAFFINITY Old;
    PKTHREAD Thread = KeGetCurrentThread();
    KIRQL Irql;

    KeInitializeDpc(&Dpc, Routine, &Ran);
    KeSetImportanceDpc(&Dpc, HighImportance);
    KeSetTargetProcessorDpc(&Dpc, 1);
    CHECK(KeSetTargetProcessorDpcEx(&Dpc, &Number) == 0);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    CHECK(KeInsertQueueDpc(&Dpc, NULL, NULL) && !KeInsertQueueDpc(&Dpc, NULL, NULL));
    CHECK(KeRemoveQueueDpc(&Dpc) && !KeRemoveQueueDpc(&Dpc));
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    KeLowerIrql(Irql);
    KeFlushQueuedDpcs();
    CHECK(Ran == 1 && !KeIsExecutingDpc());
    CHECK(KeQueryActiveProcessorCount(&Old) == 2 && Old == 3 && KeQueryActiveProcessors() == 3);
    CHECK(KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS) == 2 && KeQueryGroupAffinity(0) == 3);
    CHECK(KeGetCurrentNodeNumber() == 0);
    KeSetSystemAffinityThread(2);
    CHECK(KeGetCurrentProcessorNumberEx(NULL) == 1);
    KeRevertToUserAffinityThread();
    Old = KeSetSystemAffinityThreadEx(1);
    CHECK(KeGetCurrentProcessorNumberEx(NULL) == 0);
    KeRevertToUserAffinityThreadEx(Old);
    Group.Mask = 2;
    KeSetSystemGroupAffinityThread(&Group, &Before);
    CHECK(KeGetCurrentProcessorNumberEx(NULL) == 1);
    KeRevertToUserGroupAffinityThread(&Before);
    CHECK(KeQueryPriorityThread(Thread) == 8 && KeSetPriorityThread(Thread, 12) == 8);
    CHECK(KeQueryPriorityThread(Thread) == 12 && KeSetPriorityThread(Thread, 8) == 12);
    KeSetBasePriorityThread(Thread, 1);
    KeSetBasePriorityThread(Thread, 0);
    KeSetActualBasePriorityThread(Thread, 8);
    KeSetIdealProcessorThread(Thread, 0);
    KeFlushEntireTb(TRUE, TRUE);
    CHECK(!KeShouldYieldProcessor());
    return Checks;
}

EXPORT ULONG Times(void)
{
    LARGE_INTEGER Time, Precise, Tick;
    ULONG64 Performance = 0, Cycles = 0, Unbiased = 0;
    ULONG User = 1, Maximum = 0, Minimum = 0, Current = 0;

    KeQuerySystemTime(&Time);
    KeQuerySystemTimePrecise(&Precise);
    KeQueryTickCount(&Tick);
    CHECK(Precise.QuadPart >= Time.QuadPart && KeQueryTimeIncrement() == 156250);
    CHECK(KeQueryInterruptTimePrecise(&Performance) > 0 && Performance > 0);
    CHECK(KeQueryUnbiasedInterruptTimePrecise(&Unbiased) > 0);
    CHECK(KeQueryTotalCycleTimeThread(KeGetCurrentThread(), &Cycles) >= 0);
    KeQueryRuntimeThread(KeGetCurrentThread(), &User);
    CHECK(User == 0);
    ExQueryTimerResolution(&Maximum, &Minimum, &Current);
    CHECK(Maximum >= Current && Current >= Minimum && Minimum > 0);
    CHECK(ExSetTimerResolution(10000, TRUE) > 0);
    ExSetTimerResolution(0, FALSE);
    return Checks;
}

EXPORT ULONG Regions(void)
{
    KAPC_STATE State;
    KFLOATING_SAVE Save;
    KSPIN_LOCK Lock;
    KIRQL Irql;

    KeEnterGuardedRegion();
    CHECK(KeAreAllApcsDisabled());
    KeLeaveGuardedRegion();
    CHECK(!KeAreAllApcsDisabled());
    KeStackAttachProcess((PKPROCESS)PsInitialSystemProcess, &State);
    CHECK(PsGetCurrentProcess() == PsInitialSystemProcess);
    KeUnstackDetachProcess(&State);
    KeAttachProcess((PKPROCESS)PsInitialSystemProcess);
    KeDetachProcess();
    CHECK(KeSaveFloatingPointState(&Save) == 0 && KeRestoreFloatingPointState(&Save) == 0);
    KeInitializeSpinLock(&Lock);
    Irql = KeAcquireSpinLockRaiseToDpc(&Lock);
    CHECK(!KeTryToAcquireSpinLockAtDpcLevel(&Lock));
    KeReleaseSpinLock(&Lock, Irql);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    CHECK(KeTryToAcquireSpinLockAtDpcLevel(&Lock));
    KeReleaseSpinLockFromDpcLevel(&Lock);
    KeLowerIrql(Irql);
    return Checks;
}

static VOID NTAPI OnLargeStack(PVOID Parameter) { *(PULONG)Parameter = 77; }

EXPORT ULONG Stacks(void)
{
    ULONG Value = 0;
    ULONG_PTR Low = 0, High = 0;

    CHECK(KeExpandKernelStackAndCalloutEx(OnLargeStack, &Value, 0x5000, TRUE, NULL) == 0 && Value == 77);
    IoGetStackLimits(&Low, &High);
    CHECK(Low < (ULONG_PTR)&Value && (ULONG_PTR)&Value < High);
    CHECK(IoWithinStackLimits((ULONG_PTR)&Value, sizeof(Value)) && !IoWithinStackLimits((ULONG_PTR)&Ran, 4));
    return Checks;
}

static EX_PUSH_LOCK Push;
static EX_RUNDOWN_REF Rundown;

EXPORT ULONG Locks(void)
{
    FAST_MUTEX Mutex;
    ERESOURCE Resource;
    PVOID CacheAware, Held;
    PEX_RUNDOWN_REF_CACHE_AWARE Aware;

    ExInitializeFastMutex(&Mutex);
    CHECK(ExTryToAcquireFastMutex(&Mutex) && !ExTryToAcquireFastMutex(&Mutex));
    ExReleaseFastMutex(&Mutex);
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&Mutex);
    ExReleaseFastMutexUnsafe(&Mutex);
    ExInitializePushLock(&Push);
    ExAcquirePushLockSharedEx(&Push, 0);
    ExReleasePushLockSharedEx(&Push, 0);
    CHECK((CacheAware = ExAllocateCacheAwarePushLock()) != NULL);
    Held = ExAcquireCacheAwarePushLockExclusive(CacheAware);
    ExReleaseCacheAwarePushLockExclusive(CacheAware);
    UNREFERENCED_PARAMETER(Held);
    KeLeaveCriticalRegion();
    ExFreeCacheAwarePushLock(CacheAware);
    ExInitializeResourceLite(&Resource);
    CHECK(ExEnterCriticalRegionAndAcquireResourceExclusive(&Resource) != NULL);
    CHECK(ExIsResourceAcquiredExclusiveLite(&Resource) && ExGetExclusiveWaiterCount(&Resource) == 0);
    ExConvertExclusiveToSharedLite(&Resource);
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource) && ExIsResourceAcquiredSharedLite(&Resource) == 1);
    CHECK(ExGetSharedWaiterCount(&Resource) == 0);
    ExReleaseResourceAndLeaveCriticalRegion(&Resource);
    CHECK(ExEnterCriticalRegionAndAcquireResourceShared(&Resource) != NULL);
    CHECK(ExAcquireSharedStarveExclusive(&Resource, FALSE));
    ExReleaseResourceLite(&Resource);
    ExDisableResourceBoostLite(&Resource);
    ExReleaseResourceAndLeaveCriticalRegion(&Resource);
    CHECK(ExReinitializeResourceLite(&Resource) == 0);
    ExDeleteResourceLite(&Resource);
    CHECK(ExSizeOfRundownProtectionCacheAware() > 0);
    Aware = ExAllocateCacheAwareRundownProtection(NonPagedPool, TAG);
    CHECK(ExAcquireRundownProtectionCacheAwareEx(Aware, 2));
    ExReleaseRundownProtectionCacheAwareEx(Aware, 2);
    ExFreeCacheAwareRundownProtection(Aware);
    ExInitializeRundownProtection(&Rundown);
    ExWaitForRundownProtectionRelease(&Rundown);
    ExRundownCompleted(&Rundown);
    CHECK(!ExAcquireRundownProtection(&Rundown));
    return Checks;
}

EXPORT ULONG Pool(void)
{
    LOOKASIDE_LIST_EX List;
    SLIST_HEADER Head;
    SLIST_ENTRY Entry;
    BOOLEAN Charged = TRUE;
    PVOID One = ExAllocatePool(NonPagedPool, 40), Two = ExAllocatePoolWithQuotaTag(PagedPool, 40, TAG);
    PVOID Three = ExAllocatePoolWithTagPriority(PagedPool, 40, TAG, NormalPoolPriority);
    PVOID Four = ExAllocatePoolWithQuota(PagedPool, 16);

    CHECK(One != NULL && Two != NULL && Three != NULL && Four != NULL && ExQueryPoolBlockSize(One, &Charged) >= 40);
    ExFreePool(One);
    ExFreePool(Two);
    ExFreePool(Three);
    ExFreePool(Four);
    CHECK(ExInitializeLookasideListEx(&List, NULL, NULL, NonPagedPoolNx, 0, 64, TAG, 0) == 0);
    One = ExAllocateFromLookasideListEx(&List);
    CHECK(One != NULL);
    ExFreeToLookasideListEx(&List, One);
    ExFlushLookasideListEx(&List);
    ExDeleteLookasideListEx(&List);
    InitializeSListHead(&Head);
    CHECK(ExpInterlockedPushEntrySList(&Head, &Entry) == NULL && ExQueryDepthSList(&Head) == 1);
    CHECK(ExpInterlockedPopEntrySList(&Head) == &Entry && ExpInterlockedFlushSList(&Head) == NULL);
    return Checks;
}

EXPORT ULONG Memory(void)
{
    PVOID Pages = ExAllocatePoolWithTag(NonPagedPoolNx, 2 * PAGE_SIZE, TAG), Mapped, Section;
    PMDL Mdl = IoAllocateMdl(Pages, 2 * PAGE_SIZE, FALSE, FALSE, NULL);
    PMDL Created;
    ULONG Flags = 0;

    CHECK(MmSizeOfMdl(Pages, 2 * PAGE_SIZE) == sizeof(MDL) + 2 * sizeof(PFN_NUMBER));
    MmProbeAndLockPages(Mdl, KernelMode, IoWriteAccess);
    Mapped = MmMapLockedPagesSpecifyCache(Mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    CHECK(Mapped != NULL && MmIsAddressValid(Mapped) && !MmIsAddressValid((PVOID)0x1000));
    *(PULONG)Mapped = 4711;
    CHECK(*(PULONG)Pages == 4711);
    MmUnmapLockedPages(Mapped, Mdl);
    Mapped = MmMapLockedPages(Mdl, KernelMode);
    CHECK(*(PULONG)Mapped == 4711);
    MmUnmapLockedPages(Mapped, Mdl);
    CHECK(MmAdvanceMdl(Mdl, PAGE_SIZE + 16) == STATUS_SUCCESS && MmGetMdlByteCount(Mdl) == PAGE_SIZE - 16);
    CHECK(MmGetMdlByteOffset(Mdl) == 16 && MmGetMdlVirtualAddress(Mdl) == (PUCHAR)Pages + PAGE_SIZE + 16);
    CHECK(MmAdvanceMdl(Mdl, PAGE_SIZE) == STATUS_INVALID_PARAMETER_2);
    MmUnlockPages(Mdl);
    IoFreeMdl(Mdl);
    Created = MmCreateMdl(NULL, Pages, 100);
    CHECK(Created != NULL && MmGetMdlByteCount(Created) == 100);
    ExFreePool(Created);
    ExFreePoolWithTag(Pages, TAG);
    CHECK((Section = MmLockPagableDataSection((PVOID)Memory)) != NULL);
    MmUnlockPagableImageSection(Section);
    CHECK(MmQuerySystemSize() == MmLargeSystem && !MmIsThisAnNtAsSystem());
    CHECK((Pages = MmAllocateNonCachedMemory(PAGE_SIZE)) != NULL);
    MmFreeNonCachedMemory(Pages, PAGE_SIZE);
    CHECK(MmIsVerifierEnabled(&Flags) == STATUS_SUCCESS && Flags != 0);
    return Checks;
}

EXPORT ULONG Questions(void)
{
    UUID One, Two;
    ULONG Major = 0, Minor = 0, Build = 0, Needed = 0;
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"BootOrder");
    GUID Vendor = { 0 };
    RTL_OSVERSIONINFOEXW Version = { sizeof(Version) };

    CHECK(ExUuidCreate(&One) == 0 && ExUuidCreate(&Two) == 0 && !RtlEqualMemory(&One, &Two, sizeof(One)));
    CHECK(!PsGetVersion(&Major, &Minor, &Build, NULL) && Major == 10 && Build > 0);
    CHECK(ExGetPreviousMode() == KernelMode && ExVerifySuite(TerminalServer) <= TRUE && !ExIsManufacturingModeEnabled());
    CHECK(ExGetFirmwareEnvironmentVariable(&Name, &Vendor, NULL, &Needed, NULL) != STATUS_SUCCESS);
    return Checks;
}
"""


def test_the_kernel_answers_as_its_documentation_says(load):
    machine = load(DRIVER)

    for function in ("Dispatchers", "Processors", "Times", "Regions", "Stacks", "Locks", "Pool", "Memory", "Questions"):
        machine.check(function)
    assert machine.findings == []
