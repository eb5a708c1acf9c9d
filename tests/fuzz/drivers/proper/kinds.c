/*
 * kinds.c: the kinds.
 */

#include "proper.h"

#define DO(What, ...)                                                                                                  \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        PFILE_OBJECT File = FltObjects->FileObject;                                                                    \
        PFLT_INSTANCE Instance = FltObjects->Instance;                                                                 \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(File);                                                                                  \
        UNREFERENCED_PARAMETER(Instance);                                                                              \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

static NPAGED_LOOKASIDE_LIST Lookaside;
static PAGED_LOOKASIDE_LIST PagedLookaside;
static KTIMER Timer;
static KDPC Dpc, TimerDpc;
static ERESOURCE Resource;
static IO_REMOVE_LOCK RemoveLock;
static FAST_MUTEX GuardedMutex;
static EX_PUSH_LOCK PushLock;
static EX_RUNDOWN_REF Rundown;
static KSPIN_LOCK SpinLock;
static KMUTEX Mutex;
static KEVENT Stop, Done;
static PVOID Thread;
static LONG Ticks;
static PFLT_GENERIC_WORKITEM LateItem;

static VOID
Tick(PKDPC D, PVOID Context, PVOID A, PVOID B)
{
    UNREFERENCED_PARAMETER(D);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(A);
    UNREFERENCED_PARAMETER(B);
    InterlockedIncrement(&Ticks);
}

/* Lives from DriverEntry to unload; holds a lock while it works, and lets the owner of one go in another's name. */
static VOID
Watch(PVOID Context)
{
    LARGE_INTEGER Period = {.QuadPart = -100000};

    UNREFERENCED_PARAMETER(Context);
    while (KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, &Period) == STATUS_TIMEOUT) {
        KeEnterCriticalRegion();
        ExAcquireResourceSharedLite(&Resource, TRUE);
        ExReleaseResourceLite(&Resource);
        KeLeaveCriticalRegion();
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID FLTAPI
Late(PFLT_GENERIC_WORKITEM Item, PVOID Object, PVOID Context)
{
    UNREFERENCED_PARAMETER(Object);
    UNREFERENCED_PARAMETER(Context);
    FltFreeGenericWorkItem(Item);
}

VOID
KindsStart(VOID)
{
    LARGE_INTEGER Due = {.QuadPart = -10000};
    HANDLE Handle;

    ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 64, TAG, 0);
    ExInitializePagedLookasideList(&PagedLookaside, NULL, NULL, 0, 64, TAG, 0);
    KeInitializeTimerEx(&Timer, NotificationTimer);
    KeInitializeDpc(&TimerDpc, Tick, NULL);
    KeInitializeDpc(&Dpc, Tick, NULL);
    ExInitializeResourceLite(&Resource);
    IoInitializeRemoveLock(&RemoveLock, TAG, 0, 0);
    ExInitializeFastMutex(&GuardedMutex);
    FltInitializePushLock((PULONG_PTR)&PushLock);
    ExInitializeRundownProtection(&Rundown);
    KeInitializeSpinLock(&SpinLock);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeEvent(&Stop, NotificationEvent, FALSE);
    KeInitializeEvent(&Done, SynchronizationEvent, FALSE);
    KeSetTimerEx(&Timer, Due, 50, &TimerDpc);
    if (NT_SUCCESS(PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Watch, NULL))) {
        ObReferenceObjectByHandle(Handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, &Thread, NULL);
        ZwClose(Handle);
    }
    LateItem = FltAllocateGenericWorkItem();
    IoAcquireRemoveLock(&RemoveLock, NULL);
}

VOID
KindsStop(VOID)
{
    KeCancelTimer(&Timer);
    KeFlushQueuedDpcs();
    KeSetEvent(&Stop, 0, FALSE);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
    IoReleaseRemoveLockAndWait(&RemoveLock, NULL);
    ExWaitForRundownProtectionRelease(&Rundown);
    ExDeleteResourceLite(&Resource);
    FltDeletePushLock((PULONG_PTR)&PushLock);
    ExDeleteNPagedLookasideList(&Lookaside);
    ExDeletePagedLookasideList(&PagedLookaside);
    FltQueueGenericWorkItem(LateItem, Filter, Late, DelayedWorkQueue, NULL); /* FltUnregisterFilter waits for it */
}

