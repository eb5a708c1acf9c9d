/*
 * structures.c: structures of the system's that are destroyed.
 */

#include "hostile.h"

#define SPOIL(What, ...)                                                                                               \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        PFILE_OBJECT File = FltObjects->FileObject;                                                                    \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(File);                                                                                  \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

static PDEVICE_OBJECT
DeviceOf(PCFLT_RELATED_OBJECTS FltObjects)
{
    PDEVICE_OBJECT Device = NULL;

    FltGetDeviceObject(FltObjects->Volume, &Device);
    ObDereferenceObject(Device);
    return Device;
}

SPOIL(file_object_destroyed, DESTROY(File))
SPOIL(file_object_zeroed, RtlZeroMemory(File, sizeof(*File)))
SPOIL(file_name_wild, File->FileName.Buffer = WILD)
SPOIL(file_name_length, File->FileName.Length = 0xFFFE; File->FileName.MaximumLength = 0xFFFE)
SPOIL(file_name_odd, File->FileName.Length = 3)
SPOIL(fs_context_wild, File->FsContext = WILD)
SPOIL(fs_context_null, File->FsContext = NULL)
SPOIL(fs_context_pool, File->FsContext = ExAllocatePoolWithTag(NonPagedPoolNx, 0x200, TAG))
SPOIL(fs_context2_wild, File->FsContext2 = WILD)
SPOIL(file_vpb_wild, File->Vpb = WILD)
SPOIL(file_device_wild, File->DeviceObject = WILD)
SPOIL(file_device_null, File->DeviceObject = NULL)
SPOIL(section_pointer_wild, File->SectionObjectPointer = WILD)
SPOIL(cache_map_wild, File->PrivateCacheMap = WILD)
SPOIL(related_file_wild, File->RelatedFileObject = WILD)
SPOIL(completion_wild, File->CompletionContext = WILD)
SPOIL(file_type_cleared, File->Type = 0)
SPOIL(file_event_destroyed, DESTROY(&File->Event))
SPOIL(file_lock_destroyed, DESTROY(&File->Lock))
SPOIL(file_irp_list_wild, File->IrpList.Flink = WILD)
SPOIL(vpb_destroyed, DESTROY(File->Vpb))
SPOIL(vpb_device_wild, File->Vpb->DeviceObject = WILD)
SPOIL(vpb_zeroed, RtlZeroMemory(File->Vpb, sizeof(*File->Vpb)))
SPOIL(device_destroyed, DESTROY(DeviceOf(FltObjects)))
SPOIL(device_zeroed, RtlZeroMemory(DeviceOf(FltObjects), sizeof(DEVICE_OBJECT)))
SPOIL(device_driver_wild, DeviceOf(FltObjects)->DriverObject = WILD)
SPOIL(device_attached_wild, DeviceOf(FltObjects)->AttachedDevice = WILD)
SPOIL(device_extension_wild, DeviceOf(FltObjects)->DeviceExtension = WILD)
SPOIL(device_stack_size, DeviceOf(FltObjects)->StackSize = 0)
SPOIL(device_flags, DeviceOf(FltObjects)->Flags = 0xFFFFFFFF)
SPOIL(file_device_destroyed, DESTROY(File->DeviceObject))
SPOIL(related_device_destroyed, DESTROY(IoGetRelatedDeviceObject(File)))
SPOIL(base_device_destroyed, DESTROY(IoGetBaseFileSystemDeviceObject(File)))
SPOIL(driver_dispatch_null, IoGetBaseFileSystemDeviceObject(File)->DriverObject->MajorFunction[IRP_MJ_READ] = NULL)
SPOIL(driver_dispatch_wild, IoGetBaseFileSystemDeviceObject(File)->DriverObject->MajorFunction[IRP_MJ_READ] = WILD)
SPOIL(driver_fast_io_wild, IoGetBaseFileSystemDeviceObject(File)->DriverObject->FastIoDispatch = WILD)
SPOIL(other_driver_destroyed, DESTROY(IoGetBaseFileSystemDeviceObject(File)->DriverObject))
SPOIL(own_driver_destroyed, DESTROY(Driver))
SPOIL(own_driver_unload_wild, Driver->DriverUnload = WILD)
SPOIL(thread_destroyed, RtlFillMemory(PsGetCurrentThread(), 0x100, 0xFF))
SPOIL(thread_filled, RtlFillMemory((PUCHAR)PsGetCurrentThread() + 0x40, 0x200, 0xFF))
SPOIL(thread_zeroed, RtlZeroMemory(PsGetCurrentThread(), 0x300))
SPOIL(process_destroyed, RtlFillMemory(PsGetCurrentProcess(), 0x100, 0xFF))
SPOIL(process_zeroed, RtlZeroMemory(PsGetCurrentProcess(), 0x300))
SPOIL(system_process_destroyed, RtlFillMemory(PsInitialSystemProcess, 0x100, 0xFF))
SPOIL(filter_destroyed, RtlFillMemory(FltObjects->Filter, 64, 0xFF))
SPOIL(filter_zeroed, RtlZeroMemory(FltObjects->Filter, 64))
SPOIL(instance_destroyed, RtlFillMemory(FltObjects->Instance, 64, 0xFF))
SPOIL(volume_destroyed, RtlFillMemory(FltObjects->Volume, 64, 0xFF))
SPOIL(processor_destroyed, RtlFillMemory((PVOID)(ULONG_PTR)__readgsqword(0x18), 0x200, 0xFF))
SPOIL(shared_data_written, *(volatile ULONG *)0xFFFFF78000000014 = 1)
SPOIL(own_code_written, *(volatile UCHAR *)(ULONG_PTR)DeviceOf = 0xCC)
SPOIL(own_constant_written, *(volatile ULONG *)(ULONG_PTR) "constant" = 1)
SPOIL(export_code_written, *(volatile UCHAR *)(ULONG_PTR)ExFreePoolWithTag = 0xCC)
SPOIL(iopb_major, Data->Iopb->MajorFunction = 0xEE; FltSetCallbackDataDirty(Data))
SPOIL(iopb_buffer_wild, Data->Iopb->Parameters.Read.ReadBuffer = WILD; FltSetCallbackDataDirty(Data))
SPOIL(iopb_buffer_null, Data->Iopb->Parameters.Read.ReadBuffer = NULL; Data->Iopb->Parameters.Read.MdlAddress = NULL;
      FltSetCallbackDataDirty(Data))
