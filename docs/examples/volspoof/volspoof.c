// volspoof.c: what a volume says of itself is changed in the post callback of IRP_MJ_QUERY_VOLUME_INFORMATION. The
// label is longer than the true one may be, so buffers that are too small for it are answered as the documentation says.

#include <fltKernel.h>

static PFLT_FILTER gFilter;
static const UNICODE_STRING gLabel = RTL_CONSTANT_STRING(L"Quarantined volume");

static VOID
SpoofLabel(PFLT_CALLBACK_DATA Data, PFILE_FS_VOLUME_INFORMATION Info, ULONG Length)
{
    ULONG head = FIELD_OFFSET(FILE_FS_VOLUME_INFORMATION, VolumeLabel);
    ULONG room = Length > head ? Length - head : 0;
    ULONG fits = min(room, gLabel.Length) & ~1ul;

    Info->VolumeLabelLength = gLabel.Length;
    RtlCopyMemory(Info->VolumeLabel, gLabel.Buffer, fits);
    Data->IoStatus.Information = head + fits;
    Data->IoStatus.Status = fits < gLabel.Length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostQueryVolume(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID Context,
                FLT_POST_OPERATION_FLAGS Flags)
{
    PVOID buffer = Data->Iopb->Parameters.QueryVolumeInformation.VolumeBuffer;
    ULONG length = Data->Iopb->Parameters.QueryVolumeInformation.Length;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) ||
        (!NT_SUCCESS(Data->IoStatus.Status) && Data->IoStatus.Status != STATUS_BUFFER_OVERFLOW)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    switch (Data->Iopb->Parameters.QueryVolumeInformation.FsInformationClass) {
    case FileFsVolumeInformation:
        SpoofLabel(Data, buffer, length);
        break;
    case FileFsSizeInformation: {
        PFILE_FS_SIZE_INFORMATION size = buffer;
        size->AvailableAllocationUnits.QuadPart /= 2;
        size->TotalAllocationUnits.QuadPart /= 2;
        break;
    }
    case FileFsFullSizeInformation: {
        PFILE_FS_FULL_SIZE_INFORMATION full = buffer;
        full->CallerAvailableAllocationUnits.QuadPart /= 2;
        full->ActualAvailableAllocationUnits.QuadPart /= 2;
        full->TotalAllocationUnits.QuadPart /= 2;
        break;
    }
    default:
        break;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreSetVolume(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Context);
    if (Data->Iopb->Parameters.SetVolumeInformation.FsInformationClass != FileFsLabelInformation) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_QUERY_VOLUME_INFORMATION, 0, NULL, PostQueryVolume},
    {IRP_MJ_SET_VOLUME_INFORMATION, 0, PreSetVolume, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION gRegistration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = gOperations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    return status;
}
