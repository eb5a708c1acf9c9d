/*
 * A filter that says it can do named pipes and mailslots (so that its setup is asked about their volumes, by the flag of
 * its registration and by SupportedFeatures in the registry) and then declines them, the network and optical media. What
 * it attaches to, it audits: who opens for writing is counted for each instance.
 */

#include <fltKernel.h>

#define TAG 'epiP'

typedef struct _INSTANCE_CONTEXT {
    FLT_FILESYSTEM_TYPE FileSystem;
    volatile LONG64 Writers;
} INSTANCE_CONTEXT, *PINSTANCE_CONTEXT;

PFLT_FILTER Filter;

VOID
InstanceContextCleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    FLT_ASSERT(Type == FLT_INSTANCE_CONTEXT);
    DbgPrint("nopipes: %lld opens for writing on file system %d\n", ((PINSTANCE_CONTEXT)Context)->Writers,
             ((PINSTANCE_CONTEXT)Context)->FileSystem);
}

NTSTATUS
InstanceSetup(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE VolumeDeviceType,
              FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    PINSTANCE_CONTEXT Context;
    NTSTATUS Status;

    DbgPrint("nopipes: offered device type 0x%x, file system %d%s\n", VolumeDeviceType, VolumeFilesystemType,
             FlagOn(Flags, FLTFL_INSTANCE_SETUP_NEWLY_MOUNTED_VOLUME) ? ", newly mounted" : "");
    switch (VolumeDeviceType) {
    case FILE_DEVICE_NAMED_PIPE:
    case FILE_DEVICE_MAILSLOT:
    case FILE_DEVICE_NETWORK_FILE_SYSTEM:
    case FILE_DEVICE_CD_ROM_FILE_SYSTEM:
        return STATUS_FLT_DO_NOT_ATTACH;
    case FILE_DEVICE_DISK_FILE_SYSTEM:
        break;
    default:
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    switch (VolumeFilesystemType) {
    case FLT_FSTYPE_NPFS:
    case FLT_FSTYPE_MSFS:
    case FLT_FSTYPE_RAW:
        return STATUS_FLT_DO_NOT_ATTACH;
    case FLT_FSTYPE_NTFS:
    case FLT_FSTYPE_FAT:
    case FLT_FSTYPE_EXFAT:
    case FLT_FSTYPE_REFS:
    default:
        break;
    }
    Status = FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, sizeof(*Context), NonPagedPoolNx, &Context);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    RtlZeroMemory(Context, sizeof(*Context));
    Context->FileSystem = VolumeFilesystemType;
    Status = FltSetInstanceContext(FltObjects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
    FltReleaseContext(Context);
    return Status;
}

NTSTATUS
InstanceQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

FLT_PREOP_CALLBACK_STATUS
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PINSTANCE_CONTEXT Context;

    *CompletionContext = NULL;
    if (FlagOn(Data->Iopb->Parameters.Create.SecurityContext->AccessState->OriginalDesiredAccess,
               FILE_WRITE_DATA | FILE_APPEND_DATA) &&
        NT_SUCCESS(FltGetInstanceContext(FltObjects->Instance, &Context))) {
        InterlockedIncrement64(&Context->Writers);
        FltReleaseContext(Context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

FLT_PREOP_CALLBACK_STATUS
PrePipe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    DbgPrint("nopipes: major 0x%x of a volume that was declined\n", Data->Iopb->MajorFunction);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

NTSTATUS
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

const FLT_CONTEXT_REGISTRATION ContextRegistration[] = {
    {FLT_INSTANCE_CONTEXT, 0, InstanceContextCleanup, sizeof(INSTANCE_CONTEXT), TAG},
    {FLT_CONTEXT_END},
};

const FLT_OPERATION_REGISTRATION Callbacks[] = {
    {IRP_MJ_CREATE, 0, PreCreate, NULL},
    {IRP_MJ_CREATE_NAMED_PIPE, 0, PrePipe, NULL},
    {IRP_MJ_CREATE_MAILSLOT, 0, PrePipe, NULL},
    {IRP_MJ_OPERATION_END},
};

const FLT_REGISTRATION FilterRegistration = {
    sizeof(FLT_REGISTRATION),
    FLT_REGISTRATION_VERSION,
    FLTFL_REGISTRATION_SUPPORT_NPFS_MSFS,
    ContextRegistration,
    Callbacks,
    Unload,
    InstanceSetup,
    InstanceQueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &FilterRegistration, &Filter);
    FLT_ASSERT(NT_SUCCESS(Status));
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