SPOIL(iopb_instance_wild, Data->Iopb->TargetInstance = WILD; FltSetCallbackDataDirty(Data))

static FLT_PREOP_CALLBACK_STATUS
SwapMdl(PFLT_CALLBACK_DATA Data, ULONG How)
{
    PVOID Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, TAG);
    PMDL Mdl = IoAllocateMdl(Buffer, PAGE_SIZE, FALSE, FALSE, NULL);

    MmBuildMdlForNonPagedPool(Mdl);
    switch (How) {
    case 0:
        Mdl->Next = Mdl;
        break;
    case 1:
        Mdl->MdlFlags = 0;
        break;
    case 2:
        Mdl->ByteCount = 0xFFFFFFFF;
        break;
    case 3:
        Mdl->Size = 0;
        break;
    case 4:
        Mdl->MappedSystemVa = WILD;
        break;
    case 5:
        *(PPFN_NUMBER)(Mdl + 1) = 0xFFFFFFFFF;
        break;
    case 6:
        Mdl->StartVa = WILD;
        break;
    case 7:
        Mdl->Next = WILD;
        break;
    case 8:
        ExFreePoolWithTag(Buffer, TAG);
        break;
    default:
        Mdl->ByteOffset = 0xFFFFFFFF;
        break;
    }
    Data->Iopb->Parameters.Read.ReadBuffer = Buffer;
    Data->Iopb->Parameters.Read.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

#define SWAP(What, How)                                                                                                \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        UNREFERENCED_PARAMETER(FltObjects);                                                                            \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        return SwapMdl(Data, How);                                                                                     \
    }