/* -- buffers */

static PVOID Swapped;

static VOID
CopyBack(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects)
{
    PMDL Mdl = Data->Iopb->Parameters.Read.MdlAddress;
    PVOID To = Data->Iopb->Parameters.Read.ReadBuffer;

    UNREFERENCED_PARAMETER(FltObjects);
    if (Mdl != NULL) {
        To = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MdlMappingNoExecute);
    }
    __try {
        RtlCopyMemory(To, Swapped, Data->IoStatus.Information);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Data->IoStatus.Status = GetExceptionCode();
        Data->IoStatus.Information = 0;
    }
    ExFreePoolWithTag(Swapped, TAG); /* its MDL is the filter manager's */
    Swapped = NULL;
}

KIND(swapped_mdl)
{
    PMDL Mdl;

    UNREFERENCED_PARAMETER(FltObjects);
    Swapped = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, TAG);
    Mdl = IoAllocateMdl(Swapped, PAGE_SIZE, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(Mdl);
    Data->Iopb->Parameters.Read.ReadBuffer = Swapped;
    Data->Iopb->Parameters.Read.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    *CompletionContext = (PVOID)CopyBack;
    return FLT_PREOP_SYNCHRONIZE;
}

DO(own_mdl_of_users_buffer, PMDL Mdl = NULL; PUCHAR At; FltLockUserBuffer(Data);
   Mdl = Data->Iopb->Parameters.Read.MdlAddress; At = MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority);
   if (At != NULL) At[0] = 1)
DO(mapped_by_hand, UCHAR *Block = ExAllocatePoolWithTag(PagedPool, 100, TAG);
   PMDL Mdl = IoAllocateMdl(Block, 100, FALSE, FALSE, NULL); MmProbeAndLockPages(Mdl, KernelMode, IoWriteAccess);
   *(PUCHAR)MmMapLockedPagesSpecifyCache(Mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority) = 1;
   MmUnlockPages(Mdl); IoFreeMdl(Mdl); ExFreePoolWithTag(Block, TAG))

/* -- contexts */

DO(context_set_and_released, PFLT_CONTEXT C; FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, 64, PagedPool, &C);
   FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_KEEP_IF_EXISTS, C, NULL); FltReleaseContext(C))
DO(context_deleted_in_teardown, PFLT_CONTEXT C; FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, 64, PagedPool, &C);
   FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, C, NULL); FltReleaseContext(C))
DO(
    context_replaced, PFLT_CONTEXT Old = NULL; PFLT_CONTEXT C; for (int i = 0; i < 3; i++) {
        FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, 64, NonPagedPool, &C);
        if (NT_SUCCESS(FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, C, &Old)) &&
            Old != NULL) {
            FltReleaseContext(Old);
        }
        FltReleaseContext(C);
    })

/* -- locks */

static VOID
ReleaseForAnother(PVOID Context)
{
    ExReleaseResourceForThreadLite(&Resource, (ERESOURCE_THREAD)Context);
    KeSetEvent(&Done, 0, FALSE);
}

DO(resource_given_to_another_thread, static WORK_QUEUE_ITEM Item;
   ERESOURCE_THREAD Owner = (ERESOURCE_THREAD)((ULONG_PTR)&Item | 3); KeEnterCriticalRegion();
   ExAcquireResourceExclusiveLite(&Resource, TRUE); ExSetResourceOwnerPointer(&Resource, (PVOID)Owner);
   KeLeaveCriticalRegion(); ExInitializeWorkItem(&Item, ReleaseForAnother, (PVOID)Owner);
   ExQueueWorkItem(&Item, DelayedWorkQueue); KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL))
DO(resource_recursively, FltAcquireResourceExclusive(&Resource); FltAcquireResourceShared(&Resource);
   ExConvertExclusiveToSharedLite(&Resource); FltReleaseResource(&Resource); FltReleaseResource(&Resource))

