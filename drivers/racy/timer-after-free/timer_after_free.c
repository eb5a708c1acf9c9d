/*
 * timer_after_free.c: a stream handle that is written to gets a timer, which notes when it was idle for 2 ms.
 *
 * The race: the cleanup cancels the timer, finds that it has expired already, and lets the context go under the DPC.
 * Mended: the DPC holds a reference, which goes with it or with the timer that was canceled in time.
 */

#include "racy.h"

typedef struct _IDLE_WATCH {
    KTIMER Timer;
    KDPC Dpc;
    LONG References;
    ULONG Expired;
} IDLE_WATCH, *PIDLE_WATCH;

typedef struct _HANDLE_CONTEXT {
    PIDLE_WATCH Watch;
} HANDLE_CONTEXT, *PHANDLE_CONTEXT;

static VOID
Release(PIDLE_WATCH Watch)
{
    if (InterlockedDecrement(&Watch->References) == 0) {
        ExFreePoolWithTag(Watch, RACY_TAG);
    }
}

static VOID
IdleDpc(PKDPC Dpc, PVOID Context, PVOID First, PVOID Second)
{
    PIDLE_WATCH Watch = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(First);
    UNREFERENCED_PARAMETER(Second);
    Watch->Expired++;
#ifdef MENDED
    Release(Watch);
#endif
}

static PIDLE_WATCH
MakeWatch(VOID)
{
    PIDLE_WATCH Watch = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Watch), RACY_TAG);
    LARGE_INTEGER Due = {.QuadPart = -20000};

    if (Watch != NULL) {
        RtlZeroMemory(Watch, sizeof(*Watch));
        KeInitializeTimer(&Watch->Timer);
        KeInitializeDpc(&Watch->Dpc, IdleDpc, Watch);
#ifdef MENDED
        Watch->References = 2;
#else
        Watch->References = 1;
#endif
        KeSetTimer(&Watch->Timer, Due, &Watch->Dpc);
    }
    return Watch;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PHANDLE_CONTEXT Context;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsOrdinaryIrp(Data) && NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(*Context),
                                                             NonPagedPool, (PFLT_CONTEXT *)&Context))) {
        Context->Watch = NULL;
        if (NT_SUCCESS(FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject,
                                                 FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL))) {
            Context->Watch = MakeWatch();
        }
        FltReleaseContext(Context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PHANDLE_CONTEXT Context;
    PIDLE_WATCH Watch;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, (PFLT_CONTEXT *)&Context))) {
        Watch = InterlockedExchangePointer((PVOID volatile *)&Context->Watch, NULL);
        if (Watch != NULL) {
#ifdef MENDED
            if (KeCancelTimer(&Watch->Timer)) {
                Release(Watch);
            }
#else
            KeCancelTimer(&Watch->Timer);
#endif
            Release(Watch);
        }
        FltReleaseContext(Context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreWrite},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreCleanup},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {.ContextType = FLT_STREAMHANDLE_CONTEXT, .Size = sizeof(HANDLE_CONTEXT), .PoolTag = RACY_TAG},
    {.ContextType = FLT_CONTEXT_END},
};

const RACY_DRIVER Racy = {.Operations = Operations, .Contexts = Contexts};
