/*
 * Wrong on purpose (BUF-03): puts a buffer in that is shorter than the sectors of the read.
 */

#include "../black_box.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    ULONG Length = Data->Iopb->Parameters.Read.Length / 4; /* the file has no more, it thinks */
    PVOID Buffer;
    PMDL Mdl;

    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    if (!FLT_IS_IRP_OPERATION(Data) || FLT_IS_SYSTEM_BUFFER(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, Length, WRONG_TAG);
    if (Buffer == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Mdl = IoAllocateMdl(Buffer, Length, FALSE, FALSE, NULL);
    if (Mdl == NULL) {
        ExFreePoolWithTag(Buffer, WRONG_TAG);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    MmBuildMdlForNonPagedPool(Mdl);
    Data->Iopb->Parameters.Read.ReadBuffer = Buffer;
    Data->Iopb->Parameters.Read.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    *CompletionContext = Buffer;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    ExFreePoolWithTag(CompletionContext, WRONG_TAG);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead, .PostOperation = PostRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
