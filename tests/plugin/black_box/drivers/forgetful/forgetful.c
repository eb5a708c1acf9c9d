/*
 * forgetful: the name of a file that is opened says what is taken and never given back.
 */

#include <fltKernel.h>

#define TAG 'tgrF'

static PFLT_FILTER Filter;
static PDRIVER_OBJECT Driver;
static NPAGED_LOOKASIDE_LIST Lookaside;
static ERESOURCE Resource;
static KTIMER Timer;
static KDPC Dpc;
static KEVENT Never;

static VOID NTAPI
Expired(PKDPC Which, PVOID Context, PVOID First, PVOID Second)
{
    UNREFERENCED_PARAMETER(Which);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
}

static VOID NTAPI
Waits(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    KeWaitForSingleObject(&Never, Executive, KernelMode, FALSE, NULL);
}

static VOID NTAPI
Told(HANDLE Parent, HANDLE Process, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Parent);
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Create);
}

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

static VOID
TakeFromFilterManager(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_VOLUME Volume;
    PFLT_CONTEXT Context;
    PFLT_CALLBACK_DATA Own;
    PFLT_FILE_NAME_INFORMATION Name;

    if (IsNamed(Objects->FileObject, L"\\volume")) {
        (VOID) FltGetVolumeFromInstance(Objects->Instance, &Volume);
    } else if (IsNamed(Objects->FileObject, L"\\instance")) {
        (VOID) FltObjectReference(Objects->Instance);
    } else if (IsNamed(Objects->FileObject, L"\\filter")) {
        (VOID) FltObjectReference(Objects->Filter);
    } else if (IsNamed(Objects->FileObject, L"\\context")) {
        (VOID) FltAllocateContext(Objects->Filter, FLT_STREAM_CONTEXT, 8, PagedPool, &Context);
    } else if (IsNamed(Objects->FileObject, L"\\data")) {
        (VOID) FltAllocateCallbackData(Objects->Instance, Objects->FileObject, &Own);
    } else if (IsNamed(Objects->FileObject, L"\\name")) {
        (VOID) FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    } else if (IsNamed(Objects->FileObject, L"\\workitem")) {
        (VOID) FltAllocateGenericWorkItem();
    }
}

static VOID
TakeFromKernel(PCFLT_RELATED_OBJECTS Objects)
{
    PDEVICE_OBJECT Device;
    PMDL Mdl;
    PVOID Buffer;
    HANDLE Thread;
    LARGE_INTEGER Later;

    if (IsNamed(Objects->FileObject, L"\\device")) {
        (VOID) FltGetDiskDeviceObject(Objects->Volume, &Device);
    } else if (IsNamed(Objects->FileObject, L"\\fileobject")) {
        ObReferenceObject(Objects->FileObject);
    } else if (IsNamed(Objects->FileObject, L"\\process")) {
        ObReferenceObject(PsGetCurrentProcess());
    } else if (IsNamed(Objects->FileObject, L"\\threadobject")) {
        ObReferenceObject(PsGetCurrentThread());
    } else if (IsNamed(Objects->FileObject, L"\\memory")) {
        (VOID) ExAllocatePoolWithTag(NonPagedPoolNx, 100, TAG);
    } else if (IsNamed(Objects->FileObject, L"\\lookaside")) {
        ExInitializeNPagedLookasideList(&Lookaside, NULL, NULL, 0, 64, TAG, 0);
    } else if (IsNamed(Objects->FileObject, L"\\resource")) {
        (VOID) ExInitializeResourceLite(&Resource);
    } else if (IsNamed(Objects->FileObject, L"\\timer")) {
        KeInitializeTimer(&Timer);
        KeInitializeDpc(&Dpc, Expired, NULL);
        Later.QuadPart = -100000000000LL;
        KeSetTimer(&Timer, Later, &Dpc);
    } else if (IsNamed(Objects->FileObject, L"\\thread")) {
        KeInitializeEvent(&Never, NotificationEvent, FALSE);
        if (NT_SUCCESS(PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Waits, NULL))) {
            ZwClose(Thread);
        }
    } else if (IsNamed(Objects->FileObject, L"\\callback")) {
        (VOID) PsSetCreateProcessNotifyRoutine(Told, FALSE);
    } else if (IsNamed(Objects->FileObject, L"\\newdevice")) {
        (VOID) IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    } else if (IsNamed(Objects->FileObject, L"\\pages")) {
        Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, 4096, TAG);
        Mdl = Buffer != NULL ? IoAllocateMdl(Buffer, 4096, FALSE, FALSE, NULL) : NULL;
        if (Mdl != NULL) {
            MmProbeAndLockPages(Mdl, KernelMode, IoReadAccess);
        }
    }
}

static VOID
TakeHandle(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_FILE_NAME_INFORMATION Name;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Handle;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        InitializeObjectAttributes(&Attributes, &Name->Name, OBJ_KERNEL_HANDLE, NULL, NULL);
        (VOID) FltCreateFile(Objects->Filter, Objects->Instance, &Handle, FILE_READ_ATTRIBUTES, &Attributes, &IoStatus,
                             NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0);
        FltReleaseFileNameInformation(Name);
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!(Flags & FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        TakeFromFilterManager(Data, FltObjects);
        TakeFromKernel(FltObjects);
        if (IsNamed(FltObjects->FileObject, L"\\handle")) {
            TakeHandle(Data, FltObjects);
        }
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate}, {IRP_MJ_OPERATION_END}};

static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_STREAM_CONTEXT, 0, NULL, 8, TAG}, {FLT_CONTEXT_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .ContextRegistration = Contexts,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Driver = DriverObject;
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
