/*
 * operations.c: what the filter manager answers of any operation on "every.bin" and on the directory "every": one line
 * each, of what the operation is and of what was answered. The operations go on to "target.bin" and to "targets" where
 * those are open.
 */

#include "services.h"

typedef struct _LOCKED {
    NTSTATUS Status;
    BOOLEAN Before; /* whether there was an MDL */
    BOOLEAN After;
    BOOLEAN Dirty;
} LOCKED;

static ULONG
ControlCode(PFLT_IO_PARAMETER_BLOCK Iopb)
{
    switch (Iopb->MajorFunction) {
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return Iopb->MinorFunction == IRP_MN_USER_FS_REQUEST ? Iopb->Parameters.FileSystemControl.Common.FsControlCode
                                                             : 0;
    case IRP_MJ_DEVICE_CONTROL:
        return Iopb->Parameters.DeviceIoControl.Common.IoControlCode;
    default:
        return 0;
    }
}

static NTSTATUS
NameStatus(PFLT_CALLBACK_DATA Data, FLT_FILE_NAME_OPTIONS Method)
{
    PFLT_FILE_NAME_INFORMATION Name;
    NTSTATUS Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | Method, &Name);

    if (NT_SUCCESS(Status)) {
        FltReleaseFileNameInformation(Name);
    }
    return Status;
}

static LOCKED
Lock(PFLT_CALLBACK_DATA Data)
{
    PMDL None = NULL, *Mdl = NULL;
    PVOID *Buffer = NULL;
    ULONG *Length = NULL;
    LOCKED Locked;

    if (!NT_SUCCESS(FltDecodeParameters(Data, &Mdl, &Buffer, &Length, NULL)) || Mdl == NULL) {
        Mdl = &None;
    }
    Locked.Before = *Mdl != NULL;
    Locked.Status = FltLockUserBuffer(Data);
    Locked.After = *Mdl != NULL;
    Locked.Dirty = FltIsCallbackDataDirty(Data);
    return Locked;
}

VOID
AskOfOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects)
{
    PFLT_IO_PARAMETER_BLOCK Iopb = Data->Iopb;
    LOCKED Locked = {STATUS_NOT_SUPPORTED, FALSE, FALSE, FALSE};
    BOOLEAN SameFile = FltObjects->FileObject == Iopb->TargetFileObject;
    NTSTATUS Default, AllowCache;

    Default = NameStatus(Data, FLT_FILE_NAME_QUERY_DEFAULT);
    AllowCache = NameStatus(Data, FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP);
    if (!FLT_IS_FS_FILTER_OPERATION(Data)) { /* they have no buffers */
        Locked = Lock(Data);
    }
    Say("of %u.%u class %u irp 0x%x file 0x%x code 0x%x top %u apcs %u: name 0x%08x, cached 0x%08x, synchronous %u, "
        "same %u, locked 0x%08x, before %u, after %u, dirty %u\n",
        Iopb->MajorFunction, Iopb->MinorFunction,
        Data->Flags & (FLTFL_CALLBACK_DATA_IRP_OPERATION | FLTFL_CALLBACK_DATA_FAST_IO_OPERATION |
                       FLTFL_CALLBACK_DATA_FS_FILTER_OPERATION),
        Iopb->IrpFlags, FltObjects->FileObject->Flags, ControlCode(Iopb), IoGetTopLevelIrp() != NULL,
        KeAreAllApcsDisabled(), Default, AllowCache, FltIsOperationSynchronous(Data), SameFile, Locked.Status,
        Locked.Before, Locked.After, Locked.Dirty);
}

static PFILE_OBJECT TargetFile;
static PFILE_OBJECT TargetDirectory;

VOID
TargetOpened(PFILE_OBJECT FileObject, BOOLEAN Directory)
{
    *(Directory ? &TargetDirectory : &TargetFile) = FileObject;
}

VOID
TargetClosed(PFILE_OBJECT FileObject)
{
    if (FileObject == TargetFile) {
        TargetFile = NULL;
    }
    if (FileObject == TargetDirectory) {
        TargetDirectory = NULL;
    }
}

PFILE_OBJECT
TargetOf(BOOLEAN Directory)
{
    return Directory ? TargetDirectory : TargetFile;
}

/* What makes, ends or maps a file object stays with it, and so does the paging I/O of its section. */
static BOOLEAN
MayBeTurned(PFLT_CALLBACK_DATA Data)
{
    switch (Data->Iopb->MajorFunction) {
    case IRP_MJ_CREATE:
    case IRP_MJ_CLEANUP:
    case IRP_MJ_CLOSE:
    case IRP_MJ_NETWORK_QUERY_OPEN:
        return FALSE;
    default:
        return !FLT_IS_FS_FILTER_OPERATION(Data) &&
               !(FLT_IS_IRP_OPERATION(Data) && FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO));
    }
}

VOID
TurnToTarget(PFLT_CALLBACK_DATA Data, BOOLEAN Directory)
{
    if (TargetOf(Directory) != NULL && MayBeTurned(Data)) {
        Data->Iopb->TargetFileObject = TargetOf(Directory);
        FltSetCallbackDataDirty(Data);
    }
}
