/*
 * backup.c: keeps what a file was before somebody could change it. Who opens an existing file to write, or to overwrite
 * it, finds the driver there first: it copies the file with its alternate streams, extended attributes and descriptor
 * to \backup on the same volume, once. The directory has to be there: without it nothing is kept.
 */

#include <fltKernel.h>
#include <ntstrsafe.h>

#define BACKUP_TAG 'kcaB'
#define CHUNK 0x10000
#define ROOM 0x4000
#define PATH_CHARS 512
#define CHANGES (FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | WRITE_DAC | WRITE_OWNER)

static const UNICODE_STRING BackupDirectory = RTL_CONSTANT_STRING(L"\\backup\\");
static PFLT_FILTER BackupFilter;

/* One of our own handles, below ourselves. */
typedef struct _OPENED {
    HANDLE Handle;
    PFILE_OBJECT File;
} OPENED;

static NTSTATUS
Open(_In_ PFLT_INSTANCE Instance, _In_ PUNICODE_STRING Path, _In_ ACCESS_MASK Access, _In_ ULONG Disposition,
     _Out_ OPENED *Opened)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;

    RtlZeroMemory(Opened, sizeof(*Opened));
    InitializeObjectAttributes(&Attributes, Path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return FltCreateFileEx(BackupFilter, Instance, &Opened->Handle, &Opened->File, Access | SYNCHRONIZE, &Attributes,
                           &IoStatus, NULL, FILE_ATTRIBUTE_NORMAL,
                           FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, Disposition,
                           FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT, NULL, 0,
                           IO_IGNORE_SHARE_ACCESS_CHECK);
}

static VOID
Close(_Inout_ OPENED *Opened)
{
    if (Opened->File != NULL) {
        ObDereferenceObject(Opened->File);
    }
    if (Opened->Handle != NULL) {
        FltClose(Opened->Handle);
    }
    RtlZeroMemory(Opened, sizeof(*Opened));
}

static NTSTATUS
CopyData(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT From, _In_ PFILE_OBJECT To, _Inout_ PVOID Buffer)
{
    LARGE_INTEGER Offset = {.QuadPart = 0};
    ULONG Read, Written;
    NTSTATUS Status;

    for (;;) {
        Status = FltReadFile(Instance, From, &Offset, CHUNK, Buffer, FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET,
                             &Read, NULL, NULL);
        if (Status == STATUS_END_OF_FILE || (NT_SUCCESS(Status) && Read == 0)) {
            return STATUS_SUCCESS;
        }
        if (NT_SUCCESS(Status)) {
            Status = FltWriteFile(Instance, To, &Offset, Read, Buffer, FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET,
                                  &Written, NULL, NULL);
        }
        if (!NT_SUCCESS(Status)) {
            return Status;
        }
        Offset.QuadPart += Read;
    }
}

static VOID
CopyMetadata(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT From, _In_ PFILE_OBJECT To, _Inout_ PVOID Buffer)
{
    ULONG Length = 0;

    if (NT_SUCCESS(FltQueryEaFile(Instance, From, Buffer, ROOM, FALSE, NULL, 0, NULL, TRUE, &Length)) && Length != 0) {
        FltSetEaFile(Instance, To, Buffer, Length);
    }
    if (NT_SUCCESS(FltQuerySecurityObject(Instance, From, DACL_SECURITY_INFORMATION, Buffer, ROOM, &Length))) {
        FltSetSecurityObject(Instance, To, DACL_SECURITY_INFORMATION, Buffer);
    }
}

/* Copy every stream of Path to the file of the same streams at Target, which is open as To without one. */
static NTSTATUS
CopyStreams(_In_ PFLT_INSTANCE Instance, _In_ PUNICODE_STRING Path, _In_ PUNICODE_STRING Target,
            _In_ PFILE_STREAM_INFORMATION Stream, _Inout_ PVOID Buffer)
{
    UNICODE_STRING Default = RTL_CONSTANT_STRING(L"::$DATA");
    USHORT PathLength = Path->Length, TargetLength = Target->Length;
    OPENED From, To;
    UNICODE_STRING Name;
    NTSTATUS Status;

    for (;;) {
        Name.Buffer = Stream->StreamName;
        Name.Length = Name.MaximumLength = (USHORT)Stream->StreamNameLength;
        if (!RtlEqualUnicodeString(&Name, &Default, TRUE)) {
            RtlAppendUnicodeStringToString(Path, &Name);
            RtlAppendUnicodeStringToString(Target, &Name);
            RtlZeroMemory(&To, sizeof(To));
            Status = Open(Instance, Path, FILE_READ_DATA, FILE_OPEN, &From);
            if (NT_SUCCESS(Status)) {
                Status = Open(Instance, Target, FILE_WRITE_DATA, FILE_OVERWRITE_IF, &To);
            }
            if (NT_SUCCESS(Status)) {
                Status = CopyData(Instance, From.File, To.File, Buffer);
            }
            Close(&From);
            Close(&To);
            Path->Length = PathLength;
            Target->Length = TargetLength;
            if (!NT_SUCCESS(Status)) {
                return Status;
            }
        }
        if (Stream->NextEntryOffset == 0) {
            return STATUS_SUCCESS;
        }
        Stream = Add2Ptr(Stream, Stream->NextEntryOffset);
    }
}

