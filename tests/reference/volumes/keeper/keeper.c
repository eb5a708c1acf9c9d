/*
 * keeper.c: an oplock of a filter's own for \own.bin, and a notify list of its own for \watched.
 *
 * What the file system below would do with them it never sees. One line an event: "keeper <what> <number>".
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static OPLOCK Oplock;
static PNOTIFY_SYNC Sync;
static LIST_ENTRY Watchers;
static LONG Opens, Waits, Filtered;

#define TELL(...) DbgPrint("keeper " __VA_ARGS__)

static BOOLEAN
IsNamed(PCFLT_RELATED_OBJECTS Objects, PCWSTR Text)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    return Objects->FileObject != NULL && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static void
Ask(const char *When)
{
    TELL("%s %u%u%u%u\n", When, FltCurrentOplock(&Oplock), FltCurrentOplockH(&Oplock), FltCurrentBatchOplock(&Oplock),
         FltOplockIsFastIoPossible(&Oplock));
}

static VOID FLTAPI
BreakOver(PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    TELL("break-over %u\n", Data->Iopb->MajorFunction);
    FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
}

static VOID FLTAPI
BeforePending(PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    InterlockedIncrement(&Waits);
    TELL("pends %u\n", Data->Iopb->MajorFunction);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreOplocked(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    FLT_PREOP_CALLBACK_STATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (!IsNamed(Objects, L"\\own.bin") || !FLT_IS_IRP_OPERATION(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Data->Iopb->MajorFunction == IRP_MJ_CREATE) {
        Opens++;
    } else if (Data->Iopb->MajorFunction == IRP_MJ_CLEANUP) {
        Opens--;
    }
    Status = FltCheckOplock(&Oplock, Data, NULL, BreakOver, BeforePending);
    return Status == FLT_PREOP_SUCCESS_WITH_CALLBACK ? FLT_PREOP_SUCCESS_NO_CALLBACK : Status;
}

/* A fast read would not ask the oplock. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreTransfer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    if (IsNamed(Objects, L"\\own.bin") && FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    return PreOplocked(Data, Objects, Context);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    FLT_PREOP_CALLBACK_STATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (!IsNamed(Objects, L"\\own.bin") || Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    TELL("shared %u\n", FltOplockIsSharedRequest(Data));
    Ask("before");
    Status = FltOplockFsctrl(&Oplock, Data, FltOplockIsSharedRequest(Data) ? 0 : (ULONG)Opens);
    Ask("after");
    return Status;
}

static BOOLEAN NTAPI
IsToldOf(PVOID FsContext, PVOID FilterContext)
{
    UNREFERENCED_PARAMETER(FsContext);
    UNREFERENCED_PARAMETER(FilterContext);
    return InterlockedIncrement(&Filtered) > 0;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreDirectory(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (!IsNamed(Objects, L"\\watched") || Data->Iopb->MinorFunction != IRP_MN_NOTIFY_CHANGE_DIRECTORY) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    FltNotifyFilterChangeDirectory(Sync, &Watchers, Objects->FileObject, (PSTRING)&Objects->FileObject->FileName,
                                   FlagOn(Data->Iopb->OperationFlags, SL_WATCH_TREE) != 0, FALSE,
                                   Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.CompletionFilter, Data, NULL,
                                   NULL, IsToldOf);
    return FLT_PREOP_PENDING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    if (IsNamed(Objects, L"\\watched")) {
        FsRtlNotifyCleanup(Sync, &Watchers, Objects->FileObject);
    }
    return PreOplocked(Data, Objects, Context);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNICODE_STRING Below = RTL_CONSTANT_STRING(L"\\watched\\");

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status) && Data->IoStatus.Information == FILE_CREATED &&
        RtlPrefixUnicodeString(&Below, &Objects->FileObject->FileName, TRUE)) {
        FsRtlNotifyFilterReportChange(Sync, &Watchers, (PSTRING)&Objects->FileObject->FileName, Below.Length, NULL,
                                      NULL, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED, NULL, NULL);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    FLT_PREOP_CALLBACK_STATUS Status = PreOplocked(Data, Objects, Context);

    return Status == FLT_PREOP_SUCCESS_NO_CALLBACK ? FLT_PREOP_SUCCESS_WITH_CALLBACK : Status;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    TELL("waits %u\n", Waits);
    TELL("filtered %u\n", Filtered);
    FltUnregisterFilter(Filter);
    FsRtlNotifyCleanupAll(Sync, &Watchers);
    FsRtlNotifyUninitializeSync(&Sync);
    FltUninitializeOplock(&Oplock);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {
        {IRP_MJ_CREATE, 0, PreCreate, PostCreate},
        {IRP_MJ_READ, 0, PreTransfer, NULL},
        {IRP_MJ_WRITE, 0, PreTransfer, NULL},
        {IRP_MJ_SET_INFORMATION, 0, PreOplocked, NULL},
        {IRP_MJ_CLEANUP, 0, PreCleanup, NULL},
        {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, NULL},
        {IRP_MJ_DIRECTORY_CONTROL, 0, PreDirectory, NULL},
        {IRP_MJ_OPERATION_END},
    };
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    FltInitializeOplock(&Oplock);
    FsRtlNotifyInitializeSync(&Sync);
    InitializeListHead(&Watchers);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