SWAP(mdl_cyclic, 0)
SWAP(mdl_flags_cleared, 1)
SWAP(mdl_count_huge, 2)
SWAP(mdl_size_zero, 3)
SWAP(mdl_va_wild, 4)
SWAP(mdl_frame_wild, 5)
SWAP(mdl_start_wild, 6)
SWAP(mdl_next_wild, 7)
SWAP(mdl_buffer_freed, 8)
SWAP(mdl_offset_huge, 9)

static KDPC Dpc;
static KTIMER Timer;
static KEVENT Event;
static EX_PUSH_LOCK PushLock;
static EX_RUNDOWN_REF Rundown;
static ERESOURCE Resource;
static FAST_MUTEX FastMutex;
static KMUTEX Mutex;
static KSEMAPHORE Semaphore;
static KSPIN_LOCK SpinLock;
static NPAGED_LOOKASIDE_LIST Lookaside;
static WORK_QUEUE_ITEM WorkItem;
static KQUEUE Queue;
static IO_REMOVE_LOCK RemoveLock;
static RTL_AVL_TABLE Table;
static LIST_ENTRY List;
static SLIST_HEADER SList;

static VOID
Nothing(PKDPC A, PVOID B, PVOID C, PVOID D)
{
    UNREFERENCED_PARAMETER(A);
    UNREFERENCED_PARAMETER(B);
    UNREFERENCED_PARAMETER(C);
    UNREFERENCED_PARAMETER(D);
}

static VOID
Work(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
}

static LARGE_INTEGER Millisecond = {.QuadPart = -10000};

SPOIL(dpc_destroyed, KeInitializeDpc(&Dpc, Nothing, NULL); DESTROY(&Dpc); KeInsertQueueDpc(&Dpc, NULL, NULL))
SPOIL(dpc_queued_destroyed, KeInitializeDpc(&Dpc, Nothing, NULL); KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql);
      KeInsertQueueDpc(&Dpc, NULL, NULL); DESTROY(&Dpc); KeLowerIrql(Irql))
SPOIL(dpc_routine_null, KeInitializeDpc(&Dpc, NULL, NULL); KeInsertQueueDpc(&Dpc, NULL, NULL))
SPOIL(dpc_routine_wild, KeInitializeDpc(&Dpc, WILD, NULL); KeInsertQueueDpc(&Dpc, NULL, NULL))
SPOIL(dpc_never_initialized, KeInsertQueueDpc(&Dpc, NULL, NULL))
SPOIL(timer_destroyed, KeInitializeTimer(&Timer); KeSetTimer(&Timer, Millisecond, NULL); DESTROY(&Timer);
      KeDelayExecutionThread(KernelMode, FALSE, &Millisecond); KeDelayExecutionThread(KernelMode, FALSE, &Millisecond))
SPOIL(timer_dpc_destroyed, KeInitializeTimer(&Timer); KeInitializeDpc(&Dpc, Nothing, NULL);
      KeSetTimer(&Timer, Millisecond, &Dpc); DESTROY(&Dpc); KeDelayExecutionThread(KernelMode, FALSE, &Millisecond);
      KeDelayExecutionThread(KernelMode, FALSE, &Millisecond))
SPOIL(timer_never_initialized, KeSetTimer(&Timer, Millisecond, NULL))
SPOIL(event_destroyed_waited, KeInitializeEvent(&Event, NotificationEvent, TRUE); DESTROY(&Event);
      KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, &Millisecond))
SPOIL(event_never_initialized, KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, &Millisecond))
SPOIL(rundown_destroyed_waited, ExInitializeRundownProtection(&Rundown); *(PULONG_PTR)&Rundown = 0x7FFFFFFFFFFFFFF0;
      ExWaitForRundownProtectionRelease(&Rundown))
SPOIL(rundown_over_released, ExInitializeRundownProtection(&Rundown); ExReleaseRundownProtection(&Rundown))
SPOIL(resource_destroyed, ExInitializeResourceLite(&Resource); DESTROY(&Resource); KeEnterCriticalRegion();
      ExAcquireResourceExclusiveLite(&Resource, TRUE); ExReleaseResourceLite(&Resource); KeLeaveCriticalRegion())