static VOID
Enter(VOID)
{
    KeAcquireGuardedMutex((PKGUARDED_MUTEX)&GuardedMutex);
}

static VOID
Leave(VOID)
{
    KeReleaseGuardedMutex((PKGUARDED_MUTEX)&GuardedMutex);
}

DO(guarded_mutex_across_calls, KeInitializeGuardedMutex((PKGUARDED_MUTEX)&GuardedMutex); Enter(); Ticks++; Leave())
DO(mutex_recursively, KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
   KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL); KeReleaseMutex(&Mutex, FALSE);
   KeReleaseMutex(&Mutex, FALSE))
DO(push_lock_shared, FltAcquirePushLockShared((PULONG_PTR)&PushLock); FltReleasePushLock((PULONG_PTR)&PushLock);
   FltAcquirePushLockExclusive((PULONG_PTR)&PushLock); FltReleasePushLock((PULONG_PTR)&PushLock))
DO(push_lock_in_zeroed_memory, PULONG_PTR Lock = ExAllocatePoolWithTag(PagedPool, sizeof(*Lock), TAG); *Lock = 0;
   FltAcquirePushLockExclusive(Lock); FltReleasePushLock(Lock); FltAcquirePushLockShared(Lock);
   FltReleasePushLock(Lock); ExFreePoolWithTag(Lock, TAG))
DO(remove_lock, if (NT_SUCCESS(IoAcquireRemoveLock(&RemoveLock, Data))) IoReleaseRemoveLock(&RemoveLock, Data))
DO(rundown, if (ExAcquireRundownProtection(&Rundown)) ExReleaseRundownProtection(&Rundown))
DO(spin_lock_at_dispatch, KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql); KeAcquireSpinLockAtDpcLevel(&SpinLock);
   Ticks++; KeReleaseSpinLockFromDpcLevel(&SpinLock); KeLowerIrql(Irql))
DO(regions_nested, FsRtlEnterFileSystem(); KeEnterGuardedRegion(); KeLeaveGuardedRegion(); FsRtlExitFileSystem())
DO(interrupts_off_for_a_moment, __asm__ volatile("cli"); Ticks++; __asm__ volatile("sti"))
DO(attached_for_a_moment, KAPC_STATE State; KeStackAttachProcess(PsInitialSystemProcess, &State);
   KeUnstackDetachProcess(&State))
DO(raised_with_dpc, KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql); KeInsertQueueDpc(&Dpc, NULL, NULL);
   KeRemoveQueueDpc(&Dpc); KeInsertQueueDpc(&Dpc, NULL, NULL); KeLowerIrql(Irql))

/* -- pended */

static VOID FLTAPI
CompleteItself(PFLT_DEFERRED_IO_WORKITEM Item, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    FltFreeDeferredIoWorkItem(Item);
    Data->IoStatus.Status = STATUS_END_OF_FILE;
    Data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(Data, FLT_PREOP_COMPLETE, NULL);
}

KIND(deferred_and_completed)
{
    PFLT_DEFERRED_IO_WORKITEM Item = FltAllocateDeferredIoWorkItem();

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!NT_SUCCESS(FltQueueDeferredIoWorkItem(Item, Data, CompleteItself, DelayedWorkQueue, NULL))) {
        FltFreeDeferredIoWorkItem(Item);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_PENDING;
}

