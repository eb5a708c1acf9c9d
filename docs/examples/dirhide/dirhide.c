/*
 * dirhide.c - hides what is called .hidden-* from every directory listing.
 *
 * The listing is edited in the post-operation callback, whatever its class; a page that has nothing else in it is asked
 * for again. Opening a hidden file by its name still works: it is out of sight, not out of reach.
 */
#include <fltKernel.h>

#define HIDDEN_PREFIX L".hidden-"

PFLT_FILTER g_Filter;

/* Where an information class keeps the name of an entry. All of them begin with NextEntryOffset and FileIndex. */
typedef struct _LAYOUT {
    FILE_INFORMATION_CLASS Class;
    ULONG FileNameLength;
    ULONG FileName;
} LAYOUT;

#define LAYOUT_OF(Class, Type) {Class, FIELD_OFFSET(Type, FileNameLength), FIELD_OFFSET(Type, FileName)}

static const LAYOUT g_Layouts[] = {
    LAYOUT_OF(FileDirectoryInformation, FILE_DIRECTORY_INFORMATION),
    LAYOUT_OF(FileFullDirectoryInformation, FILE_FULL_DIR_INFORMATION),
    LAYOUT_OF(FileBothDirectoryInformation, FILE_BOTH_DIR_INFORMATION),
    LAYOUT_OF(FileNamesInformation, FILE_NAMES_INFORMATION),
    LAYOUT_OF(FileIdBothDirectoryInformation, FILE_ID_BOTH_DIR_INFORMATION),
    LAYOUT_OF(FileIdFullDirectoryInformation, FILE_ID_FULL_DIR_INFORMATION),
    LAYOUT_OF(FileIdExtdDirectoryInformation, FILE_ID_EXTD_DIR_INFORMATION),
    LAYOUT_OF(FileIdExtdBothDirectoryInformation, FILE_ID_EXTD_BOTH_DIR_INFORMATION),
};

static const LAYOUT *
FindLayout(FILE_INFORMATION_CLASS Class)
{
    ULONG i;

    for (i = 0; i < ARRAYSIZE(g_Layouts); i++) {
        if (g_Layouts[i].Class == Class) {
            return &g_Layouts[i];
        }
    }
    return NULL;
}

static BOOLEAN
IsHidden(const LAYOUT *Layout, PUCHAR Entry)
{
    static const UNICODE_STRING Prefix = RTL_CONSTANT_STRING(HIDDEN_PREFIX);
    UNICODE_STRING Name;

    Name.Length = (USHORT) * (PULONG)(Entry + Layout->FileNameLength);
    Name.MaximumLength = Name.Length;
    Name.Buffer = (PWCH)(Entry + Layout->FileName);
    return RtlPrefixUnicodeString(&Prefix, &Name, TRUE);
}

/* Takes the hidden entries out of a page of Length bytes and returns how long it is then; 0 if nothing is left. */
static ULONG
EditPage(const LAYOUT *Layout, PUCHAR Page, ULONG Length)
{
    PUCHAR Entry = Page, Last = NULL, To = Page;

    for (;;) {
        ULONG Next = *(PULONG)Entry;
        ULONG Size = Next ? Next : (ULONG)(Page + Length - Entry);

        if (!IsHidden(Layout, Entry)) {
            if (To != Entry) {
                RtlMoveMemory(To, Entry, Size);
            }
            Last = To;
            To += Size;
        }
        if (!Next) {
            break;
        }
        Entry += Next;
    }
    if (!Last) {
        return 0;
    }
    *(PULONG)Last = 0;
    return (ULONG)(To - Page);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreDirectoryControl(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                    _Out_ PVOID *CompletionContext)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;

    UNREFERENCED_PARAMETER(FltObjects);
    if (Data->Iopb->MinorFunction != IRP_MN_QUERY_DIRECTORY) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    *CompletionContext = (PVOID)FindLayout(Parameters->DirectoryControl.QueryDirectory.FileInformationClass);
    if (!*CompletionContext) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    /* Synchronized, so that the post callback is in the caller's thread and may ask for the next page. */
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostDirectoryControl(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                     _In_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    const LAYOUT *Layout = CompletionContext;
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    PVOID Buffer;
    ULONG Left = 0;

    UNREFERENCED_PARAMETER(FltObjects);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }

    while (NT_SUCCESS(Data->IoStatus.Status) && Data->IoStatus.Information != 0 && Left == 0) {
        Buffer = Parameters->DirectoryControl.QueryDirectory.MdlAddress == NULL
                     ? Parameters->DirectoryControl.QueryDirectory.DirectoryBuffer
                     : MmGetSystemAddressForMdlSafe(Parameters->DirectoryControl.QueryDirectory.MdlAddress,
                                                    NormalPagePriority | MdlMappingNoExecute);
        if (Buffer == NULL) {
            Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
            Data->IoStatus.Information = 0;
            break;
        }
        __try {
            Left = EditPage(Layout, Buffer, (ULONG)Data->IoStatus.Information);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Data->IoStatus.Status = GetExceptionCode();
            Data->IoStatus.Information = 0;
            break;
        }
        if (Left != 0) {
            Data->IoStatus.Information = Left;
        } else {
            /* All of it was hidden: the caller gets what comes after it. */
            if (FlagOn(Data->Iopb->OperationFlags, SL_RESTART_SCAN)) {
                ClearFlag(Data->Iopb->OperationFlags, SL_RESTART_SCAN);
                FltSetCallbackDataDirty(Data);
            }
            FltReissueSynchronousIo(FltObjects->Instance, Data);
        }
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
FilterUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(g_Filter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

const FLT_OPERATION_REGISTRATION g_Callbacks[] = {
    {IRP_MJ_DIRECTORY_CONTROL, 0, PreDirectoryControl, PostDirectoryControl}, {IRP_MJ_OPERATION_END}};

const FLT_REGISTRATION g_Registration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, g_Callbacks, FilterUnload, NULL, QueryTeardown};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &g_Registration, &g_Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(g_Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(g_Filter);
        }
    }
    return Status;
}
