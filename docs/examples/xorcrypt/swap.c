/*++

Module Name:

    swap.c

Abstract:

    Non-cached reads and writes in buffers of our own.

--*/

#include "xorcrypt.h"

static VOID
XcScramble(_Out_writes_bytes_(Length) PUCHAR Destination, _In_reads_bytes_(Length) const UCHAR *Source,
           _In_ ULONG_PTR Length)
{
    ULONG_PTR i;

    for (i = 0; i < Length; i++) {
        Destination[i] = Source[i] ^ SCRAMBLE;
    }
}

/*************************************************************************
    MiniFilter callback routines.
*************************************************************************/

static NTSTATUS
XcNewBuffer(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PVOLUME_CONTEXT VolCtx, _In_ BOOLEAN NeedsMdl,
            _In_ ULONG Length, _Outptr_ PPRE_2_POST_CONTEXT *Context)
/*++

Routine Description:

    A buffer of our own for a transfer, and what the postoperation callback needs of it. The volume context
    belongs to it from here on.

--*/
{
    PVOID newBuf;
    PMDL newMdl = NULL;
    PPRE_2_POST_CONTEXT p2pCtx;

    newBuf = FltAllocatePoolAlignedWithTag(FltObjects->Instance, NonPagedPool, (SIZE_T)Length, BUFFER_SWAP_TAG);
    if (newBuf == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }

    if (NeedsMdl) {
        newMdl = IoAllocateMdl(newBuf, Length, FALSE, FALSE, NULL);
        if (newMdl == NULL) {
            FltFreePoolAlignedWithTag(FltObjects->Instance, newBuf, BUFFER_SWAP_TAG);
            return STATUS_INSUFFICIENT_RESOURCES;
        }

        MmBuildMdlForNonPagedPool(newMdl);
    }

    p2pCtx = ExAllocateFromNPagedLookasideList(&Pre2PostContextList);
    if (p2pCtx == NULL) {
        if (newMdl != NULL) {
            IoFreeMdl(newMdl);
        }

        FltFreePoolAlignedWithTag(FltObjects->Instance, newBuf, BUFFER_SWAP_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }

    p2pCtx->VolCtx = VolCtx;
    p2pCtx->SwappedBuffer = newBuf;
    p2pCtx->SwappedMdl = newMdl;
    p2pCtx->Locked = NULL;
    *Context = p2pCtx;
    return STATUS_SUCCESS;
}

static VOID
XcFreeBuffer(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PPRE_2_POST_CONTEXT Context)
{
    FltFreePoolAlignedWithTag(FltObjects->Instance, Context->SwappedBuffer, BUFFER_SWAP_TAG);
    FltReleaseContext(Context->VolCtx);
    ExFreeToNPagedLookasideList(&Pre2PostContextList, Context);
}

static VOID
XcFreeUnused(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PPRE_2_POST_CONTEXT Context)
/*++

Routine Description:

    Frees a buffer that the filter manager was not given: it frees the MDL of one that it was.

--*/
{
    if (Context->SwappedMdl != NULL) {
        IoFreeMdl(Context->SwappedMdl);
    }

    XcFreeBuffer(FltObjects, Context);
}

FLT_PREOP_CALLBACK_STATUS
XcPreReadBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                 _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;
    PVOLUME_CONTEXT volCtx = NULL;
    PPRE_2_POST_CONTEXT p2pCtx;
    ULONG readLen = iopb->Parameters.Read.Length;
    NTSTATUS status;
    if (readLen == 0 || !FlagOn(IRP_NOCACHE, iopb->IrpFlags)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    status = FltGetVolumeContext(FltObjects->Filter, FltObjects->Volume, &volCtx);
    if (!NT_SUCCESS(status)) {
        Data->IoStatus.Status = status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }

    readLen = (ULONG)ROUND_TO_SIZE(readLen, volCtx->SectorSize);

    status = XcNewBuffer(FltObjects, volCtx, FlagOn(Data->Flags, FLTFL_CALLBACK_DATA_IRP_OPERATION), readLen, &p2pCtx);
    if (!NT_SUCCESS(status)) {
        FltReleaseContext(volCtx);
        Data->IoStatus.Status = status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }

    /*
     * A user's buffer without an MDL could only be reached from its own process, and not every completion can be
     * posted to a worker: it is locked here, while the requester's thread is still with us.
     */
    if (iopb->Parameters.Read.MdlAddress == NULL && FLT_IS_IRP_OPERATION(Data) && !FLT_IS_SYSTEM_BUFFER(Data)) {
        status = FltLockUserBuffer(Data);
        if (NT_SUCCESS(status)) {
            p2pCtx->Locked = MmGetSystemAddressForMdlSafe(iopb->Parameters.Read.MdlAddress,
                                                          NormalPagePriority | MdlMappingNoExecute);
            if (p2pCtx->Locked == NULL) {
                status = STATUS_INSUFFICIENT_RESOURCES;
            }
        }

        if (!NT_SUCCESS(status)) {
            XcFreeUnused(FltObjects, p2pCtx);
            Data->IoStatus.Status = status;
            Data->IoStatus.Information = 0;
            return FLT_PREOP_COMPLETE;
        }
    }

    iopb->Parameters.Read.ReadBuffer = p2pCtx->SwappedBuffer;
    iopb->Parameters.Read.MdlAddress = p2pCtx->SwappedMdl;
    FltSetCallbackDataDirty(Data);

    *CompletionContext = p2pCtx;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

FLT_POSTOP_CALLBACK_STATUS
XcPostReadBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PVOID CompletionContext,
                  _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PVOID origBuf;
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;
    PPRE_2_POST_CONTEXT p2pCtx = CompletionContext;

    FLT_ASSERT(!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING));

    try {
        if (!NT_SUCCESS(Data->IoStatus.Status) || (Data->IoStatus.Information == 0)) {
            leave;
        }

        if (p2pCtx->Locked != NULL) {
            origBuf = p2pCtx->Locked;
        } else if (iopb->Parameters.Read.MdlAddress != NULL) {
            FLT_ASSERT(((PMDL)iopb->Parameters.Read.MdlAddress)->Next == NULL);

            origBuf = MmGetSystemAddressForMdlSafe(iopb->Parameters.Read.MdlAddress,
                                                   NormalPagePriority | MdlMappingNoExecute);
            if (origBuf == NULL) {
                Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
                Data->IoStatus.Information = 0;
                leave;
            }
        } else {
            origBuf = iopb->Parameters.Read.ReadBuffer;
        }

        try {
            XcScramble(origBuf, p2pCtx->SwappedBuffer, Data->IoStatus.Information);
        }
        except(EXCEPTION_EXECUTE_HANDLER)
        {
            Data->IoStatus.Status = GetExceptionCode();
            Data->IoStatus.Information = 0;
        }
    } finally {
        XcFreeBuffer(FltObjects, p2pCtx);
    }

    return FLT_POSTOP_FINISHED_PROCESSING;
}

