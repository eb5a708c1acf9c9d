/*
 * buffers.c: a read into a buffer of our own, and from there into the requester's.
 */

#include "services.h"

#define SECTOR 4096u /* of the largest kind: file systems round a read at the end of a file up (BUF-03) */

typedef struct _SWAP {
    PVOID Buffer;
    PMDL Mdl;     /* ours; NULL for fast I/O and for system buffers (BUF-01) */
    PVOID Theirs; /* the requester's buffer, in system space */
} SWAP, *PSWAP;

FLT_PREOP_CALLBACK_STATUS
SwapBuffer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *Context)
{
    ULONG Length = Data->Iopb->Parameters.Read.Length;
    ULONG Size = (Length + SECTOR - 1) / SECTOR * SECTOR;
    PSWAP Swap;

    UNREFERENCED_PARAMETER(FltObjects);
    if (!FLT_IS_IRP_OPERATION(Data) || Length == 0 || FLT_IS_SYSTEM_BUFFER(Data) ||
        !NT_SUCCESS(FltLockUserBuffer(Data))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Say("locked: dirty %u, MDL %u\n", FltIsCallbackDataDirty(Data), Data->Iopb->Parameters.Read.MdlAddress != NULL);
    Swap = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Swap), SERVICES_TAG);
    if (Swap == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Swap->Theirs =
        MmGetSystemAddressForMdlSafe(Data->Iopb->Parameters.Read.MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    Swap->Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, Size, SERVICES_TAG);
    Swap->Mdl = Swap->Buffer != NULL ? IoAllocateMdl(Swap->Buffer, Size, FALSE, FALSE, NULL) : NULL;
    if (Swap->Theirs == NULL || Swap->Mdl == NULL) {
        if (Swap->Buffer != NULL) {
            ExFreePoolWithTag(Swap->Buffer, SERVICES_TAG);
        }
        ExFreePoolWithTag(Swap, SERVICES_TAG);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    MmBuildMdlForNonPagedPool(Swap->Mdl);
    Data->Iopb->Parameters.Read.ReadBuffer = Swap->Buffer;
    Data->Iopb->Parameters.Read.MdlAddress = Swap->Mdl;
    FltSetCallbackDataDirty(Data);
    *Context = Swap;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

/* At up to DISPATCH_LEVEL: both buffers are resident. The filter manager frees our MDL afterwards (BUF-02). */
VOID
GiveBuffer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID Context, BOOLEAN Draining)
{
    PSWAP Swap = Context;

    UNREFERENCED_PARAMETER(FltObjects);
    Say("after the read: draining %u, swapped MDL %s, buffer %s\n", Draining,
        FltGetSwappedBufferMdlAddress(Data) == Swap->Mdl ? "ours" : "another",
        Data->Iopb->Parameters.Read.ReadBuffer == Swap->Buffer ? "ours" : "the requester's");
    if (!Draining && NT_SUCCESS(Data->IoStatus.Status)) {
        RtlCopyMemory(Swap->Theirs, Swap->Buffer, Data->IoStatus.Information);
    }
    ExFreePoolWithTag(Swap->Buffer, SERVICES_TAG);
    ExFreePoolWithTag(Swap, SERVICES_TAG);
}
