/*
 * workitem.c: parking an operation in a work item of the filter manager.
 *
 * A held operation blocks its worker thread until RELEASE: for the few that a test holds, that is simpler than a list,
 * and the operation comes back in a system worker thread, as it would from any work item.
 */

#include "pending.h"

static VOID FLTAPI
DeferredRoutine(PFLT_DEFERRED_IO_WORKITEM WorkItem, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Data);
    CarryOn(Context, FLTLAB_MECHANISM_DEFERRED);
    FltFreeDeferredIoWorkItem(WorkItem);
}

NTSTATUS
ParkInDeferredWorkItem(PLAB_OPERATION Operation)
{
    PFLT_DEFERRED_IO_WORKITEM WorkItem = FltAllocateDeferredIoWorkItem();
    NTSTATUS Status;

    if (WorkItem == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = FltQueueDeferredIoWorkItem(WorkItem, Operation->Data, DeferredRoutine, DelayedWorkQueue, Operation);
    if (!NT_SUCCESS(Status)) {
        FltFreeDeferredIoWorkItem(WorkItem);
    }
    return Status;
}

static VOID FLTAPI
GenericRoutine(PFLT_GENERIC_WORKITEM WorkItem, PVOID FltObject, PVOID Context)
{
    UNREFERENCED_PARAMETER(FltObject);
    CarryOn(Context, FLTLAB_MECHANISM_GENERIC);
    FltFreeGenericWorkItem(WorkItem);
}

NTSTATUS
ParkInGenericWorkItem(PLAB_OPERATION Operation)
{
    PFLT_GENERIC_WORKITEM WorkItem = FltAllocateGenericWorkItem();
    NTSTATUS Status;

    if (WorkItem == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = FltQueueGenericWorkItem(WorkItem, Operation->Instance, GenericRoutine, DelayedWorkQueue, Operation);
    if (!NT_SUCCESS(Status)) {
        FltFreeGenericWorkItem(WorkItem);
    }
    return Status;
}
