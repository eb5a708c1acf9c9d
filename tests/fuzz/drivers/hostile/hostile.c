/*
 * hostile.c: the driver around the kinds of wrong.
 */

#include "hostile.h"

PFLT_FILTER Filter;
PDRIVER_OBJECT Driver;

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, PreRead, PostRead}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAMHANDLE_CONTEXT, 0, NULL, 64, TAG, NULL, NULL, NULL},
    {FLT_INSTANCE_CONTEXT, 0, NULL, 64, TAG, NULL, NULL, NULL},
    {FLT_CONTEXT_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Driver = DriverObject;
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
