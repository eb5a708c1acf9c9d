/*
 * black_box.h: the frame of a wrong driver that takes no rules. Its filter is registered for Operations, which the file
 * that includes this defines at its end, and is started at once. BEFORE_UNLOAD, if defined, is called before it goes.
 */

#include <fltkernel.h>

#define WRONG_TAG 'nWlF' /* shown as FlWn */

extern const FLT_OPERATION_REGISTRATION Operations[];

static PFLT_FILTER Filter;

#ifdef BEFORE_UNLOAD
static VOID BEFORE_UNLOAD(VOID);
#endif

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
#ifdef BEFORE_UNLOAD
    BEFORE_UNLOAD();
#endif
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    const FLT_REGISTRATION Registration = {
        .Size = sizeof(FLT_REGISTRATION),
        .Version = FLT_REGISTRATION_VERSION,
        .OperationRegistration = Operations,
        .FilterUnloadCallback = Unload,
    };
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
