/*
 * swap.c: a buffer of our own in the requester's place, from the preoperation to the postoperation callback.
 *
 * What it takes depends on how the operation comes (BUF-01): a system buffer is in reach everywhere and has no MDL; of
 * an IRP with a buffer of the requester's both get an MDL, theirs so that it can be reached at any IRQL, ours for the
 * file system, and that one the filter manager frees (BUF-02); fast I/O stays in the requester's thread, without MDLs.
 */

#include "common.h"

#define SECTOR 4096u /* of the largest kind: file systems round what they read at the end of a file up (BUF-03) */

typedef struct _LAB_SWAP {
    PVOID Ours;
    PVOID Theirs;
    ULONG Length;
    BOOLEAN Filled; /* by the file system: what it leaves there is the requester's */
} LAB_SWAP;

static BOOLEAN
TryCopy(PVOID To, const VOID *From, SIZE_T Length)
{
    __try {
        RtlCopyMemory(To, From, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return FALSE;
    }
    return TRUE;
}

/* Of a control code there are two buffers, and of a create none that file systems fill. */
static BOOLEAN
HasOneBuffer(UCHAR Major)
{
    return Major != IRP_MJ_CREATE && Major != IRP_MJ_FILE_SYSTEM_CONTROL && Major != IRP_MJ_DEVICE_CONTROL;
}

static PVOID
TheirBuffer(PFLT_CALLBACK_DATA Data, PMDL *Mdl, PVOID *Buffer)
{
    if (FLT_IS_SYSTEM_BUFFER(Data) || !FLT_IS_IRP_OPERATION(Data)) {
        return *Buffer;
    }
    if (Mdl == NULL || !NT_SUCCESS(FltLockUserBuffer(Data)) || *Mdl == NULL) {
        return NULL;
    }
    return MmGetSystemAddressForMdlSafe(*Mdl, NormalPagePriority | MdlMappingNoExecute);
}

/* NULL if there is no buffer, or no memory for another: then the operation has its own. Up to APC_LEVEL. */
LAB_SWAP *
LabSwapBuffer(PFLT_CALLBACK_DATA Data)
{
    BOOLEAN NeedsMdl = FLT_IS_IRP_OPERATION(Data) && !FLT_IS_SYSTEM_BUFFER(Data);
    LOCK_OPERATION Access = IoReadAccess;
    ULONG *Length = NULL;
    PVOID *Buffer = NULL;
    PMDL *Mdl = NULL, OurMdl = NULL;
    LAB_SWAP *Swap;
    ULONG Size;

    if (KeGetCurrentIrql() > APC_LEVEL || !HasOneBuffer(Data->Iopb->MajorFunction) ||
        !NT_SUCCESS(FltDecodeParameters(Data, &Mdl, &Buffer, &Length, &Access)) || Buffer == NULL || *Buffer == NULL ||
        Length == NULL || *Length == 0) {
        return NULL;
    }
    Size = (*Length + SECTOR - 1) / SECTOR * SECTOR;
    Swap = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Swap), LAB_TAG_BUFFER);
    if (Swap == NULL) {
        return NULL;
    }
    Swap->Length = *Length;
    Swap->Filled = (BOOLEAN)(Access != IoReadAccess);
    Swap->Theirs = TheirBuffer(Data, Mdl, Buffer);
    Swap->Ours = ExAllocatePoolWithTag(NonPagedPoolNx, Size, LAB_TAG_BUFFER);
    if (Swap->Ours != NULL && NeedsMdl) {
        OurMdl = IoAllocateMdl(Swap->Ours, Size, FALSE, FALSE, NULL);
    }
    if (Swap->Theirs == NULL || Swap->Ours == NULL || (NeedsMdl && OurMdl == NULL) ||
        !TryCopy(Swap->Ours, Swap->Theirs, *Length)) {
        if (OurMdl != NULL) {
            IoFreeMdl(OurMdl);
        }
        if (Swap->Ours != NULL) {
            ExFreePoolWithTag(Swap->Ours, LAB_TAG_BUFFER);
        }
        ExFreePoolWithTag(Swap, LAB_TAG_BUFFER);
        return NULL;
    }
    *Buffer = Swap->Ours;
    if (OurMdl != NULL) {
        MmBuildMdlForNonPagedPool(OurMdl);
        *Mdl = OurMdl;
    }
    FltSetCallbackDataDirty(Data);
    return Swap;
}

/* In the postoperation callback, which has the parameters as they came. Up to DISPATCH_LEVEL of an IRP. */
VOID
LabGiveBuffer(PFLT_CALLBACK_DATA Data, LAB_SWAP *Swap)
{
    SIZE_T Filled = Data->IoStatus.Information < Swap->Length ? Data->IoStatus.Information : Swap->Length;

    if (Swap->Filled && !NT_ERROR(Data->IoStatus.Status)) {
        TryCopy(Swap->Theirs, Swap->Ours, Filled);
    }
    ExFreePoolWithTag(Swap->Ours, LAB_TAG_BUFFER);
    ExFreePoolWithTag(Swap, LAB_TAG_BUFFER);
}
