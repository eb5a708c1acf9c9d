/*
 * Wrong on purpose (BUF-02): puts a buffer of its own in and asks for no postoperation callback to free it in.
 */

#define BEFORE_UNLOAD FreeBuffer
#include "../black_box.h"

static PVOID Buffer; /* of the last read */

static VOID
FreeBuffer(VOID)
{
    if (Buffer != NULL) {
        ExFreePoolWithTag(Buffer, WRONG_TAG);
        Buffer = NULL;
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    ULONG Length = Data->Iopb->Parameters.Read.Length;
    PMDL Mdl;

    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    if (!FLT_IS_IRP_OPERATION(Data) || FLT_IS_SYSTEM_BUFFER(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    FreeBuffer();
    Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, Length, WRONG_TAG);
    Mdl = Buffer != NULL ? IoAllocateMdl(Buffer, Length, FALSE, FALSE, NULL) : NULL;
    if (Mdl != NULL) {
        MmBuildMdlForNonPagedPool(Mdl);
        Data->Iopb->Parameters.Read.ReadBuffer = Buffer;
        Data->Iopb->Parameters.Read.MdlAddress = Mdl;
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
