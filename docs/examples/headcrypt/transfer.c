/* transfer.c: reads and writes of sealed files, cached, paging and without the cache. */

#include "headcrypt.h"

typedef struct _HC_TRANSFER {
    PHC_STREAM Stream;
    LONG64 Offset; /* in the content */
    PUCHAR Buffer; /* of a read: the requester's, mapped; of a write: ours */
} HC_TRANSFER, *PHC_TRANSFER;

static VOID
HcEnd(_In_ PFLT_INSTANCE Instance, _In_ PHC_TRANSFER Transfer, _In_ BOOLEAN Write)
{
    if (Write && Transfer->Buffer != NULL) {
        FltFreePoolAlignedWithTag(Instance, Transfer->Buffer, HC_TAG);
    }
    FltReleaseContext(Transfer->Stream);
    ExFreePoolWithTag(Transfer, HC_TAG);
}

static PHC_TRANSFER
HcBegin(_In_ PHC_STREAM Stream, _In_ LONG64 Offset)
{
    PHC_TRANSFER Transfer = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*Transfer), HC_TAG);

    if (Transfer != NULL) {
        FltReferenceContext(Stream);
        Transfer->Stream = Stream;
        Transfer->Offset = Offset;
    }
    return Transfer;
}

/* Where a transfer begins in the content: where it says, at the file position, or at the end. */
static LONG64
HcOffset(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PHC_STREAM Stream, _In_ LARGE_INTEGER Given)
{
    if (Given.HighPart == -1 && Given.LowPart == FILE_USE_FILE_POINTER_POSITION) {
        return Objects->FileObject->CurrentByteOffset.QuadPart;
    }
    return Given.HighPart == -1 && Given.LowPart == FILE_WRITE_TO_END_OF_FILE ? Stream->Size : Given.QuadPart;
}

/* What others have written to the cache goes to the disk first; after a write nobody may find the old content there. */
static NTSTATUS
HcSettleCache(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ BOOLEAN Purge)
{
    PSECTION_OBJECT_POINTERS Sections = Objects->FileObject->SectionObjectPointer;
    IO_STATUS_BLOCK Iosb;

    CcFlushCache(Sections, NULL, 0, &Iosb);
    if (Purge && !CcPurgeCacheSection(Sections, NULL, 0, FALSE)) {
        return STATUS_USER_MAPPED_FILE;
    }
    return STATUS_SUCCESS;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
HcPreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    BOOLEAN Paging = BooleanFlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO);
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PHC_TRANSFER Transfer = NULL;
    PHC_STREAM Stream = HcStreamOf(Objects);
    LONG64 Offset;

    *Context = NULL;
    if (Stream == NULL) {
        return Result;
    }
    Offset = Paging ? Parameters->Read.ByteOffset.QuadPart : HcOffset(Objects, Stream, Parameters->Read.ByteOffset);
    if (!Paging) {
        if (FLT_IS_FASTIO_OPERATION(Data)) {
            Result = FLT_PREOP_DISALLOW_FASTIO;
            goto Exit;
        }
        if (Offset >= Stream->Size) {
            Result = HcComplete(Data, Parameters->Read.Length == 0 ? STATUS_SUCCESS : STATUS_END_OF_FILE);
            goto Exit;
        }
        if (Offset + Parameters->Read.Length > Stream->Size) {
            Parameters->Read.Length = (ULONG)(Stream->Size - Offset);
            if (FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE)) { /* in whole sectors: the rest is cut off afterwards */
                Parameters->Read.Length = (ULONG)ROUND_TO_SIZE(Parameters->Read.Length, 512);
            }
            FltSetCallbackDataDirty(Data);
        }
        if (!FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE)) {
            goto Exit;
        }
        HcSettleCache(Objects, FALSE);
    }
    Transfer = HcBegin(Stream, Offset);
    if (Transfer == NULL || !NT_SUCCESS(FltLockUserBuffer(Data)) ||
        (Transfer->Buffer = MmGetSystemAddressForMdlSafe(Parameters->Read.MdlAddress,
                                                         NormalPagePriority | MdlMappingNoExecute)) == NULL) {
        if (Transfer != NULL) {
            HcEnd(Objects->Instance, Transfer, FALSE);
        }
        Result = HcComplete(Data, STATUS_INSUFFICIENT_RESOURCES);
        goto Exit;
    }
    Parameters->Read.ByteOffset.QuadPart = Offset + HC_HEADER;
    FltSetCallbackDataDirty(Data);
    *Context = Transfer;
    Result = FLT_PREOP_SUCCESS_WITH_CALLBACK;

