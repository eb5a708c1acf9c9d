/*
 * oplocks.c: a filter that keeps data of its own for files below \shared, as an encryption or isolation filter does, and
 * so is the one that grants oplocks on them: the file system below must not. Each stream has a context with an OPLOCK;
 * requests for oplocks go to FltOplockFsctrl, and whatever may break one to FltCheckOplock, which pends the operation
 * until the break is acknowledged.
 */

#include <fltKernel.h>

#define OPL_TAG 'lpoF'

typedef struct _STREAM_CONTEXT {
    OPLOCK Oplock;
} STREAM_CONTEXT, *PSTREAM_CONTEXT;

PFLT_FILTER gFilterHandle;

static VOID
StreamCleanup(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    UNREFERENCED_PARAMETER(ContextType);
    FltUninitializeOplock(&((PSTREAM_CONTEXT)Context)->Oplock);
}

static CONST FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAM_CONTEXT, 0, StreamCleanup, sizeof(STREAM_CONTEXT), OPL_TAG},
    {FLT_CONTEXT_END},
};

static BOOLEAN
IsShared(PFLT_CALLBACK_DATA Data)
{
    static const UNICODE_STRING Folder = RTL_CONSTANT_STRING(L"\\shared\\");
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Found = FALSE;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        if (NT_SUCCESS(FltParseFileNameInformation(Name))) {
            Found = RtlEqualUnicodeString(&Name->ParentDir, &Folder, TRUE);
        }
        FltReleaseFileNameInformation(Name);
    }
    return Found;
}

static PSTREAM_CONTEXT
ContextOf(PCFLT_RELATED_OBJECTS FltObjects)
{
    PSTREAM_CONTEXT Context;
    NTSTATUS Status = FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&Context);

    return NT_SUCCESS(Status) ? Context : NULL;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    return FLT_PREOP_SYNCHRONIZE; // the break of an earlier opener's oplock is waited for in PostCreate
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    PSTREAM_CONTEXT Context, Old = NULL;
    FLT_PREOP_CALLBACK_STATUS Checked;
    BOOLEAN Directory;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Status == STATUS_REPARSE ||
        !NT_SUCCESS(FltIsDirectory(FltObjects->FileObject, FltObjects->Instance, &Directory)) || Directory ||
        !IsShared(Data)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Context = ContextOf(FltObjects);
    if (Context == NULL) {
        Status = FltAllocateContext(FltObjects->Filter, FLT_STREAM_CONTEXT, sizeof(*Context), PagedPool,
                                    (PFLT_CONTEXT *)&Context);
        if (!NT_SUCCESS(Status)) {
            return FLT_POSTOP_FINISHED_PROCESSING;
        }
        FltInitializeOplock(&Context->Oplock);
        Status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS,
                                     Context, (PFLT_CONTEXT *)&Old);
        if (!NT_SUCCESS(Status)) {
            FltReleaseContext(Context);
            Context = Old;
            if (Context == NULL) {
                return FLT_POSTOP_FINISHED_PROCESSING;
            }
        }
    }
    /* No callback: the check waits here until the oplock is broken. */
    Checked = FltCheckOplock(&Context->Oplock, Data, NULL, NULL, NULL);
    if (Checked == FLT_PREOP_COMPLETE) {
        FltCancelFileOpen(FltObjects->Instance, FltObjects->FileObject);
    }
    FltReleaseContext(Context);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreMayBreak(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PSTREAM_CONTEXT Context = ContextOf(FltObjects);

    UNREFERENCED_PARAMETER(CompletionContext);
    if (Context == NULL) {
        return Result;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        if (!FltOplockIsFastIoPossible(&Context->Oplock)) {
            Result = FLT_PREOP_DISALLOW_FASTIO;
        }
    } else if (FLT_IS_IRP_OPERATION(Data) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        Result = FltCheckOplock(&Context->Oplock, Data, NULL, NULL, NULL);
        if (Result == FLT_PREOP_SUCCESS_WITH_CALLBACK) {
            Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
        }
    }
    FltReleaseContext(Context);
    return Result;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreFileSystemControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PSTREAM_CONTEXT Context;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST) {
        return Result;
    }
    switch (Data->Iopb->Parameters.FileSystemControl.Common.FsControlCode) {
    case FSCTL_REQUEST_OPLOCK_LEVEL_1:
    case FSCTL_REQUEST_OPLOCK_LEVEL_2:
    case FSCTL_REQUEST_BATCH_OPLOCK:
    case FSCTL_REQUEST_FILTER_OPLOCK:
    case FSCTL_REQUEST_OPLOCK:
    case FSCTL_OPLOCK_BREAK_ACKNOWLEDGE:
    case FSCTL_OPBATCH_ACK_CLOSE_PENDING:
    case FSCTL_OPLOCK_BREAK_NOTIFY:
    case FSCTL_OPLOCK_BREAK_ACK_NO_2:
        break;
    default:
        return Result;
    }
    Context = ContextOf(FltObjects);
    if (Context != NULL) {
        /* The one who asks is the only opener: an exclusive oplock may be granted. */
        Result = FltOplockFsctrl(&Context->Oplock, Data, 1);
        FltReleaseContext(Context);
    }
    return Result;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilterHandle);
    return STATUS_SUCCESS;
}

static CONST FLT_OPERATION_REGISTRATION Callbacks[] = {
    {IRP_MJ_CREATE, 0, PreCreate, PostCreate},
    {IRP_MJ_READ, 0, PreMayBreak, NULL},
    {IRP_MJ_WRITE, 0, PreMayBreak, NULL},
    {IRP_MJ_SET_INFORMATION, 0, PreMayBreak, NULL},
    {IRP_MJ_LOCK_CONTROL, 0, PreMayBreak, NULL},
    {IRP_MJ_CLEANUP, 0, PreMayBreak, NULL},
    {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreFileSystemControl, NULL},
    {IRP_MJ_OPERATION_END},
};

static CONST FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Callbacks,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &gFilterHandle);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(gFilterHandle);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(gFilterHandle);
        }
    }
    return Status;
}
