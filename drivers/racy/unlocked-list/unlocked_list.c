/*
 * unlocked_list.c: keeps a record of each file that is opened, and gives the records back when the driver is unloaded.
 *
 * The race: two creates push a record at the same time, and one of the records is lost. Mended: with a lock.
 */

#include "racy.h"

typedef struct _RECORD {
    struct _RECORD *Next;
    PFILE_OBJECT FileObject;
} RECORD, *PRECORD;

static PRECORD Records;
static FAST_MUTEX Lock;

static VOID
Push(PRECORD Record)
{
#ifdef MENDED
    ExAcquireFastMutex(&Lock);
#endif
    Record->Next = Records;
    Records = Record;
#ifdef MENDED
    ExReleaseFastMutex(&Lock);
#endif
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    PRECORD Record;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (NT_SUCCESS(Data->IoStatus.Status) && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        Record = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Record), RACY_TAG);
        if (Record != NULL) {
            Record->FileObject = FltObjects->FileObject;
            Push(Record);
        }
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&Lock);
    return STATUS_SUCCESS;
}

static VOID
FreeRecords(VOID)
{
    PRECORD Record;

    while ((Record = Records) != NULL) {
        Records = Record->Next;
        ExFreePoolWithTag(Record, RACY_TAG);
    }
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PostOperation = PostCreate},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start, .AfterUnregister = FreeRecords};
