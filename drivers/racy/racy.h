/*
 * racy.h: small minifilters with one race each, as the field writes them, and the same without it (MENDED).
 */

#pragma once

#include <fltkernel.h>

#define RACY_TAG 'ycaR'

typedef struct _RACY_DRIVER {
    const FLT_OPERATION_REGISTRATION *Operations;
    const FLT_CONTEXT_REGISTRATION *Contexts; /* may be NULL, as all that follows */
    NTSTATUS (*Start)(VOID);
    VOID (*BeforeUnregister)(VOID);
    VOID (*AfterUnregister)(VOID);
    PFLT_INSTANCE_TEARDOWN_CALLBACK TeardownStart;
    PFLT_INSTANCE_TEARDOWN_CALLBACK TeardownComplete;
} RACY_DRIVER;

extern const RACY_DRIVER Racy;
extern PFLT_FILTER Filter;

/* Whether the buffer of a program can be touched in another process from now on. */
FORCEINLINE BOOLEAN
CanBeHeld(PFLT_CALLBACK_DATA Data)
{
    return (BOOLEAN)NT_SUCCESS(FltLockUserBuffer(Data));
}

/* Whether an operation is a program's own: an IRP that is no paging I/O. */
FORCEINLINE BOOLEAN
IsOrdinaryIrp(PFLT_CALLBACK_DATA Data)
{
    return (BOOLEAN)(FLT_IS_IRP_OPERATION(Data) && !FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO));
}