SPOIL(resource_never_initialized, KeEnterCriticalRegion(); ExAcquireResourceExclusiveLite(&Resource, TRUE);
      ExReleaseResourceLite(&Resource); KeLeaveCriticalRegion())
SPOIL(resource_over_released, ExInitializeResourceLite(&Resource); KeEnterCriticalRegion();
      ExReleaseResourceLite(&Resource); KeLeaveCriticalRegion(); ExDeleteResourceLite(&Resource))
SPOIL(resource_deleted_held, ExInitializeResourceLite(&Resource); KeEnterCriticalRegion();
      ExAcquireResourceExclusiveLite(&Resource, TRUE); ExDeleteResourceLite(&Resource); KeLeaveCriticalRegion())
#define RESOURCE_HELD(What)                                                                                            \
    ExInitializeResourceLite(&Resource);                                                                               \
    KeEnterCriticalRegion();                                                                                           \
    ExAcquireResourceExclusiveLite(&Resource, TRUE);                                                                   \
    What;                                                                                                              \
    ExReleaseResourceLite(&Resource);                                                                                  \
    KeLeaveCriticalRegion();                                                                                           \
    ExDeleteResourceLite(&Resource)
#define PUSH_LOCK_HELD(What)                                                                                           \
    FltInitializePushLock((PULONG_PTR)&PushLock);                                                                      \
    FltAcquirePushLockExclusive((PULONG_PTR)&PushLock);                                                                \
    What;                                                                                                              \
    FltReleasePushLock((PULONG_PTR)&PushLock);                                                                         \
    FltDeletePushLock((PULONG_PTR)&PushLock)
#define FAST_MUTEX_HELD(What)                                                                                          \
    ExInitializeFastMutex(&FastMutex);                                                                                 \
    ExAcquireFastMutex(&FastMutex);                                                                                    \
    What;                                                                                                              \
    ExReleaseFastMutex(&FastMutex)
SPOIL(resource_held_destroyed, RESOURCE_HELD(DESTROY(&Resource)))
SPOIL(resource_held_zeroed, RESOURCE_HELD(RtlZeroMemory(&Resource, sizeof(Resource))))
SPOIL(resource_free_zeroed, ExInitializeResourceLite(&Resource); RtlZeroMemory(&Resource, sizeof(Resource));
      KeEnterCriticalRegion(); ExAcquireResourceSharedLite(&Resource, TRUE); ExReleaseResourceLite(&Resource);
      KeLeaveCriticalRegion(); ExDeleteResourceLite(&Resource))
SPOIL(push_lock_held_destroyed, PUSH_LOCK_HELD(DESTROY(&PushLock)))
SPOIL(push_lock_held_zeroed, PUSH_LOCK_HELD(*(PULONG_PTR)&PushLock = 0))
SPOIL(push_lock_never_initialized, PULONG_PTR Lock = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Lock), TAG);
      FltAcquirePushLockShared(Lock); FltReleasePushLock(Lock); ExFreePoolWithTag(Lock, TAG))
SPOIL(fast_mutex_held_destroyed, FAST_MUTEX_HELD(DESTROY(&FastMutex)))
SPOIL(fast_mutex_held_zeroed, FAST_MUTEX_HELD(RtlZeroMemory(&FastMutex, sizeof(FastMutex))))
SPOIL(fast_mutex_held_initialized, FAST_MUTEX_HELD(ExInitializeFastMutex(&FastMutex)))
SPOIL(fast_mutex_destroyed, ExInitializeFastMutex(&FastMutex); DESTROY(&FastMutex); ExAcquireFastMutex(&FastMutex);
      ExReleaseFastMutex(&FastMutex))
SPOIL(fast_mutex_never_initialized, ExAcquireFastMutex(&FastMutex); ExReleaseFastMutex(&FastMutex))
SPOIL(fast_mutex_not_held, ExInitializeFastMutex(&FastMutex); ExReleaseFastMutex(&FastMutex))
SPOIL(fast_mutex_twice, ExInitializeFastMutex(&FastMutex); ExAcquireFastMutex(&FastMutex);
      ExAcquireFastMutex(&FastMutex))