FLT_PREOP_CALLBACK_STATUS
XcPreWriteBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                  _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;
    PVOLUME_CONTEXT volCtx = NULL;
    PPRE_2_POST_CONTEXT p2pCtx = NULL;
    PVOID origBuf;
    NTSTATUS status;
    ULONG writeLen = iopb->Parameters.Write.Length;
    if (writeLen == 0 || !FlagOn(IRP_NOCACHE, iopb->IrpFlags)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    status = FltGetVolumeContext(FltObjects->Filter, FltObjects->Volume, &volCtx);
    if (!NT_SUCCESS(status)) {
        goto Failed;
    }

    writeLen = (ULONG)ROUND_TO_SIZE(writeLen, volCtx->SectorSize);

    status = XcNewBuffer(FltObjects, volCtx, FlagOn(Data->Flags, FLTFL_CALLBACK_DATA_IRP_OPERATION), writeLen, &p2pCtx);
    if (!NT_SUCCESS(status)) {
        FltReleaseContext(volCtx);
        goto Failed;
    }

    if (iopb->Parameters.Write.MdlAddress != NULL) {
        origBuf =
            MmGetSystemAddressForMdlSafe(iopb->Parameters.Write.MdlAddress, NormalPagePriority | MdlMappingNoExecute);
        if (origBuf == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
            goto FreeAndFail;
        }
    } else {
        origBuf = iopb->Parameters.Write.WriteBuffer;
    }

    try {
        XcScramble(p2pCtx->SwappedBuffer, origBuf, iopb->Parameters.Write.Length);
    }
    except(EXCEPTION_EXECUTE_HANDLER)
    {
        status = GetExceptionCode();
        goto FreeAndFail;
    }

    iopb->Parameters.Write.WriteBuffer = p2pCtx->SwappedBuffer;
    iopb->Parameters.Write.MdlAddress = p2pCtx->SwappedMdl;
    FltSetCallbackDataDirty(Data);

    *CompletionContext = p2pCtx;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;

FreeAndFail:

    XcFreeUnused(FltObjects, p2pCtx);

Failed:

    Data->IoStatus.Status = status;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

FLT_POSTOP_CALLBACK_STATUS
XcPostWriteBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PVOID CompletionContext,
                   _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Flags);

    XcFreeBuffer(FltObjects, CompletionContext);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