Exit:
    FltReleaseContext(Stream);
    return Result;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PHC_TRANSFER Transfer = Context;

    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        HcScramble(Transfer->Stream, Transfer->Offset, Transfer->Buffer, Data->IoStatus.Information);
        if (FlagOn(Objects->FileObject->Flags, FO_SYNCHRONOUS_IO) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
            Objects->FileObject->CurrentByteOffset.QuadPart = Transfer->Offset + (LONG64)Data->IoStatus.Information;
        }
    }
    HcEnd(Objects->Instance, Transfer, FALSE);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* Have the content end where a write ends that goes further, before it is sent. */
static NTSTATUS
HcMakeRoom(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects, _In_ PHC_STREAM Stream,
           _Inout_ PLONG64 Offset)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    NTSTATUS Status = STATUS_SUCCESS;

    HcLock(Stream);
    *Offset = HcOffset(Objects, Stream, Parameters->Write.ByteOffset);
    if (*Offset + Parameters->Write.Length > Stream->Size) {
        Status = HcResize(Objects, Stream, *Offset + Parameters->Write.Length);
    }
    HcUnlock(Stream);
    if (Parameters->Write.ByteOffset.QuadPart != *Offset) {
        Parameters->Write.ByteOffset.QuadPart = *Offset;
        FltSetCallbackDataDirty(Data);
    }
    return Status;
}

/* A write past the cache goes out from a buffer of ours. */
static NTSTATUS
HcSwap(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects, _In_ PHC_TRANSFER Transfer)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    ULONG Length = Parameters->Write.Length;
    PVOID Plain;
    PMDL Mdl;

    Transfer->Buffer = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, Length, HC_TAG);
    if (Transfer->Buffer == NULL || !NT_SUCCESS(FltLockUserBuffer(Data))) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Plain = MmGetSystemAddressForMdlSafe(Parameters->Write.MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    Mdl = Plain != NULL ? IoAllocateMdl(Transfer->Buffer, Length, FALSE, FALSE, NULL) : NULL;
    if (Mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(Mdl);
    RtlCopyMemory(Transfer->Buffer, Plain, Length);
    HcScramble(Transfer->Stream, Transfer->Offset, Transfer->Buffer, Length);
    Parameters->Write.WriteBuffer = Transfer->Buffer;
    Parameters->Write.MdlAddress = Mdl;
    Parameters->Write.ByteOffset.QuadPart = Transfer->Offset + HC_HEADER;
    FltSetCallbackDataDirty(Data);
    return STATUS_SUCCESS;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
HcPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    BOOLEAN Paging = BooleanFlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO);
    LONG64 Offset = Data->Iopb->Parameters.Write.ByteOffset.QuadPart;
    FLT_PREOP_CALLBACK_STATUS Result = FLT_PREOP_SUCCESS_NO_CALLBACK;
    PHC_STREAM Stream = HcStreamOf(Objects);
    NTSTATUS Status = STATUS_SUCCESS;
    PHC_TRANSFER Transfer;

    *Context = NULL;
    if (Stream == NULL) {
        return Result;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        Result = FLT_PREOP_DISALLOW_FASTIO;
        goto Exit;
    }
    if (!Paging) {
        Status = HcMakeRoom(Data, Objects, Stream, &Offset);
    } else if (Offset >= Stream->Size) {
        Data->IoStatus.Status = STATUS_SUCCESS; /* the page behind the end that the file system takes for content */
        Data->IoStatus.Information = Data->Iopb->Parameters.Write.Length;
        Result = FLT_PREOP_COMPLETE;
        goto Exit;
    }
    if (!Paging && NT_SUCCESS(Status)) {
        if (!FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE)) {
            goto Exit;
        }
        Status = HcSettleCache(Objects, TRUE);
    }
    Transfer = NT_SUCCESS(Status) ? HcBegin(Stream, Offset) : NULL;
    if (Transfer != NULL) {
        Status = HcSwap(Data, Objects, Transfer);
    } else if (NT_SUCCESS(Status)) {
        Status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(Status)) {
        if (Transfer != NULL) {
            HcEnd(Objects->Instance, Transfer, TRUE);
        }
        Result = HcComplete(Data, Status);
        goto Exit;
    }
    *Context = Transfer;
    Result = FLT_PREOP_SUCCESS_WITH_CALLBACK;

Exit:
    FltReleaseContext(Stream);
    return Result;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
HcPostWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PHC_TRANSFER Transfer = Context;

    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status) &&
        FlagOn(Objects->FileObject->Flags, FO_SYNCHRONOUS_IO) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        Objects->FileObject->CurrentByteOffset.QuadPart = Transfer->Offset + (LONG64)Data->IoStatus.Information;
    }
    HcEnd(Objects->Instance, Transfer, TRUE);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
