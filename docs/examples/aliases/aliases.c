/*
 * aliases.c: files that were locked away as <name>.locked are listed by their own name, and found by it.
 *
 * A listing loses the suffix in place: the name becomes shorter, the entry keeps its room. Who opens <name> where only
 * <name>.locked is there is sent to it.
 */

#include <fltKernel.h>

#define ALIAS_TAG 'ailA'
#define SUFFIX L".locked"
#define SUFFIX_BYTES (sizeof(SUFFIX) - sizeof(WCHAR))

static PFLT_FILTER gFilter;

_Function_class_(DRIVER_INITIALIZE) DRIVER_INITIALIZE DriverEntry;

/* The offset of FileNameLength and FileName of an entry; FALSE for a class that has no names to shorten. */
_Success_(return) static BOOLEAN
    AliasLayout(_In_ FILE_INFORMATION_CLASS Class, _Out_ PULONG LengthAt, _Out_ PULONG NameAt)
{
#define CASE(Value, Type)                                                                                              \
    case Value:                                                                                                        \
        *LengthAt = FIELD_OFFSET(Type, FileNameLength);                                                                \
        *NameAt = FIELD_OFFSET(Type, FileName);                                                                        \
        return TRUE

    switch (Class) {
        CASE(FileDirectoryInformation, FILE_DIRECTORY_INFORMATION);
        CASE(FileFullDirectoryInformation, FILE_FULL_DIR_INFORMATION);
        CASE(FileBothDirectoryInformation, FILE_BOTH_DIR_INFORMATION);
        CASE(FileNamesInformation, FILE_NAMES_INFORMATION);
        CASE(FileIdBothDirectoryInformation, FILE_ID_BOTH_DIR_INFORMATION);
        CASE(FileIdFullDirectoryInformation, FILE_ID_FULL_DIR_INFORMATION);
    default:
        return FALSE;
    }
#undef CASE
}

