/*
 * headcrypt.c: files called *.sealed, opened, asked about, listed and renamed.
 *
 * A rename does not make a file one of them, nor does it make one of them another: it is refused as a rename to another
 * volume is, and programs copy then.
 */

#include "headcrypt.h"

PFLT_FILTER HcFilter;
ULONG64 HcMasterKey = 0x5EA1ED;

static const UNICODE_STRING Suffix = RTL_CONSTANT_STRING(L".sealed");

static BOOLEAN
HcIsSealed(_In_ PCUNICODE_STRING Name)
{
    UNICODE_STRING Tail = *Name;

    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Tail, &Suffix, TRUE);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    ULONG_PTR Became = Data->IoStatus.Information;
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Directory, Ours = FALSE;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        FlagOn(Objects->FileObject->Flags, FO_VOLUME_OPEN) ||
        !NT_SUCCESS(FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory)) || Directory) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        Ours = HcIsSealed(&Name->Name); /* a named stream ends otherwise */
        FltReleaseFileNameInformation(Name);
    }
    if (!Ours) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Status = HcOpenStream(Objects, Became == FILE_CREATED || Became == FILE_OVERWRITTEN || Became == FILE_SUPERSEDED);
    if (!NT_SUCCESS(Status)) {
        FltCancelFileOpen(Objects->Instance, Objects->FileObject); /* nobody is to see it as it is */
        HcComplete(Data, Status);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* The create comes then, and with it what is hidden. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
HcPreQueryOpen(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    return HcIsSealed(&Objects->FileObject->FileName) ? FLT_PREOP_DISALLOW_FASTIO : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
HcPreQuery(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PHC_STREAM Stream = HcStreamOf(Objects);

    UNREFERENCED_PARAMETER(Data);
    *Context = Stream; /* released in the post callback */
    return Stream != NULL ? FLT_PREOP_SUCCESS_WITH_CALLBACK : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID
HcHide(_Inout_ PLARGE_INTEGER Allocation, _Inout_ PLARGE_INTEGER End)
{
    if (End->QuadPart >= HC_HEADER) {
        End->QuadPart -= HC_HEADER;
        Allocation->QuadPart -= min(Allocation->QuadPart, HC_HEADER);
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostQuery(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PVOID Buffer = Data->Iopb->Parameters.QueryFileInformation.InfoBuffer;

    UNREFERENCED_PARAMETER(Objects);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) &&
        (NT_SUCCESS(Data->IoStatus.Status) || Data->IoStatus.Status == STATUS_BUFFER_OVERFLOW)) {
        switch (Data->Iopb->Parameters.QueryFileInformation.FileInformationClass) {
        case FileStandardInformation: {
            PFILE_STANDARD_INFORMATION Standard = Buffer;
            HcHide(&Standard->AllocationSize, &Standard->EndOfFile);
            break;
        }
        case FileAllInformation: {
            PFILE_ALL_INFORMATION All = Buffer;
            HcHide(&All->StandardInformation.AllocationSize, &All->StandardInformation.EndOfFile);
            break;
        }
        case FileNetworkOpenInformation: {
            PFILE_NETWORK_OPEN_INFORMATION Open = Buffer;
            HcHide(&Open->AllocationSize, &Open->EndOfFile);
            break;
        }
        case FileStreamInformation: {
            PFILE_STREAM_INFORMATION Default = Buffer; /* the first is the content */
            if (Data->IoStatus.Information >= sizeof(*Default)) {
                HcHide(&Default->StreamAllocationSize, &Default->StreamSize);
            }
            break;
        }
        default:
            break;
        }
    }
    FltReleaseContext(Context);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS
HcCheckRename(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects, _In_ BOOLEAN Sealed)
{
    PFILE_RENAME_INFORMATION Wanted = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
    PFLT_FILE_NAME_INFORMATION Target;
    BOOLEAN Becomes;
    NTSTATUS Status;

    if (Wanted->FileNameLength >= sizeof(WCHAR) && Wanted->FileName[0] == L':') {
        return STATUS_SUCCESS; /* of a stream */
    }
    Status = FltGetDestinationFileNameInformation(Objects->Instance, Objects->FileObject, Wanted->RootDirectory,
                                                  Wanted->FileName, Wanted->FileNameLength,
                                                  FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Target);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Becomes = HcIsSealed(&Target->Name);
    FltReleaseFileNameInformation(Target);
    return Becomes == Sealed ? STATUS_SUCCESS : STATUS_NOT_SAME_DEVICE;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
HcPreSet(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    FILE_INFORMATION_CLASS Class = Data->Iopb->Parameters.SetFileInformation.FileInformationClass;
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PHC_STREAM Stream = HcStreamOf(Objects);
    BOOLEAN Directory = FALSE;
    NTSTATUS Status;

    *Context = NULL;
    if (Class == FileRenameInformation || Class == FileRenameInformationEx || Class == FileLinkInformation ||
        Class == FileLinkInformationEx) {
        if (NT_SUCCESS(FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory)) && !Directory) {
            Status = HcCheckRename(Data, Objects, Stream != NULL);
            Result = NT_SUCCESS(Status) ? Result : HcComplete(Data, Status);
        }
    } else if (Stream != NULL && Class == FileEndOfFileInformation) {
        PFILE_END_OF_FILE_INFORMATION End = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;

        if (Data->Iopb->Parameters.SetFileInformation.AdvanceOnly) {
            Result = HcComplete(Data, STATUS_SUCCESS); /* the content was advanced when it was written */
        } else {
            HcLock(Stream);
            Result = HcComplete(Data, HcResize(Objects, Stream, End->EndOfFile.QuadPart));
            HcUnlock(Stream);
        }
    } else if (Stream != NULL && Class == FileAllocationInformation) {
        PFILE_ALLOCATION_INFORMATION Room = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;

        Status = STATUS_SUCCESS; /* room to come is not kept; less than there is cuts the content */
        HcLock(Stream);
        if (Room->AllocationSize.QuadPart < Stream->Size) {
            Status = HcResize(Objects, Stream, Room->AllocationSize.QuadPart);
        }
        HcUnlock(Stream);
        Result = HcComplete(Data, Status);
    }
    if (Stream != NULL) {
        FltReleaseContext(Stream);
    }
    return Result;
}

typedef struct _HC_ENTRY { /* where the classes have what is changed, and the name */
    FILE_INFORMATION_CLASS Class;
    ULONG NameLength;
    ULONG Name;
} HC_ENTRY;

static const HC_ENTRY Entries[] = {
#define ENTRY(Class, Type) {Class, FIELD_OFFSET(Type, FileNameLength), FIELD_OFFSET(Type, FileName)}
    ENTRY(FileDirectoryInformation, FILE_DIRECTORY_INFORMATION),
    ENTRY(FileFullDirectoryInformation, FILE_FULL_DIR_INFORMATION),
    ENTRY(FileBothDirectoryInformation, FILE_BOTH_DIR_INFORMATION),
    ENTRY(FileIdFullDirectoryInformation, FILE_ID_FULL_DIR_INFORMATION),
    ENTRY(FileIdBothDirectoryInformation, FILE_ID_BOTH_DIR_INFORMATION),
};

static VOID
HcHideInListing(_In_ FILE_INFORMATION_CLASS Class, _Inout_ PUCHAR At)
{
    for (ULONG Index = 0; Index < RTL_NUMBER_OF(Entries); Index++) {
        const HC_ENTRY *Entry = &Entries[Index];

        if (Entry->Class != Class) {
            continue;
        }
        for (;;) {
            PFILE_DIRECTORY_INFORMATION One = (PFILE_DIRECTORY_INFORMATION)At; /* all begin alike */
            USHORT Length = (USHORT) * (PULONG)(At + Entry->NameLength);
            UNICODE_STRING Name = {Length, Length, (PWCH)(At + Entry->Name)};

            if (!FlagOn(One->FileAttributes, FILE_ATTRIBUTE_DIRECTORY) && HcIsSealed(&Name)) {
                HcHide(&One->AllocationSize, &One->EndOfFile);
            }
            if (One->NextEntryOffset == 0) {
                return;
            }
            At += One->NextEntryOffset;
        }
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostListingSafe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    FILE_INFORMATION_CLASS Class = Data->Iopb->Parameters.DirectoryControl.QueryDirectory.FileInformationClass;
    PMDL Mdl = NULL;
    PVOID Buffer;

    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (!NT_SUCCESS(FltLockUserBuffer(Data))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Mdl = Data->Iopb->Parameters.DirectoryControl.QueryDirectory.MdlAddress;
    Buffer = Mdl != NULL ? MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority)
                         : Data->Iopb->Parameters.DirectoryControl.QueryDirectory.DirectoryBuffer;
    if (Buffer != NULL) {
        HcHideInListing(Class, Buffer);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostListing(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS Result = FLT_POSTOP_FINISHED_PROCESSING;

    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status) &&
        Data->IoStatus.Information != 0 && Data->Iopb->MinorFunction == IRP_MN_QUERY_DIRECTORY) {
        FltDoCompletionProcessingWhenSafe(Data, Objects, Context, Flags, HcPostListingSafe, &Result);
    }
    return Result;
}

static NTSTATUS FLTAPI
HcUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(HcFilter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
HcQueryTeardown(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_FLT_DO_NOT_DETACH; /* what is in the cache is no file's content without this filter */
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, NULL, HcPostCreate},
    {IRP_MJ_NETWORK_QUERY_OPEN, 0, HcPreQueryOpen, NULL},
    {IRP_MJ_READ, 0, HcPreRead, HcPostRead},
    {IRP_MJ_WRITE, 0, HcPreWrite, HcPostWrite},
    {IRP_MJ_QUERY_INFORMATION, 0, HcPreQuery, HcPostQuery},
    {IRP_MJ_SET_INFORMATION, 0, HcPreSet, NULL},
    {IRP_MJ_DIRECTORY_CONTROL, 0, NULL, HcPostListing},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = HcContexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = HcUnload,
    .InstanceQueryTeardownCallback = HcQueryTeardown,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    ULONG Key = 0;
    RTL_QUERY_REGISTRY_TABLE Table[] = {
        {NULL, RTL_QUERY_REGISTRY_SUBKEY, L"Parameters", NULL, REG_NONE, NULL, 0},
        {NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK, L"Key", &Key,
         (REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_NONE, NULL, 0},
        {NULL, 0, NULL, NULL, REG_NONE, NULL, 0},
    };
    NTSTATUS Status;

    RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, RegistryPath->Buffer, Table, NULL, NULL);
    HcMasterKey ^= (ULONG64)Key << 24;
    Status = FltRegisterFilter(DriverObject, &Registration, &HcFilter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(HcFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(HcFilter);
        }
    }
    return Status;
}
