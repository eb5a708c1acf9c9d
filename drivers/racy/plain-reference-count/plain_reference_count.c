/*
 * plain_reference_count.c: all writes in flight share a block, made for the first and freed with the last of them.
 *
 * The race: the count is changed by `++` and `--`, so that a reference is lost or counted twice, and the block is freed
 * under the one who still has it, or never. Mended: under a lock.
 */

#include "racy.h"

typedef struct _SHARED {
    ULONG References;
    ULONG64 Bytes;
} SHARED, *PSHARED;

static PSHARED Shared;
static KSPIN_LOCK Lock;

static PSHARED
Reference(VOID)
{
    PSHARED Found;
#ifdef MENDED
    KIRQL Irql;

    KeAcquireSpinLock(&Lock, &Irql);
#endif
    Found = Shared;
    if (Found == NULL) {
        Found = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Found), RACY_TAG);
        if (Found != NULL) {
            Found->References = 0;
            Found->Bytes = 0;
            Shared = Found;
        }
    }
    if (Found != NULL) {
        Found->References++;
    }
#ifdef MENDED
    KeReleaseSpinLock(&Lock, Irql);
#endif
    return Found;
}

static VOID
Dereference(PSHARED Block)
{
    BOOLEAN Last;
#ifdef MENDED
    KIRQL Irql;

    KeAcquireSpinLock(&Lock, &Irql);
#endif
    Last = (BOOLEAN)(--Block->References == 0);
    if (Last) {
        Shared = NULL;
    }
#ifdef MENDED
    KeReleaseSpinLock(&Lock, Irql);
#endif
    if (Last) {
        ExFreePoolWithTag(Block, RACY_TAG);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PSHARED Block;

    UNREFERENCED_PARAMETER(FltObjects);
    if (!IsOrdinaryIrp(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Block = Reference();
    if (Block == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    InterlockedAdd64((LONG64 *)&Block->Bytes, Data->Iopb->Parameters.Write.Length);
    *CompletionContext = Block;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
          FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    Dereference(CompletionContext);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS
Start(VOID)
{
    KeInitializeSpinLock(&Lock);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite, .PostOperation = PostWrite},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Start = Start};
