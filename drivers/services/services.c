/*
 * services.c: calls services of the filter manager where a file's name asks for it, and prints what they answer.
 *
 * What the contract says of a call in a callback (its status, what it hands out, when its routine runs) is not seen from
 * outside. So this driver makes the calls and says what came of them, one line each; suites hold the lines against the
 * contract. Each part follows the obligations that go with its calls.
 */

#include "services.h"

PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

/* Whether the file's name ends with a text. In a postoperation callback above APC_LEVEL nothing asks. */
static BOOLEAN
Is(PCFLT_RELATED_OBJECTS FltObjects, PCWSTR Text)
{
    UNICODE_STRING Wanted, End;

    if (FltObjects->FileObject == NULL || FltObjects->FileObject->FileName.Buffer == NULL) {
        return FALSE;
    }
    RtlInitUnicodeString(&Wanted, Text);
    End = FltObjects->FileObject->FileName;
    if (End.Length < Wanted.Length) {
        return FALSE;
    }
    End.Buffer += (End.Length - Wanted.Length) / sizeof(WCHAR);
    End.Length = Wanted.Length;
    return RtlEqualUnicodeString(&End, &Wanted, FALSE);
}

static VOID
AskName(PFLT_CALLBACK_DATA Data, PCSTR Where, FLT_FILE_NAME_OPTIONS Options)
{
    PFLT_FILE_NAME_INFORMATION Name;
    NTSTATUS Status = FltGetFileNameInformation(Data, Options, &Name);

    Say("name %s: 0x%08x\n", Where, Status);
    if (NT_SUCCESS(Status)) {
        FltReleaseFileNameInformation(Name);
    }
}

static VOID
AskNameWhereUnsafe(PFLT_CALLBACK_DATA Data)
{
    PIRP Before = IoGetTopLevelIrp();

    AskName(Data, "in read", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);
    IoSetTopLevelIrp((PIRP)FSRTL_FSP_TOP_LEVEL_IRP);
    AskName(Data, "with a top-level IRP", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);
    AskName(Data, "from the cache", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP);
    IoSetTopLevelIrp(Before);
    KeEnterGuardedRegion();
    AskName(Data, "with all APCs disabled", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);
    KeLeaveGuardedRegion();
}

/* Within our own instance, and so within its volume. */
static VOID
AskRedirection(PCFLT_RELATED_OBJECTS FltObjects)
{
    BOOLEAN Allowed = FALSE;
    NTSTATUS Status = FltIsIoRedirectionAllowed(FltObjects->Instance, FltObjects->Instance, &Allowed);

    Say("redirection: 0x%08x, allowed %u\n", Status, Allowed);
}

