/* locks.c: an auditor of byte-range locks. The stream's context has the list of those that are held, as this filter has
 * seen them granted; a lock that is refused, or has to wait, is told with the range that is in its way. */

#include <fltKernel.h>

#define LCK_TAG 'skcL'

typedef struct _RANGE {
    LIST_ENTRY Links;
    PFILE_OBJECT File;
    ULONG64 From, Length;
    ULONG Key;
    BOOLEAN Exclusive;
} RANGE, *PRANGE;

typedef struct _STREAM {
    KSPIN_LOCK Lock;
    LIST_ENTRY Ranges;
} STREAM, *PSTREAM;

static PFLT_FILTER gFilter;

static VOID FLTAPI
StreamGone(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    PSTREAM stream = Context;

    UNREFERENCED_PARAMETER(Type);
    while (!IsListEmpty(&stream->Ranges)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&stream->Ranges), RANGE, Links), LCK_TAG);
    }
}

static PSTREAM
StreamOf(PCFLT_RELATED_OBJECTS o)
{
    PSTREAM stream, old = NULL;

    if (NT_SUCCESS(FltGetStreamContext(o->Instance, o->FileObject, (PFLT_CONTEXT *)&stream))) {
        return stream;
    }
    if (!NT_SUCCESS(FltAllocateContext(gFilter, FLT_STREAM_CONTEXT, sizeof(*stream), NonPagedPoolNx,
                                       (PFLT_CONTEXT *)&stream))) {
        return NULL;
    }
    KeInitializeSpinLock(&stream->Lock);
    InitializeListHead(&stream->Ranges);
    if (!NT_SUCCESS(FltSetStreamContext(o->Instance, o->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, stream,
                                        (PFLT_CONTEXT *)&old))) {
        FltReleaseContext(stream);
        stream = old;
    }
    return stream;
}

static BOOLEAN
Overlaps(const RANGE *a, const RANGE *b)
{
    return a->From < b->From + b->Length && b->From < a->From + a->Length;
}

/* Drops what matches; NULL for a length of any. */
static VOID
Drop(PSTREAM Stream, PFILE_OBJECT File, const ULONG64 *From, const ULONG64 *Length)
{
    LIST_ENTRY gone;
    KIRQL irql;

    InitializeListHead(&gone);
    KeAcquireSpinLock(&Stream->Lock, &irql);
    for (PLIST_ENTRY e = Stream->Ranges.Flink, next; e != &Stream->Ranges; e = next) {
        PRANGE range = CONTAINING_RECORD(e, RANGE, Links);
        next = e->Flink;
        if (range->File == File && (From == NULL || (range->From == *From && range->Length == *Length))) {
            RemoveEntryList(e);
            InsertTailList(&gone, e);
        }
    }
    KeReleaseSpinLock(&Stream->Lock, irql);
    while (!IsListEmpty(&gone)) {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(&gone), RANGE, Links), LCK_TAG);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PRANGE range;
    PSTREAM stream;

    if (Data->Iopb->MinorFunction != IRP_MN_LOCK) {
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    if ((stream = StreamOf(FltObjects)) == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    FltReleaseContext(stream);
    range = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*range), LCK_TAG);
    if (range == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    range->File = FltObjects->FileObject;
    range->From = Data->Iopb->Parameters.LockControl.ByteOffset.QuadPart;
    range->Length = Data->Iopb->Parameters.LockControl.Length->QuadPart;
    range->Key = Data->Iopb->Parameters.LockControl.Key;
    range->Exclusive = Data->Iopb->Parameters.LockControl.ExclusiveLock;
    *CompletionContext = range;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    PRANGE range = CompletionContext, other;
    PSTREAM stream = NULL;
    KIRQL irql;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) ||
        !NT_SUCCESS(FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&stream))) {
        goto done;
    }
    if (range != NULL && NT_SUCCESS(Data->IoStatus.Status)) {
        DbgPrint("locks: %s of %llu at %llu granted\n", range->Exclusive ? "exclusive" : "shared", range->Length,
                 range->From);
        KeAcquireSpinLock(&stream->Lock, &irql);
        InsertTailList(&stream->Ranges, &range->Links);
        KeReleaseSpinLock(&stream->Lock, irql);
        range = NULL;
    } else if (range != NULL) {
        ULONG64 from = 0, length = 0;

        KeAcquireSpinLock(&stream->Lock, &irql);
        for (PLIST_ENTRY e = stream->Ranges.Flink; e != &stream->Ranges; e = e->Flink) {
            other = CONTAINING_RECORD(e, RANGE, Links);
            if (Overlaps(other, range)) {
                from = other->From;
                length = other->Length;
            }
        }
        KeReleaseSpinLock(&stream->Lock, irql);
        DbgPrint("locks: refused with 0x%08x, behind %llu at %llu\n", Data->IoStatus.Status, length, from);
    } else if (Data->Iopb->MinorFunction == IRP_MN_UNLOCK_SINGLE) {
        ULONG64 from = Data->Iopb->Parameters.LockControl.ByteOffset.QuadPart;
        ULONG64 length = Data->Iopb->Parameters.LockControl.Length->QuadPart;
        Drop(stream, FltObjects->FileObject, &from, &length);
    } else {
        Drop(stream, FltObjects->FileObject, NULL, NULL);
    }
done:
    if (stream != NULL) {
        FltReleaseContext(stream);
    }
    if (range != NULL) {
        ExFreePoolWithTag(range, LCK_TAG);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PSTREAM stream;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (NT_SUCCESS(FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&stream))) {
        Drop(stream, FltObjects->FileObject, NULL, NULL);
        FltReleaseContext(stream);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION gContexts[] = {
    {FLT_STREAM_CONTEXT, 0, StreamGone, sizeof(STREAM), LCK_TAG}, {FLT_CONTEXT_END}};
static const FLT_OPERATION_REGISTRATION gOperations[] = {{IRP_MJ_LOCK_CONTROL, 0, PreLock, PostLock},
                                                         {IRP_MJ_CLEANUP, 0, PreCleanup, NULL},
                                                         {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, gContexts,
                                               gOperations, Unload, NULL, QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    return status;
}
