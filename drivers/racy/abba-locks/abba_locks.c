/*
 * abba_locks.c: counts what is read and written, of files and of the volume, each count under a lock of its own.
 *
 * The race: a read takes the lock of the files and then that of the volume, a write the other way round. Mended: both
 * take that of the files first.
 */

#include "racy.h"

static FAST_MUTEX FileLock, VolumeLock;
static ULONG64 FileBytes, VolumeBytes;

static VOID
Count(FAST_MUTEX *First, FAST_MUTEX *Second, ULONG Bytes)
{
    ExAcquireFastMutexUnsafe(First);
    ExAcquireFastMutexUnsafe(Second);
    FileBytes += Bytes;
    VolumeBytes += Bytes;
    ExReleaseFastMutexUnsafe(Second);
    ExReleaseFastMutexUnsafe(First);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsOrdinaryIrp(Data)) {
        KeEnterCriticalRegion();
        Count(&FileLock, &VolumeLock, Data->Iopb->Parameters.Read.Length);
        KeLeaveCriticalRegion();
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsOrdinaryIrp(Data)) {
        KeEnterCriticalRegion();
#ifdef MENDED
        Count(&FileLock, &VolumeLock, Data->Iopb->Parameters.Write.Length);
#else
        Count(&VolumeLock, &FileLock, Data->Iopb->Parameters.Write.Length);
#endif
        KeLeaveCriticalRegion();
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS
Start(VOID)
{
    ExInitializeFastMutex(&FileLock);
    ExInitializeFastMutex(&VolumeLock);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start};