/* Of whatever comes for the files that say so. */
static VOID
AskOfAny(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects)
{
    BOOLEAN Directory = Is(FltObjects, L"\\every");

    if (Directory || Is(FltObjects, L"\\every.bin")) {
        AskOfOperation(Data, FltObjects);
        TurnToTarget(Data, Directory);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreAny(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    *CompletionContext = NULL;
    AskOfAny(Data, FltObjects);
    if (Data->Iopb->MajorFunction == IRP_MJ_CLEANUP) {
        TargetClosed(FltObjects->FileObject);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    *CompletionContext = NULL;
    AskOfAny(Data, FltObjects);
    if (Is(FltObjects, L"contexts.bin")) {
        AskContextBeforeCreate(FltObjects);
    } else if (Is(FltObjects, L"names.bin")) {
        AskName(Data, "short in pre-create", FLT_FILE_NAME_SHORT | FLT_FILE_NAME_QUERY_DEFAULT);
    } else if (Is(FltObjects, L"own-all.bin") || Is(FltObjects, L"own-below.bin")) {
        Say("shown the create of its own\n");
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (Is(FltObjects, L"contexts.bin")) {
        AskContexts(FltObjects);
    } else if (Is(FltObjects, L"refused.bin")) {
        FltCancelFileOpen(FltObjects->Instance, FltObjects->FileObject);
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
    } else if (Is(FltObjects, L"own.bin")) {
        CreateOwn(FltObjects);
    } else if (Is(FltObjects, L"own-read.bin")) {
        ReadOwn(FltObjects);
    } else if (Is(FltObjects, L"generic.bin")) {
        AskGeneric(FltObjects);
    } else if (Is(FltObjects, L"slow.bin")) {
        QueueSlowItem();
    } else if (Is(FltObjects, L"attach.bin")) {
        AskAttach(FltObjects);
    } else if (Is(FltObjects, L"target.bin")) {
        TargetOpened(FltObjects->FileObject, FALSE);
    } else if (Is(FltObjects, L"targets")) {
        TargetOpened(FltObjects->FileObject, TRUE);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    *CompletionContext = NULL;
    AskOfAny(Data, FltObjects);
    if (FLT_IS_IRP_OPERATION(Data) && FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Is(FltObjects, L"synchronous.bin")) {
        Say("synchronous: %u\n", FltIsOperationSynchronous(Data));
    } else if (Is(FltObjects, L"names.bin")) {
        AskNameWhereUnsafe(Data);
    } else if (Is(FltObjects, L"queue.bin") && FLT_IS_IRP_OPERATION(Data)) {
        AskQueue(Data, FltObjects);
    } else if (Is(FltObjects, L"canceled.bin") && PendCancelable(Data)) {
        return FLT_PREOP_PENDING;
    } else if (Is(FltObjects, L"deferred.bin") && FLT_IS_FASTIO_OPERATION(Data)) {
        AskDeferred(Data);
    } else if (Is(FltObjects, L"top-level.bin")) {
        AskDeferredWithTopLevelIrp(Data);
    } else if (Is(FltObjects, L"late.bin")) {
        AskDeferredInTeardown(Data);
    } else if (Is(FltObjects, L"redirected.bin") && TargetOf(FALSE) != NULL) {
        AskRedirection(FltObjects);
        TurnToTarget(Data, FALSE);
    } else if (Is(FltObjects, L"swapped.bin")) {
        return SwapBuffer(Data, FltObjects, CompletionContext);
    } else if (Is(FltObjects, L"reissued.bin") && FLT_IS_IRP_OPERATION(Data)) {
        *CompletionContext = (PVOID)Reissue;
        return FLT_PREOP_SYNCHRONIZE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    BOOLEAN Draining = FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) != 0;

    if (CompletionContext != (PVOID)Reissue) {
        GiveBuffer(Data, FltObjects, CompletionContext, Draining);
    } else if (!Draining) {
        Reissue(Data, FltObjects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreCreate, .PostOperation = PostCreate},
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead, .PostOperation = PostRead},
    {.MajorFunction = IRP_MJ_CLOSE, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_QUERY_INFORMATION, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_SET_INFORMATION, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_QUERY_EA, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_SET_EA, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_FLUSH_BUFFERS, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_QUERY_VOLUME_INFORMATION, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_DIRECTORY_CONTROL, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_DEVICE_CONTROL, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_LOCK_CONTROL, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_QUERY_SECURITY, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_SET_SECURITY, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION, .PreOperation = PreAny},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

/* Without this callback no instance is detached by hand. */
static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static VOID FLTAPI
TeardownStart(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    Say("teardown starts: reason 0x%x\n", Reason);
    TeardownHasStarted();
    if (FlagOn(Reason, FLTFL_INSTANCE_TEARDOWN_FILTER_UNLOAD)) {
        AskGenericInUnload();
    }
}

static VOID FLTAPI
TeardownComplete(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Reason);
    Say("teardown is complete\n");
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    Say("unregistered\n");
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = ContextRegistration,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
    .InstanceTeardownStartCallback = TeardownStart,
    .InstanceTeardownCompleteCallback = TeardownComplete,
};

/* Whether there is a file that asks for a DriverEntry that fails: a filter must undo its own work then (REG-16). */
static BOOLEAN
IsToFail(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\fail-entry.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Handle;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenFile(&Handle, FILE_READ_ATTRIBUTES | SYNCHRONIZE, &Attributes, &IoStatus,
                               FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_SYNCHRONOUS_IO_NONALERT))) {
        return FALSE;
    }
    ZwClose(Handle);
    return TRUE;
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    InitializeWork();
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = IsToFail() ? STATUS_INSUFFICIENT_RESOURCES : FltStartFiltering(Filter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
        return Status;
    }
    Say("started again: 0x%08x\n", FltStartFiltering(Filter));
    return STATUS_SUCCESS;
}