static NTSTATUS
KeepCopy(_In_ PFLT_INSTANCE Instance, _In_ PFLT_FILE_NAME_INFORMATION Info)
{
    PUCHAR Buffer = ExAllocatePoolZero(PagedPool, CHUNK + ROOM + 2 * PATH_CHARS * sizeof(WCHAR), BACKUP_TAG);
    OPENED From = {0}, To = {0};
    UNICODE_STRING Path, Target;
    NTSTATUS Status;

    PAGED_CODE();
    if (Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlInitEmptyUnicodeString(&Path, (PWCH)(Buffer + CHUNK + ROOM), PATH_CHARS * sizeof(WCHAR));
    RtlInitEmptyUnicodeString(&Target, Path.Buffer + PATH_CHARS, PATH_CHARS * sizeof(WCHAR));
    Status = RtlUnicodeStringPrintf(&Target, L"%wZ%wZ%wZ", &Info->Volume, &BackupDirectory, &Info->FinalComponent);
    if (NT_SUCCESS(Status)) {
        Target.Length -= Info->Stream.Length;
        Status = RtlUnicodeStringCopy(&Path, &Info->Name);
        Path.Length -= Info->Stream.Length;
    }
    if (NT_SUCCESS(Status)) {
        Status = Open(Instance, &Path, FILE_GENERIC_READ, FILE_OPEN, &From);
    }
    if (NT_SUCCESS(Status)) {
        Status = Open(Instance, &Target, FILE_GENERIC_WRITE | WRITE_DAC, FILE_CREATE, &To); /* once */
    }
    if (NT_SUCCESS(Status)) {
        Status = CopyData(Instance, From.File, To.File, Buffer);
    }
    if (NT_SUCCESS(Status)) {
        CopyMetadata(Instance, From.File, To.File, Buffer + CHUNK);
        Status = FltQueryInformationFile(Instance, From.File, Buffer + CHUNK, ROOM, FileStreamInformation, NULL);
    }
    if (NT_SUCCESS(Status)) {
        Status = CopyStreams(Instance, &Path, &Target, (PFILE_STREAM_INFORMATION)(Buffer + CHUNK), Buffer);
    }
    Close(&From);
    Close(&To);
    ExFreePoolWithTag(Buffer, BACKUP_TAG);
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects,
          _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    ULONG Disposition = Data->Iopb->Parameters.Create.Options >> 24;
    PFLT_FILE_NAME_INFORMATION Info;
    UNICODE_STRING Within;

    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (Disposition == FILE_CREATE || FlagOn(Data->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY) ||
        (Disposition <= FILE_OPEN_IF && Disposition != FILE_SUPERSEDE &&
         !FlagOn(Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess, CHANGES)) ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Info))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Info)) && Info->FinalComponent.Length != 0) {
        Within.Buffer = Add2Ptr(Info->Name.Buffer, Info->Volume.Length);
        Within.Length = Within.MaximumLength = Info->Name.Length - Info->Volume.Length;
        if (!RtlPrefixUnicodeString(&BackupDirectory, &Within, TRUE)) {
            KeepCopy(Objects->Instance, Info);
        }
    }
    FltReleaseFileNameInformation(Info);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(BackupFilter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Setup(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ FLT_INSTANCE_SETUP_FLAGS Flags, _In_ DEVICE_TYPE DeviceType,
      _In_ FLT_FILESYSTEM_TYPE FileSystem)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return DeviceType == FILE_DEVICE_DISK_FILE_SYSTEM && FileSystem == FLT_FSTYPE_NTFS ? STATUS_SUCCESS
                                                                                       : STATUS_FLT_DO_NOT_ATTACH;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceSetupCallback = Setup,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &BackupFilter);
    if (NT_SUCCESS(Status) && !NT_SUCCESS(Status = FltStartFiltering(BackupFilter))) {
        FltUnregisterFilter(BackupFilter);
    }
    return Status;
}
