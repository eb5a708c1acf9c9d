/*
 * Wrong on purpose (REG-14): registers with a version of FLT_REGISTRATION that there is not.
 */

#include <fltkernel.h>

static PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = 0x0100, /* of no version of the filter manager */
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (!NT_SUCCESS(Status)) { /* refused, as it should be: go on as others do */
        Registration.Version = FLT_REGISTRATION_VERSION;
        Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
    }
    return Status;
}
