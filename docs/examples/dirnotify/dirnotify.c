/*
 * dirnotify.c: filters what IRP_MN_NOTIFY_CHANGE_DIRECTORY answers. The buffer is the caller's, so it
 * is locked (FltLockUserBuffer) and edited in the post callback, when that is safe.
 */

#include <fltKernel.h>

static PFLT_FILTER gFilter;

static BOOLEAN
IsTemporary(PFILE_NOTIFY_INFORMATION Entry)
{
    static const UNICODE_STRING tail = RTL_CONSTANT_STRING(L".tmp");
    UNICODE_STRING end;

    if (Entry->FileNameLength < tail.Length) {
        return FALSE;
    }
    end.Length = end.MaximumLength = tail.Length;
    end.Buffer = Entry->FileName + (Entry->FileNameLength - tail.Length) / sizeof(WCHAR);
    return RtlEqualUnicodeString(&end, &tail, TRUE);
}

/* Takes the temporary ones out; how many bytes are left. */
static ULONG
Edit(PUCHAR Buffer, ULONG Length)
{
    PFILE_NOTIFY_INFORMATION from = (PFILE_NOTIFY_INFORMATION)Buffer, last = NULL;
    ULONG to = 0;

    for (;;) {
        ULONG size = FIELD_OFFSET(FILE_NOTIFY_INFORMATION, FileName) + from->FileNameLength, next = from->NextEntryOffset;

        if ((PUCHAR)from + size > Buffer + Length) {
            break;
        }
        if (!IsTemporary(from)) {
            to = last != NULL ? (ULONG)ROUND_TO_SIZE(to, sizeof(ULONG)) : 0;
            if (last != NULL) {
                last->NextEntryOffset = (ULONG)(Buffer + to - (PUCHAR)last);
            }
            RtlMoveMemory(Buffer + to, from, size);
            last = (PFILE_NOTIFY_INFORMATION)(Buffer + to);
            to += size;
        }
        if (next == 0) {
            break;
        }
        from = Add2Ptr(from, next);
    }
    if (last != NULL) {
        last->NextEntryOffset = 0;
    }
    return to;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreDirectoryControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Data->Iopb->MinorFunction != IRP_MN_NOTIFY_CHANGE_DIRECTORY ||
        Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.Length == 0) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostSafe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    NTSTATUS locked = FltLockUserBuffer(Data);
    PMDL mdl = Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.MdlAddress;
    PUCHAR buffer = NT_SUCCESS(locked) && mdl != NULL ? MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority | MdlMappingNoExecute) : NULL;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    UNREFERENCED_PARAMETER(Flags);
    if (buffer != NULL) {
        ULONG before = (ULONG)Data->IoStatus.Information, left = Edit(buffer, before);

        DbgPrint("dirnotify: %lu bytes of %lu\n", left, before);
        Data->IoStatus.Information = left;
        if (left == 0) {
            Data->IoStatus.Status = STATUS_NOTIFY_ENUM_DIR; /* "look yourself" */
        }
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostDirectoryControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                     FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS result = FLT_POSTOP_FINISHED_PROCESSING;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Information == 0) {
        return result;
    }
    FltDoCompletionProcessingWhenSafe(Data, FltObjects, CompletionContext, Flags, PostSafe, &result);
    return result;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_DIRECTORY_CONTROL, 0, PreDirectoryControl, PostDirectoryControl}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {.Size = sizeof(FLT_REGISTRATION),
                                               .Version = FLT_REGISTRATION_VERSION,
                                               .OperationRegistration = gOperations,
                                               .FilterUnloadCallback = Unload,
                                               .InstanceQueryTeardownCallback = QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltStartFiltering(gFilter);
    if (!NT_SUCCESS(status)) {
        FltUnregisterFilter(gFilter);
    }
    return status;
}
