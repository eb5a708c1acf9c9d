/*
 * metafile.c: what the filter knows of a volume is in a file there that it keeps open. FSCTL_LOCK_VOLUME succeeds only
 * while nobody has a file open, so the file is closed on the way down of a lock or a dismount, and opened again when the
 * lock fails, is given up, or goes with its handle. A volume on a bus that is pulled out any time gets no such file.
 */
#include <fltKernel.h>
#include <ntddstor.h>

typedef struct {
    ERESOURCE Guard;
    HANDLE Handle;
    PFILE_OBJECT File;
    PFILE_OBJECT LockedBy;
} META, *PMETA;

static PFLT_FILTER Filter;

static BOOLEAN
IsPulledOut(PFLT_VOLUME Volume)
{
    STORAGE_PROPERTY_QUERY Query = {StorageDeviceProperty, PropertyStandardQuery};
    STORAGE_DEVICE_DESCRIPTOR Answer = {0};
    PDEVICE_OBJECT Disk;
    IO_STATUS_BLOCK Iosb;
    KEVENT Event;
    PIRP Irp;

    if (!NT_SUCCESS(FltGetDiskDeviceObject(Volume, &Disk))) {
        return TRUE;
    }
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Irp = IoBuildDeviceIoControlRequest(IOCTL_STORAGE_QUERY_PROPERTY, Disk, &Query, sizeof(Query), &Answer,
                                        sizeof(Answer), FALSE, &Event, &Iosb);
    if (Irp != NULL && IoCallDriver(Disk, Irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    }
    ObDereferenceObject(Disk);
    return Answer.BusType != BusTypeSata && Answer.BusType != BusTypeNvme && Answer.BusType != BusTypeSas;
}

/* With the guard held. */
static VOID
OpenFile(PCFLT_RELATED_OBJECTS Objects, PMETA Meta)
{
    WCHAR Buffer[80];
    UNICODE_STRING Name = {0, sizeof(Buffer), Buffer};
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;

    if (Meta->File != NULL || !NT_SUCCESS(FltGetVolumeName(Objects->Volume, &Name, NULL)) ||
        !NT_SUCCESS(RtlAppendUnicodeToString(&Name, L"\\meta.dat"))) {
        return;
    }
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    FltCreateFileEx(Filter, Objects->Instance, &Meta->Handle, &Meta->File, FILE_GENERIC_READ | FILE_GENERIC_WRITE,
                    &Attributes, &Iosb, NULL, FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM, FILE_SHARE_READ,
                    FILE_OPEN_IF, FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0);
}

static VOID
CloseFile(PMETA Meta)
{
    if (Meta->File != NULL) {
        ObDereferenceObject(Meta->File);
        FltClose(Meta->Handle);
        Meta->File = NULL;
    }
}

static VOID FLTAPI
MetaGone(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Type);
    ExDeleteResourceLite(&((PMETA)Context)->Guard);
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Device, FLT_FILESYSTEM_TYPE Type)
{
    PMETA Meta;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(Type);
    if (Device != FILE_DEVICE_DISK_FILE_SYSTEM || IsPulledOut(Objects->Volume)) {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    Status = FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, sizeof(*Meta), NonPagedPool, (PFLT_CONTEXT *)&Meta);
    if (!NT_SUCCESS(Status)) {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    RtlZeroMemory(Meta, sizeof(*Meta));
    ExInitializeResourceLite(&Meta->Guard);
    Status = FltSetInstanceContext(Objects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Meta, NULL);
    if (NT_SUCCESS(Status)) {
        OpenFile(Objects, Meta);
    }
    FltReleaseContext(Meta);
    return NT_SUCCESS(Status) ? STATUS_SUCCESS : STATUS_FLT_DO_NOT_ATTACH;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static VOID FLTAPI
TeardownStart(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_TEARDOWN_FLAGS Flags)
{
    PMETA Meta;

    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(FltGetInstanceContext(Objects->Instance, (PFLT_CONTEXT *)&Meta))) {
        FltAcquireResourceExclusive(&Meta->Guard);
        CloseFile(Meta);
        FltReleaseResource(&Meta->Guard);
        FltReleaseContext(Meta);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    ULONG Code = Data->Iopb->Parameters.FileSystemControl.Common.FsControlCode;
    PMETA Meta;

    UNREFERENCED_PARAMETER(Context);
    if (Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST ||
        (Code != FSCTL_LOCK_VOLUME && Code != FSCTL_UNLOCK_VOLUME && Code != FSCTL_DISMOUNT_VOLUME)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Code != FSCTL_UNLOCK_VOLUME && NT_SUCCESS(FltGetInstanceContext(Objects->Instance, (PFLT_CONTEXT *)&Meta))) {
        FltAcquireResourceExclusive(&Meta->Guard);
        CloseFile(Meta);
        FltReleaseResource(&Meta->Guard);
        FltReleaseContext(Meta);
    }
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    ULONG Code = Data->Iopb->Parameters.FileSystemControl.Common.FsControlCode;
    BOOLEAN Done = NT_SUCCESS(Data->IoStatus.Status);
    PMETA Meta;

    UNREFERENCED_PARAMETER(Context);
    if ((Flags & FLTFL_POST_OPERATION_DRAINING) || (Code == FSCTL_DISMOUNT_VOLUME && Done) ||
        !NT_SUCCESS(FltGetInstanceContext(Objects->Instance, (PFLT_CONTEXT *)&Meta))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    FltAcquireResourceExclusive(&Meta->Guard);
    if (Code == FSCTL_LOCK_VOLUME && Done) {
        Meta->LockedBy = Objects->FileObject;
    } else if (Code == FSCTL_UNLOCK_VOLUME && Done) {
        Meta->LockedBy = NULL;
    }
    if (Meta->LockedBy == NULL) {
        OpenFile(Objects, Meta);
    }
    FltReleaseResource(&Meta->Guard);
    FltReleaseContext(Meta);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    return FlagOn(Objects->FileObject->Flags, FO_VOLUME_OPEN) ? FLT_PREOP_SYNCHRONIZE : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

/* The handle that has locked the volume goes, and the lock with it. */
static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PMETA Meta;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    if ((Flags & FLTFL_POST_OPERATION_DRAINING) ||
        !NT_SUCCESS(FltGetInstanceContext(Objects->Instance, (PFLT_CONTEXT *)&Meta))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    FltAcquireResourceExclusive(&Meta->Guard);
    if (Meta->LockedBy == Objects->FileObject) {
        Meta->LockedBy = NULL;
        OpenFile(Objects, Meta);
    }
    FltReleaseResource(&Meta->Guard);
    FltReleaseContext(Meta);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, PostControl},
    {IRP_MJ_CLEANUP, 0, PreCleanup, PostCleanup},
    {IRP_MJ_OPERATION_END}};

static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_INSTANCE_CONTEXT, 0, MetaGone, sizeof(META), 'ateM'},
                                                    {FLT_CONTEXT_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceSetupCallback = Setup,
    .InstanceQueryTeardownCallback = QueryTeardown,
    .InstanceTeardownStartCallback = TeardownStart,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
