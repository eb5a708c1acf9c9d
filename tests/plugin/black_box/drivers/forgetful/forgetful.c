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
static EX_RUNDOWN_REF Rundown;
static PNOTIFY_SYNC Sync;
static LARGE_INTEGER Cookie;

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

static NTSTATUS NTAPI
Asked(PVOID Context, PVOID Class, PVOID Information)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Class);
    UNREFERENCED_PARAMETER(Information);
    return STATUS_SUCCESS;
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
    SECURITY_CLIENT_CONTEXT Client;
    SECURITY_QUALITY_OF_SERVICE Quality = {sizeof(Quality), SecurityImpersonation, SECURITY_DYNAMIC_TRACKING, FALSE};

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
    } else if (IsNamed(Objects->FileObject, L"\\client")) {
        if (NT_SUCCESS(SeCreateClientSecurity(PsGetCurrentThread(), &Quality, FALSE, &Client))) {
            (VOID) SeImpersonateClientEx(&Client, NULL);
            SeDeleteClientSecurity(&Client);
        }
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
TakeMoreFromKernel(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Altitude = RTL_CONSTANT_STRING(L"328020.1");
    UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\Forgetful");
    UNICODE_STRING Target = RTL_CONSTANT_STRING(L"\\Device\\Nowhere");
    LARGE_INTEGER Size = {.QuadPart = PAGE_SIZE};
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Section;
    PVOID Object;

    if (IsNamed(Objects->FileObject, L"\\irp")) {
        (VOID) IoAllocateIrp(2, FALSE);
    } else if (IsNamed(Objects->FileObject, L"\\rundown")) {
        ExInitializeRundownProtection(&Rundown);
        (VOID) ExAcquireRundownProtection(&Rundown);
    } else if (IsNamed(Objects->FileObject, L"\\notifysync")) {
        FsRtlNotifyInitializeSync(&Sync);
    } else if (IsNamed(Objects->FileObject, L"\\registry")) {
        (VOID) CmRegisterCallbackEx(Asked, &Altitude, Driver, NULL, &Cookie, NULL);
    } else if (IsNamed(Objects->FileObject, L"\\link")) {
        (VOID) IoCreateSymbolicLink(&Link, &Target);
    } else if (IsNamed(Objects->FileObject, L"\\section")) {
        InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
        if (NT_SUCCESS(ZwCreateSection(&Section, SECTION_ALL_ACCESS, &Attributes, &Size, PAGE_READWRITE, SEC_COMMIT,
                                       NULL))) {
            (VOID) ObReferenceObjectByHandle(Section, SECTION_MAP_READ, NULL, KernelMode, &Object, NULL);
            ZwClose(Section);
        }
    }
}

/* Contexts: the reference of the second FltGetStreamContext is not given back. */
static VOID
TakeContext(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_CONTEXT Context;

    if (NT_SUCCESS(FltAllocateContext(Objects->Filter, FLT_STREAM_CONTEXT, 8, PagedPool, &Context))) {
        (VOID) FltSetStreamContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context,
                                   NULL);
        FltReleaseContext(Context);
    }
    if (NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, &Context))) {
        FltReleaseContext(Context);
    }
    (VOID) FltGetStreamContext(Objects->Instance, Objects->FileObject, &Context);
}

static VOID
TakeHandle(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, BOOLEAN WithObject)
{
    PFLT_FILE_NAME_INFORMATION Name;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    PFILE_OBJECT File;
    HANDLE Handle;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        InitializeObjectAttributes(&Attributes, &Name->Name, OBJ_KERNEL_HANDLE, NULL, NULL);
        if (WithObject) {
            (VOID) FltCreateFileEx(Objects->Filter, Objects->Instance, &Handle, &File, FILE_READ_ATTRIBUTES, &Attributes,
                                   &IoStatus, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0);
            FltClose(Handle);
        } else {
            (VOID) FltCreateFile(Objects->Filter, Objects->Instance, &Handle, FILE_READ_ATTRIBUTES, &Attributes,
                                 &IoStatus, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0);
        }
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
        TakeMoreFromKernel(FltObjects);
        if (IsNamed(FltObjects->FileObject, L"\\handle")) {
            TakeHandle(Data, FltObjects, FALSE);
        } else if (IsNamed(FltObjects->FileObject, L"\\opened")) {
            TakeHandle(Data, FltObjects, TRUE);
        } else if (IsNamed(FltObjects->FileObject, L"\\gotten")) {
            TakeContext(FltObjects);
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
