/*
 * record.c: one event for each callback and for each step of a parked operation.
 */

#include "common.h"

static ULONG
InformationDetail(PFLT_IO_PARAMETER_BLOCK Iopb)
{
    const FLT_PARAMETERS *Parameters = &Iopb->Parameters;

    switch (Iopb->MajorFunction) {
    case IRP_MJ_CREATE:
        return Parameters->Create.Options;
    case IRP_MJ_QUERY_INFORMATION:
        return Parameters->QueryFileInformation.FileInformationClass;
    case IRP_MJ_SET_INFORMATION:
        return Parameters->SetFileInformation.FileInformationClass;
    case IRP_MJ_QUERY_VOLUME_INFORMATION:
        return Parameters->QueryVolumeInformation.FsInformationClass;
    case IRP_MJ_SET_VOLUME_INFORMATION:
        return Parameters->SetVolumeInformation.FsInformationClass;
    case IRP_MJ_DIRECTORY_CONTROL:
        return Iopb->MinorFunction == IRP_MN_QUERY_DIRECTORY
                   ? (ULONG)Parameters->DirectoryControl.QueryDirectory.FileInformationClass
                   : 0;
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return Iopb->MinorFunction == IRP_MN_USER_FS_REQUEST ? Parameters->FileSystemControl.Common.FsControlCode : 0;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        return Parameters->DeviceIoControl.Common.IoControlCode;
    case IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION:
        return Parameters->AcquireForSectionSynchronization.SyncType;
    default:
        return 0;
    }
}

static VOID
SetRange(FLTLAB_EVENT *Event, PFLT_IO_PARAMETER_BLOCK Iopb)
{
    const FLT_PARAMETERS *Parameters = &Iopb->Parameters;

    switch (Iopb->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE: /* the same layout */
        Event->Offset = (ULONGLONG)Parameters->Read.ByteOffset.QuadPart;
        Event->Length = Parameters->Read.Length;
        break;
    case IRP_MJ_LOCK_CONTROL:
        Event->Offset = (ULONGLONG)Parameters->LockControl.ByteOffset.QuadPart;
        break;
    case IRP_MJ_MDL_READ:
    case IRP_MJ_PREPARE_MDL_WRITE: /* the same layout */
        Event->Offset = (ULONGLONG)Parameters->MdlRead.FileOffset.QuadPart;
        Event->Length = Parameters->MdlRead.Length;
        break;
    case IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE:
        Event->Offset = (ULONGLONG)Parameters->FastIoCheckIfPossible.FileOffset.QuadPart;
        Event->Length = Parameters->FastIoCheckIfPossible.Length;
        break;
    case IRP_MJ_QUERY_INFORMATION:
    case IRP_MJ_SET_INFORMATION:
    case IRP_MJ_QUERY_VOLUME_INFORMATION:
    case IRP_MJ_SET_VOLUME_INFORMATION:
    case IRP_MJ_DIRECTORY_CONTROL:
    case IRP_MJ_QUERY_EA:
    case IRP_MJ_SET_EA: /* Length comes first in all of them */
        Event->Length = Parameters->QueryFileInformation.Length;
        break;
    case IRP_MJ_QUERY_SECURITY:
        Event->Length = Parameters->QuerySecurity.Length;
        break;
    default:
        break;
    }
}

static VOID
BeginEvent(FLTLAB_EVENT *Event, UCHAR Phase)
{
    RtlZeroMemory(Event, sizeof(*Event));
    Event->Phase = Phase;
    Event->Irql = KeGetCurrentIrql();
    Event->ThreadId = HandleToULong(PsGetCurrentThreadId());
    Event->ProcessId = HandleToULong(PsGetCurrentProcessId());
}

