/* removable.c: media that can be taken away are read only. Which they are is asked in the instance setup: by the
 * properties of the volume, by the characteristics of its disk device, and by name for what prints them. */

#include <fltKernel.h>

static PFLT_FILTER Self;

static VOID
Tell(PFLT_VOLUME Volume, BOOLEAN Removable)
{
    UNICODE_STRING Name = {0};
    PWSTR Buffer;
    ULONG Needed = 0;

    if (FltGetVolumeName(Volume, NULL, &Needed) != STATUS_BUFFER_TOO_SMALL) {
        return;
    }
    Buffer = ExAllocatePool2(POOL_FLAG_PAGED, Needed, 'mveR');
    if (Buffer == NULL) {
        return;
    }
    Name.Buffer = Buffer;
    Name.MaximumLength = (USHORT)Needed;
    if (NT_SUCCESS(FltGetVolumeName(Volume, &Name, NULL))) {
        DbgPrint("removable: %wZ is %s\n", &Name, Removable ? "removable" : "fixed");
    }
    ExFreePool(Buffer);
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE DeviceType,
      FLT_FILESYSTEM_TYPE FileSystem)
{
    union {
        FLT_VOLUME_PROPERTIES Properties;
        UCHAR Room[sizeof(FLT_VOLUME_PROPERTIES) + 512];
    } Answer;
    PDEVICE_OBJECT Disk;
    BOOLEAN Removable = FALSE;
    ULONG Length;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    if (DeviceType != FILE_DEVICE_DISK_FILE_SYSTEM || FileSystem == FLT_FSTYPE_RAW) {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    Status = FltGetVolumeProperties(Objects->Volume, &Answer.Properties, sizeof(Answer), &Length);
    if (NT_SUCCESS(Status) || Status == STATUS_BUFFER_OVERFLOW) {
        Removable = BooleanFlagOn(Answer.Properties.DeviceCharacteristics, FILE_REMOVABLE_MEDIA | FILE_FLOPPY_DISKETTE);
    }
    Status = FltGetDiskDeviceObject(Objects->Volume, &Disk);
    if (NT_SUCCESS(Status)) {
        Removable |= BooleanFlagOn(Disk->Characteristics, FILE_REMOVABLE_MEDIA);
        ObDereferenceObject(Disk);
    }
    Tell(Objects->Volume, Removable);
    return Removable ? STATUS_SUCCESS : STATUS_FLT_DO_NOT_ATTACH;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static FLT_PREOP_CALLBACK_STATUS
Refuse(PFLT_CALLBACK_DATA Data)
{
    Data->IoStatus.Status = STATUS_MEDIA_WRITE_PROTECTED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    ULONG Disposition = Data->Iopb->Parameters.Create.Options >> 24;
    ULONG Options = Data->Iopb->Parameters.Create.Options;
    ACCESS_MASK Access = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Objects->FileObject->Flags, FO_VOLUME_OPEN) || FlagOn(Data->Iopb->OperationFlags, SL_OPEN_PAGING_FILE)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Disposition == FILE_SUPERSEDE || Disposition == FILE_CREATE || Disposition == FILE_OVERWRITE ||
        Disposition == FILE_OVERWRITE_IF || FlagOn(Options, FILE_DELETE_ON_CLOSE) ||
        FlagOn(Access, FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA | DELETE |
                           WRITE_DAC | WRITE_OWNER)) {
        return Refuse(Data);
    }
    if (Disposition == FILE_OPEN_IF) {
        Data->Iopb->Parameters.Create.Options = (FILE_OPEN << 24) | (Options & FILE_VALID_OPTION_FLAGS);
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Self);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceSetupCallback = Setup,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Self);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(Self);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Self);
    }
    return Status;
}
