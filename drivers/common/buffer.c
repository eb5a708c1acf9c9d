/*
 * buffer.c: buffers of the requester.
 *
 * File systems take the buffer of a read, a write or a directory query as it is: an address in the requester's process.
 * Whoever lets an operation go on in another process locks the buffer's pages before, in the preoperation callback.
 */

#include "common.h"

/* What follows must be the process of the requester. After success the operation may go on in any other (PRE-PEND-15). */
NTSTATUS
LabLockUserBuffer(PFLT_CALLBACK_DATA Data)
{
    PFLT_IO_PARAMETER_BLOCK Iopb = Data->Iopb;
    ULONG Length;

    switch (Iopb->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
    case IRP_MJ_DIRECTORY_CONTROL:
    case IRP_MJ_QUERY_EA:
    case IRP_MJ_SET_EA:
    case IRP_MJ_QUERY_QUOTA:
    case IRP_MJ_SET_QUOTA: /* Length comes first in all of them */
        Length = Iopb->Parameters.Read.Length;
        break;
    case IRP_MJ_QUERY_SECURITY:
        Length = Iopb->Parameters.QuerySecurity.Length;
        break;
    case IRP_MJ_FILE_SYSTEM_CONTROL: /* of METHOD_NEITHER the input could not be locked */
        return Iopb->MinorFunction == IRP_MN_USER_FS_REQUEST && Data->RequestorMode == UserMode &&
                       METHOD_FROM_CTL_CODE(Iopb->Parameters.FileSystemControl.Common.FsControlCode) == METHOD_NEITHER
                   ? STATUS_NOT_SUPPORTED
                   : STATUS_SUCCESS;
    case IRP_MJ_DEVICE_CONTROL:
        return Data->RequestorMode == UserMode &&
                       METHOD_FROM_CTL_CODE(Iopb->Parameters.DeviceIoControl.Common.IoControlCode) == METHOD_NEITHER
                   ? STATUS_NOT_SUPPORTED
                   : STATUS_SUCCESS;
    default: /* the I/O manager has copied their parameters */
        return STATUS_SUCCESS;
    }
    if (Length == 0 || FLT_IS_SYSTEM_BUFFER(Data)) {
        return STATUS_SUCCESS;
    }
    return FltLockUserBuffer(Data);
}