static VOID
ResumeLater(PVOID Context)
{
    FltCompletePendedPreOperation(Context, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
}

KIND(resumed_by_a_work_item)
{
    static WORK_QUEUE_ITEM Item;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    FltLockUserBuffer(Data);
    ExInitializeWorkItem(&Item, ResumeLater, Data);
    ExQueueWorkItem(&Item, CriticalWorkQueue);
    return FLT_PREOP_PENDING;
}

KIND(answered_at_once)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Data->IoStatus.Status = STATUS_END_OF_FILE;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

/* -- memory and code */

DO(lookaside, PVOID A = ExAllocateFromNPagedLookasideList(&Lookaside);
   PVOID B = ExAllocateFromPagedLookasideList(&PagedLookaside); ExFreeToPagedLookasideList(&PagedLookaside, B);
   ExFreeToNPagedLookasideList(&Lookaside, A))
DO(long_loop, volatile ULONG x = 0; for (ULONG i = 0; i < 3000000; i++) x += i)
DO(large_frame, volatile UCHAR Room[9000]; RtlFillMemory((PVOID)Room, sizeof(Room), 1); Ticks += Room[8999])

__declspec(code_seg("PAGELK")) static ULONG __attribute__((noinline))
Pageable(ULONG Value)
{
    return Value + (ULONG)KeGetCurrentIrql();
}

DO(pageable_code_locked, KIRQL Irql; PVOID Lock = MmLockPagableCodeSection((PVOID)(ULONG_PTR)Pageable);
   KeRaiseIrql(DISPATCH_LEVEL, &Irql); Ticks += Pageable(1); KeLowerIrql(Irql); MmUnlockPagableImageSection(Lock))
DO(
    exceptions_handled, __try { *(volatile ULONG *)16 = 1; } __except (EXCEPTION_EXECUTE_HANDLER) { Ticks++; } __try {
        ProbeForRead((PVOID)0xFFFF800000000000, 8, 1);
    } __except (EXCEPTION_EXECUTE_HANDLER) { Ticks++; } __try {
        ExRaiseStatus(STATUS_ACCESS_DENIED);
    } __except (EXCEPTION_EXECUTE_HANDLER) { Ticks++; })
DO(pool_of_zero_bytes, PVOID B = ExAllocatePoolWithTag(PagedPool, 1, TAG); ExFreePool(B))
DO(message_to_nobody, LARGE_INTEGER Second = {.QuadPart = -10000000};
   FltSendMessage(Filter, &Client, &Second, 8, NULL, NULL, &Second))

/* -- memory that was not zeroed */

static VOID
Answer(PFLT_CALLBACK_DATA Data, PVOID From, ULONG Length)
{
    __try {
        RtlCopyMemory(Data->Iopb->Parameters.Read.ReadBuffer, From, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Length = 0;
    }
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = Length;
}

/* What is handed on was written; what is behind it, and the copy of the whole, goes nowhere. */
KIND(written_in_part)
{
    PUCHAR Block = ExAllocatePoolWithTag(PagedPool, 512, TAG), Copy = ExAllocatePoolWithTag(NonPagedPoolNx, 512, TAG);

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    RtlFillMemory(Block, 100, 0xBA);
    RtlCopyMemory(Copy, Block, 512);
    Answer(Data, Copy, 100);
    ExFreePoolWithTag(Block, TAG);
    ExFreePoolWithTag(Copy, TAG);
    return FLT_PREOP_COMPLETE;
}

KIND(filled_by_the_file_system)
{
    PVOID Block = FltAllocatePoolAlignedWithTag(FltObjects->Instance, NonPagedPoolNx, 4096, TAG);
    LARGE_INTEGER Start = {.QuadPart = 0};
    ULONG Count = 0;

    UNREFERENCED_PARAMETER(CompletionContext);
    FltReadFile(FltObjects->Instance, FltObjects->FileObject, &Start, 4096, Block,
                FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Count, NULL, NULL);
    Answer(Data, Block, Count < Data->Iopb->Parameters.Read.Length ? Count : Data->Iopb->Parameters.Read.Length);
    FltFreePoolAlignedWithTag(FltObjects->Instance, Block, TAG);
    return FLT_PREOP_COMPLETE;
}

static VOID
Ask(PFLT_CALLBACK_DATA Own, PFILE_STANDARD_INFORMATION Answer)
{
    Own->Iopb->MajorFunction = IRP_MJ_QUERY_INFORMATION;
    Own->Iopb->IrpFlags = IRP_SYNCHRONOUS_API;
    Own->Iopb->Parameters.QueryFileInformation.Length = sizeof(*Answer);
    Own->Iopb->Parameters.QueryFileInformation.FileInformationClass = FileStandardInformation;
    Own->Iopb->Parameters.QueryFileInformation.InfoBuffer = Answer;
    FltSetCallbackDataDirty(Own);
    FltPerformSynchronousIo(Own);
}

DO(own_data_reused, PFLT_CALLBACK_DATA Own; FILE_STANDARD_INFORMATION Answer;
   if (NT_SUCCESS(FltAllocateCallbackData(Instance, File, &Own))) {
       Ask(Own, &Answer);
       FltReuseCallbackData(Own);
       Ask(Own, &Answer);
       FltFreeCallbackData(Own);
   })

/* To the end of the block, from the middle of it. */
DO(rest_of_a_block, PUCHAR Block = ExAllocatePoolWithTag(NonPagedPoolNx, 1024, TAG);
   LARGE_INTEGER At = {.QuadPart = 512}, Moment = {.QuadPart = -10000}; ULONG Done, Length = 24;
   FltReadFile(Instance, File, &At, 512, Block + 512, FLTFL_IO_OPERATION_NON_CACHED, &Done, NULL, NULL);
   FltQueryInformationFile(Instance, File, Block + 984, 40, FileBasicInformation, NULL);
   FltSendMessage(Filter, &Client, &Length, sizeof(Length), Block + 1000, &Length, &Moment);
   ExFreePoolWithTag(Block, TAG))

/* -- own I/O */

static NTSTATUS
Finished(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, 0, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

KIND(own_irp)
{
    PDEVICE_OBJECT Device = IoGetBaseFileSystemDeviceObject(FltObjects->FileObject);
    PIRP Irp = IoAllocateIrp(Device->StackSize, FALSE);
    PIO_STACK_LOCATION Next = IoGetNextIrpStackLocation(Irp);
    PVOID Room = ExAllocatePoolWithTag(NonPagedPoolNx, 512, TAG);
    KEVENT Event;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Irp->UserBuffer = Room;
    Irp->MdlAddress = IoAllocateMdl(Room, 512, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(Irp->MdlAddress);
    Irp->Tail.Overlay.Thread = PsGetCurrentThread();
    Irp->RequestorMode = KernelMode;
    Irp->Flags = IRP_NOCACHE;
    Next->MajorFunction = IRP_MJ_READ;
    Next->FileObject = FltObjects->FileObject;
    Next->DeviceObject = Device;
    Next->Parameters.Read.Length = 512;
    IoSetCompletionRoutine(Irp, Finished, &Event, TRUE, TRUE, TRUE);
    if (IoCallDriver(Device, Irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    }
    IoFreeMdl(Irp->MdlAddress);
    IoFreeIrp(Irp);
    ExFreePoolWithTag(Room, TAG);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

DO(own_read, UCHAR *Room = FltAllocatePoolAlignedWithTag(Instance, NonPagedPool, 512, TAG); LARGE_INTEGER At = {0};
   ULONG Read;
   FltReadFile(Instance, File, &At, 512, Room,
               FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Read, NULL, NULL);
   FltFreePoolAlignedWithTag(Instance, Room, TAG))
DO(
    own_data_never_sent, PFLT_CALLBACK_DATA D; if (NT_SUCCESS(FltAllocateCallbackData(Instance, File, &D))) {
        FltReuseCallbackData(D);
        FltFreeCallbackData(D);
    })
DO(
    name_kept_twice, PFLT_FILE_NAME_INFORMATION N;
    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N))) {
        FltReferenceFileNameInformation(N);
        FltParseFileNameInformation(N);
        FltReleaseFileNameInformation(N);
        FltReleaseFileNameInformation(N);
    })
DO(objects_enumerated, PFLT_INSTANCE L[16]; ULONG N;
   if (NT_SUCCESS(FltEnumerateInstances(FltObjects->Volume, NULL, L, 16, &N))) for (ULONG i = 0; i < N; i++)
       FltObjectDereference(L[i]))
DO(top_level_for_a_moment, PIRP Old = IoGetTopLevelIrp(); IoSetTopLevelIrp((PIRP)FSRTL_FSP_TOP_LEVEL_IRP);
   IoSetTopLevelIrp(Old))
DO(name_upcased, Ticks++)
DO(nothing, Ticks++)
