/* information.c: sizes, locks, sections; and what is simply the lower file object's. */

#include "isolation.h"

/* With Main held exclusively, or the FCB to oneself. */
NTSTATUS
IsoResize(PISO_FCB Fcb, PFILE_OBJECT FileObject, LONGLONG Size)
{
    FILE_END_OF_FILE_INFORMATION end = {.EndOfFile.QuadPart = Size};
    NTSTATUS status;

    if (Size < Fcb->Header.FileSize.QuadPart && !MmCanFileBeTruncated(&Fcb->Sections, &end.EndOfFile)) {
        return STATUS_USER_MAPPED_FILE;
    }
    status = FltSetInformationFile(Fcb->Instance, Fcb->Lower, &end, sizeof(end), FileEndOfFileInformation);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    IsoLock(&Fcb->Paging, TRUE);
    Fcb->Header.FileSize.QuadPart = Fcb->Header.ValidDataLength.QuadPart = Size;
    Fcb->Header.AllocationSize.QuadPart = (Size + 0xFFF) & ~0xFFFLL;
    IsoUnlock(&Fcb->Paging);
    if (FileObject != NULL) {
        CcSetFileSizes(FileObject, (PCC_FILE_SIZES)&Fcb->Header.AllocationSize);
    }
    return STATUS_SUCCESS;
}

/* The same operation, on the file below: whoever is beneath us has opened that one. */
static FLT_PREOP_CALLBACK_STATUS
SendBelow(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o)
{
    PISO_CCB ccb = o->FileObject->FsContext2;

    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    Data->Iopb->TargetFileObject = ccb->Lower;
    FltSetCallbackDataDirty(Data);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    PVOID buffer = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    switch (Data->Iopb->Parameters.SetFileInformation.FileInformationClass) {
    case FilePositionInformation:
        o->FileObject->CurrentByteOffset = ((PFILE_POSITION_INFORMATION)buffer)->CurrentByteOffset;
        return IsoComplete(Data, STATUS_SUCCESS, 0);
    case FileValidDataLengthInformation:
        return IsoComplete(Data, STATUS_INVALID_PARAMETER, 0); /* what is there would not be scrambled */
    case FileEndOfFileInformation:
    case FileAllocationInformation: {
        LONGLONG size = ((PLARGE_INTEGER)buffer)->QuadPart;
        BOOLEAN allocation =
            Data->Iopb->Parameters.SetFileInformation.FileInformationClass == FileAllocationInformation;
        IsoLock(&fcb->Main, TRUE);
        if (size < 0) {
            status = STATUS_INVALID_PARAMETER;
        } else if (allocation && size >= fcb->Header.FileSize.QuadPart) {
            status = FltSetInformationFile(o->Instance, fcb->Lower, buffer, sizeof(LARGE_INTEGER),
                                           FileAllocationInformation);
        } else {
            LARGE_INTEGER old = fcb->Header.FileSize;
            status = IsoResize(fcb, o->FileObject, size);
            if (NT_SUCCESS(status) && size > old.QuadPart) {
                IsoZero(fcb, o->FileObject, old.QuadPart, size);
            }
        }
        IsoUnlock(&fcb->Main);
        return IsoComplete(Data, status, 0);
    }
    default:
        return SendBelow(Data, o);
    }
}

/* All but the position, which is our file object's, is the file's below. */
FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreQueryInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PFILE_POSITION_INFORMATION position = Data->Iopb->Parameters.QueryFileInformation.InfoBuffer;
    FLT_PREOP_CALLBACK_STATUS answer;

    UNREFERENCED_PARAMETER(Context);
    if (IsoFcbOf(o->FileObject) == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Data->Iopb->Parameters.QueryFileInformation.FileInformationClass == FilePositionInformation) {
        position->CurrentByteOffset = o->FileObject->CurrentByteOffset;
        return IsoComplete(Data, STATUS_SUCCESS, sizeof(*position));
    }
    answer = SendBelow(Data, o);
    if (answer == FLT_PREOP_SUCCESS_NO_CALLBACK &&
        Data->Iopb->Parameters.QueryFileInformation.FileInformationClass == FileAllInformation) {
        return FLT_PREOP_SYNCHRONIZE;
    }
    return answer;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
IsoPostQueryInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PFILE_ALL_INFORMATION all = Data->Iopb->Parameters.QueryFileInformation.InfoBuffer;

    UNREFERENCED_PARAMETER(Context);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && !NT_ERROR(Data->IoStatus.Status)) {
        all->PositionInformation.CurrentByteOffset = o->FileObject->CurrentByteOffset;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    return FltProcessFileLock(&fcb->Locks, Data, NULL);
}

/* FSFilter operations: they take and give back the locks that the operation which follows needs. */
FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreSection(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    switch (Data->Iopb->MajorFunction) {
    case IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION:
        IsoLock(&fcb->Main, TRUE);
        if (Data->Iopb->Parameters.AcquireForSectionSynchronization.SyncType == SyncTypeCreateSection) {
            return IsoComplete(
                Data, fcb->Share.Writers > 0 ? STATUS_FILE_LOCKED_WITH_WRITERS : STATUS_FILE_LOCKED_WITH_ONLY_READERS,
                0);
        }
        break;
    case IRP_MJ_ACQUIRE_FOR_CC_FLUSH:
        IsoLock(&fcb->Main, FALSE);
        break;
    case IRP_MJ_ACQUIRE_FOR_MOD_WRITE:
        IsoLock(&fcb->Paging, FALSE);
        *Data->Iopb->Parameters.AcquireForModifiedPageWriter.ResourceToRelease = &fcb->Paging;
        break;
    case IRP_MJ_RELEASE_FOR_MOD_WRITE:
        IsoUnlock(Data->Iopb->Parameters.ReleaseForModifiedPageWriter.ResourceToRelease);
        break;
    default:
        IsoUnlock(&fcb->Main);
    }
    return IsoComplete(Data, STATUS_SUCCESS, 0);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreOther(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    return IsoFcbOf(o->FileObject) == NULL ? FLT_PREOP_SUCCESS_NO_CALLBACK : SendBelow(Data, o);
}