static BOOLEAN
AliasEndsWithSuffix(_In_ PCUNICODE_STRING Name)
{
    static const UNICODE_STRING Suffix = RTL_CONSTANT_STRING(SUFFIX);
    UNICODE_STRING Tail;

    if (Name->Length <= SUFFIX_BYTES) {
        return FALSE;
    }
    Tail.Length = Tail.MaximumLength = SUFFIX_BYTES;
    Tail.Buffer = Add2Ptr(Name->Buffer, Name->Length - SUFFIX_BYTES);
    return RtlEqualUnicodeString(&Tail, &Suffix, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
AliasPreDirectoryControl(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                         _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    ULONG LengthAt, NameAt;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Data->Iopb->MinorFunction != IRP_MN_QUERY_DIRECTORY ||
        !AliasLayout(Data->Iopb->Parameters.DirectoryControl.QueryDirectory.FileInformationClass, &LengthAt, &NameAt)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static VOID
AliasShorten(_Inout_ PFLT_CALLBACK_DATA Data)
{
    ULONG LengthAt = 0, NameAt = 0, Next;
    UNICODE_STRING Name;
    PUCHAR Entry;

    AliasLayout(Data->Iopb->Parameters.DirectoryControl.QueryDirectory.FileInformationClass, &LengthAt, &NameAt);
    Entry = Data->Iopb->Parameters.DirectoryControl.QueryDirectory.MdlAddress != NULL
                ? MmGetSystemAddressForMdlSafe(Data->Iopb->Parameters.DirectoryControl.QueryDirectory.MdlAddress,
                                               NormalPagePriority | MdlMappingNoExecute)
                : Data->Iopb->Parameters.DirectoryControl.QueryDirectory.DirectoryBuffer;
    if (Entry == NULL) {
        Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
        Data->IoStatus.Information = 0;
        return;
    }
    __try {
        do {
            Next = *(PULONG)Entry;
            Name.Buffer = Add2Ptr(Entry, NameAt);
            Name.Length = Name.MaximumLength = (USHORT) * (PULONG)(Entry + LengthAt);
            if (AliasEndsWithSuffix(&Name)) {
                *(PULONG)(Entry + LengthAt) -= SUFFIX_BYTES;
                RtlZeroMemory(Add2Ptr(Name.Buffer, Name.Length - SUFFIX_BYTES), SUFFIX_BYTES);
                if (Next == 0) {
                    Data->IoStatus.Information -= SUFFIX_BYTES;
                }
            }
            Entry += Next;
        } while (Next != 0);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Data->IoStatus.Status = GetExceptionCode();
        Data->IoStatus.Information = 0;
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AliasPostSafe(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_opt_ PVOID CompletionContext,
              _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    NTSTATUS Status = FltLockUserBuffer(Data);

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Status)) {
        AliasShorten(Data);
    } else {
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AliasPostDirectoryControl(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                          _In_opt_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS Answer = FLT_POSTOP_FINISHED_PROCESSING;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Information == 0) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!FltDoCompletionProcessingWhenSafe(Data, FltObjects, CompletionContext, Flags, AliasPostSafe, &Answer)) {
        Data->IoStatus.Status = STATUS_UNSUCCESSFUL;
        Data->IoStatus.Information = 0;
    }
    return Answer;
}

/* Where the name was not found, try the locked one: its create starts anew from the top of the stack. */
static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AliasPostCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                _In_opt_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION Info = CompletionContext;
    UNICODE_STRING Locked;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Handle;
    NTSTATUS Status;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_OBJECT_NAME_NOT_FOUND) {
        goto Release;
    }
    Locked.Length = 0;
    Locked.MaximumLength = (USHORT)(Info->Name.Length + SUFFIX_BYTES);
    Locked.Buffer = ExAllocatePoolWithTag(PagedPool, Locked.MaximumLength, ALIAS_TAG);
    if (Locked.Buffer == NULL) {
        goto Release;
    }
    RtlCopyUnicodeString(&Locked, &Info->Name);
    RtlAppendUnicodeToString(&Locked, SUFFIX);

    InitializeObjectAttributes(&Attributes, &Locked, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = FltCreateFile(gFilter, FltObjects->Instance, &Handle, FILE_READ_ATTRIBUTES, &Attributes, &IoStatus, NULL,
                           0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN, 0, NULL, 0, 0);
    if (NT_SUCCESS(Status)) {
        FltClose(Handle);
        Status = IoReplaceFileObjectName(FltObjects->FileObject, Locked.Buffer, Locked.Length);
        Data->IoStatus.Status = NT_SUCCESS(Status) ? STATUS_REPARSE : Status;
        Data->IoStatus.Information = NT_SUCCESS(Status) ? IO_REPARSE : 0;
    }
    ExFreePoolWithTag(Locked.Buffer, ALIAS_TAG);

Release:
    FltReleaseFileNameInformation(Info);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
AliasPreCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
               _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    ULONG Disposition = (Data->Iopb->Parameters.Create.Options >> 24) & 0xFF;

    UNREFERENCED_PARAMETER(FltObjects);
    PAGED_CODE();
    if ((Disposition != FILE_OPEN && Disposition != FILE_OVERWRITE) ||
        FlagOn(Data->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY) ||
        !NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT,
                                              (PFLT_FILE_NAME_INFORMATION *)CompletionContext))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (AliasEndsWithSuffix(&((PFLT_FILE_NAME_INFORMATION)*CompletionContext)->Name)) {
        FltReleaseFileNameInformation(*CompletionContext);
        *CompletionContext = NULL;
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_SYNCHRONIZE;
}

/* A query by name is a create without a handle: it has to be one that can be sent elsewhere. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
AliasPreNetworkQueryOpen(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                         _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    return FLT_PREOP_DISALLOW_FASTIO;
}

static NTSTATUS FLTAPI
AliasUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static CONST FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_CREATE, 0, AliasPreCreate, AliasPostCreate},
    {IRP_MJ_NETWORK_QUERY_OPEN, 0, AliasPreNetworkQueryOpen, NULL},
    {IRP_MJ_DIRECTORY_CONTROL, 0, AliasPreDirectoryControl, AliasPostDirectoryControl},
    {IRP_MJ_OPERATION_END},
};

static CONST FLT_REGISTRATION gRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, gOperations, AliasUnload,
};

_Use_decl_annotations_ NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(gFilter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(gFilter);
    }
    return Status;
}