SPOIL(mutex_destroyed, KeInitializeMutex(&Mutex, 0); DESTROY(&Mutex);
      KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL); KeReleaseMutex(&Mutex, FALSE))
SPOIL(mutex_not_held, KeInitializeMutex(&Mutex, 0); KeReleaseMutex(&Mutex, FALSE))
SPOIL(semaphore_over_limit, KeInitializeSemaphore(&Semaphore, 0, 1); KeReleaseSemaphore(&Semaphore, 0, 5, FALSE))
SPOIL(semaphore_destroyed, KeInitializeSemaphore(&Semaphore, 1, 1); DESTROY(&Semaphore);
      KeWaitForSingleObject(&Semaphore, Executive, KernelMode, FALSE, &Millisecond))
SPOIL(spin_lock_destroyed, KIRQL Irql; KeInitializeSpinLock(&SpinLock); SpinLock = 0xFFFFFFFF;
      KeAcquireSpinLock(&SpinLock, &Irql); KeReleaseSpinLock(&SpinLock, Irql))
SPOIL(spin_lock_twice, KIRQL Irql; KeInitializeSpinLock(&SpinLock); KeAcquireSpinLock(&SpinLock, &Irql);
      KeAcquireSpinLock(&SpinLock, &Irql))
SPOIL(spin_lock_not_held, KeInitializeSpinLock(&SpinLock); KeReleaseSpinLock(&SpinLock, PASSIVE_LEVEL))
SPOIL(spin_lock_kept, KIRQL Irql; KeInitializeSpinLock(&SpinLock); KeAcquireSpinLock(&SpinLock, &Irql);
      KeLowerIrql(Irql))
SPOIL(lookaside_destroyed, ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 64, TAG, 0); DESTROY(&Lookaside);
      ExFreeToNPagedLookasideList(&Lookaside, ExAllocateFromNPagedLookasideList(&Lookaside)))
SPOIL(lookaside_never_initialized,
      ExFreeToNPagedLookasideList(&Lookaside, ExAllocateFromNPagedLookasideList(&Lookaside)))
SPOIL(lookaside_freed_twice, ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 64, TAG, 0);
      PVOID Entry = ExAllocateFromNPagedLookasideList(&Lookaside); ExFreeToNPagedLookasideList(&Lookaside, Entry);
      ExFreeToNPagedLookasideList(&Lookaside, Entry); ExDeleteNPagedLookasideList(&Lookaside))
SPOIL(lookaside_left, ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 64, TAG, 0))
SPOIL(work_item_destroyed, ExInitializeWorkItem(&WorkItem, Work, NULL); DESTROY(&WorkItem);
      ExQueueWorkItem(&WorkItem, DelayedWorkQueue))
SPOIL(work_item_wild, ExInitializeWorkItem(&WorkItem, (PWORKER_THREAD_ROUTINE)WILD, NULL);
      ExQueueWorkItem(&WorkItem, DelayedWorkQueue))
SPOIL(queue_destroyed, KeInitializeQueue(&Queue, 0); DESTROY(&Queue); KeInsertQueue(&Queue, &List))
SPOIL(remove_lock_destroyed, IoInitializeRemoveLock(&RemoveLock, TAG, 0, 0); DESTROY(&RemoveLock);
      IoAcquireRemoveLock(&RemoveLock, NULL); IoReleaseRemoveLock(&RemoveLock, NULL))
SPOIL(remove_lock_over_released, IoInitializeRemoveLock(&RemoveLock, TAG, 0, 0); IoReleaseRemoveLock(&RemoveLock, NULL);
      IoReleaseRemoveLock(&RemoveLock, NULL))
SPOIL(table_destroyed, RtlInitializeGenericTableAvl(&Table, NULL, NULL, NULL, NULL); DESTROY(&Table);
      RtlLookupElementGenericTableAvl(&Table, &List))
SPOIL(slist_destroyed, ExInitializeSListHead(&SList); DESTROY(&SList); ExInterlockedPopEntrySList(&SList, &SpinLock))
SPOIL(list_cyclic_removed, InitializeListHead(&List); List.Flink = WILD; RemoveHeadList(&List))
