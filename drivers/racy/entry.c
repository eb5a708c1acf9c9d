/*
 * entry.c: what the racy drivers have in common, as every minifilter has it: registration, and an unload that lets
 * the driver end what it has begun before and after its filter is unregistered.
 */

#include "racy.h"

PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    if (Racy.BeforeUnregister != NULL) {
        Racy.BeforeUnregister();
    }
    FltUnregisterFilter(Filter);
    if (Racy.AfterUnregister != NULL) {
        Racy.AfterUnregister();
    }
    return STATUS_SUCCESS;
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    const FLT_REGISTRATION Registration = {
        .Size = sizeof(FLT_REGISTRATION),
        .Version = FLT_REGISTRATION_VERSION,
        .ContextRegistration = Racy.Contexts,
        .OperationRegistration = Racy.Operations,
        .FilterUnloadCallback = Unload,
        .InstanceTeardownStartCallback = Racy.TeardownStart,
        .InstanceTeardownCompleteCallback = Racy.TeardownComplete,
    };
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status) && Racy.Start != NULL) {
        Status = Racy.Start();
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
    }
    return Status;
}