static VOID
BeginOperationEvent(FLTLAB_EVENT *Event, UCHAR Phase, PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance,
                    const LAB_MATCH *Match)
{
    PFLT_IO_PARAMETER_BLOCK Iopb = Data->Iopb;

    BeginEvent(Event, Phase);
    Event->CallbackData = (ULONG_PTR)Data;
    Event->Instance = (ULONG_PTR)Instance;
    Event->FileObject = (ULONG_PTR)Iopb->TargetFileObject;
    Event->Information = Data->IoStatus.Information;
    Event->IoStatus = (ULONG)Data->IoStatus.Status;
    Event->RequestorThreadId = Data->Thread != NULL ? HandleToULong(PsGetThreadId(Data->Thread)) : 0;
    Event->RequestorProcessId = FltGetRequestorProcessId(Data);
    Event->CallbackDataFlags = Data->Flags;
    Event->IrpFlags = Iopb->IrpFlags;
    Event->RuleId = Match->RuleId;
    Event->MajorFunction = Iopb->MajorFunction;
    Event->MinorFunction = Iopb->MinorFunction;
    Event->OperationFlags = Iopb->OperationFlags;
    Event->RequestorMode = (UCHAR)Data->RequestorMode;
    Event->OperationClass = (UCHAR)(Data->Flags & FLTLAB_CLASS_ANY);
    Event->NameLength = Match->Name.Length;
    RtlCopyMemory(Event->Name, Match->Name.Buffer, Match->Name.Length * sizeof(WCHAR));
    SetRange(Event, Iopb);
}

ULONGLONG
LabRecordPre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, const LAB_MATCH *Match,
             FLT_PREOP_CALLBACK_STATUS Returned, PVOID CompletionContext)
{
    FLTLAB_EVENT Event;

    BeginOperationEvent(&Event, FLTLAB_PHASE_PRE, Data, FltObjects->Instance, Match);
    Event.CompletionContext = (ULONG_PTR)CompletionContext;
    Event.Returned = Returned;
    Event.Detail = InformationDetail(Data->Iopb);
    return LabRecord(&Event);
}

ULONGLONG
LabRecordPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, const LAB_MATCH *Match,
              FLT_POSTOP_CALLBACK_STATUS Returned, PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags)
{
    FLTLAB_EVENT Event;

    BeginOperationEvent(&Event, FLTLAB_PHASE_POST, Data, FltObjects->Instance, Match);
    Event.CompletionContext = (ULONG_PTR)CompletionContext;
    Event.Returned = Returned;
    Event.PostFlags = Flags;
    Event.Detail = InformationDetail(Data->Iopb);
    return LabRecord(&Event);
}

/* A step of an operation that is parked: nobody else has its callback data now. */
VOID
LabRecordStep(UCHAR Phase, PLAB_OPERATION Operation, ULONG Returned, PVOID CompletionContext, ULONG Detail)
{
    FLTLAB_EVENT Event;

    BeginOperationEvent(&Event, Phase, Operation->Data, Operation->Instance, &Operation->Match);
    Event.CompletionContext = (ULONG_PTR)CompletionContext;
    Event.Returned = Returned;
    Event.Detail = Detail;
    LabRecord(&Event);
}

/* A call made while an operation was in this driver's hands. */
VOID
LabRecordCall(UCHAR Phase, PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, const LAB_MATCH *Match, NTSTATUS Status,
              PVOID Context, ULONGLONG Offset, ULONG Detail)
{
    FLTLAB_EVENT Event;

    BeginOperationEvent(&Event, Phase, Data, Instance, Match);
    Event.CompletionContext = (ULONG_PTR)Context;
    Event.Returned = (ULONG)Status;
    Event.Offset = Offset;
    Event.Detail = Detail;
    LabRecord(&Event);
}

VOID
LabRecordLifecycle(UCHAR Phase, PFLT_INSTANCE Instance, NTSTATUS Status, ULONG Detail)
{
    FLTLAB_EVENT Event;

    BeginEvent(&Event, Phase);
    Event.Instance = (ULONG_PTR)Instance;
    Event.Returned = (ULONG)Status;
    Event.Detail = Detail;
    LabRecord(&Event);
}
