/*
 * keeper: the name of the file that is read says what a callback keeps.
 */

#include <fltKernel.h>

#define TAG 'peeK'

static PFLT_FILTER Filter;
static ERESOURCE Resource;
static EX_PUSH_LOCK PushLock;
static KGUARDED_MUTEX Mutex;
static KSPIN_LOCK SpinLock;
static BOOLEAN AtTeardown;

static BOOLEAN
IsNamed(_In_ PFILE_OBJECT File, _In_ PCWSTR Wanted)
{
    UNICODE_STRING Suffix;
    UNICODE_STRING Tail = File->FileName;

    RtlInitUnicodeString(&Suffix, Wanted);
    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Suffix, &Tail, TRUE);
}

static __attribute__((noinline)) UCHAR
UseStack(SIZE_T Size)
{
    volatile UCHAR Room[20 * 1024];

    for (SIZE_T At = 0; At < sizeof(Room); At += 256) {
        Room[At] = (UCHAR)Size;
    }
    return Room[Size];
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PVOID Block;
    PFILE_OBJECT File = FltObjects->FileObject;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsNamed(File, L"\\critical")) {
        KeEnterCriticalRegion();
    } else if (IsNamed(File, L"\\guarded")) {
        KeEnterGuardedRegion();
    } else if (IsNamed(File, L"\\resource")) {
        FltAcquireResourceExclusive(&Resource);
    } else if (IsNamed(File, L"\\pushlock")) {
        FltAcquirePushLockShared(&PushLock);
    } else if (IsNamed(File, L"\\mutex")) {
        KeAcquireGuardedMutex(&Mutex);
    } else if (IsNamed(File, L"\\interrupts")) {
        __asm__ volatile("cli");
    } else if (IsNamed(File, L"\\disables")) {
        __asm__ volatile("cli");
        __asm__ volatile("sti");
    } else if (IsNamed(File, L"\\leaves")) {
        KeEnterCriticalRegion();
        KeLeaveCriticalRegion();
    } else if (IsNamed(File, L"\\tag")) {
        Block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
        if (Block != NULL) {
            ExFreePoolWithTag(Block, 'rehO');
        }
    } else if (IsNamed(File, L"\\dereferences")) {
        ObDereferenceObject(File);
    } else if (IsNamed(File, L"\\references")) {
        ObReferenceObject(File);
        ObDereferenceObject(File);
    } else if (IsNamed(File, L"\\teardown")) {
        AtTeardown = TRUE;
    } else if (IsNamed(File, L"\\stack")) {
        UseStack(511);
    } else if (IsNamed(File, L"\\complete")) {
        Data->IoStatus.Status = STATUS_SUCCESS;
        Data->IoStatus.Information = Data->Iopb->Parameters.Read.Length + 1;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_IS_IRP_OPERATION(Data) ? FLT_PREOP_SYNCHRONIZE
                                      : FLT_PREOP_SUCCESS_WITH_CALLBACK; /* post at PASSIVE_LEVEL */
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    UNREFERENCED_PARAMETER(Flags);
    if (IsNamed(FltObjects->FileObject, L"\\beyond")) {
        Data->IoStatus.Information = 100000;
    } else if (IsNamed(FltObjects->FileObject, L"\\late")) {
        KeEnterCriticalRegion();
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!IsNamed(FltObjects->FileObject, L"\\control")) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = Data->Iopb->Parameters.FileSystemControl.Common.OutputBufferLength + 1;
    return FLT_PREOP_COMPLETE;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, PreRead, PostRead},
                                                        {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, NULL},
                                                        {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    ExDeleteResourceLite(&Resource);
    return STATUS_SUCCESS;
}

static VOID FLTAPI
TeardownComplete(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Reason);
    if (AtTeardown) {
        KeEnterCriticalRegion();
    }
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceTeardownCompleteCallback = TeardownComplete,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    ExInitializeResourceLite(&Resource);
    FltInitializePushLock(&PushLock);
    KeInitializeGuardedMutex(&Mutex);
    KeInitializeSpinLock(&SpinLock);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
