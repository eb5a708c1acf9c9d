/*
 * entry.c: DriverEntry and unload of every test minifilter.
 */

#include "common.h"

LAB_GLOBALS Lab;

DRIVER_INITIALIZE DriverEntry;

static VOID KeepServiceName(PCUNICODE_STRING RegistryPath);
static NTSTATUS Register(PDRIVER_OBJECT DriverObject);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(INIT, KeepServiceName)
#pragma alloc_text(INIT, Register)
#endif

/*
 * The server port goes first (UNL-03). FltUnregisterFilter detaches the instances and waits for their operations, so
 * nothing of ours runs after it.
 */
static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    BOOLEAN Refuse = FlagOn(LabConfiguration.Options, LAB_OPTION_REFUSE_UNLOAD) != 0;

    LabRecordLifecycle(FLTLAB_PHASE_UNLOAD, NULL, Refuse ? STATUS_FLT_DO_NOT_DETACH : STATUS_SUCCESS, Flags);
    if (Refuse && !FlagOn(Flags, FLTFL_FILTER_UNLOAD_MANDATORY)) {
        return STATUS_FLT_DO_NOT_DETACH;
    }
    LabClosePort();
    LabClearRules();
    FltUnregisterFilter(Lab.Filter);
    LabStopPrints(); /* a client that is still connected may have been taking prints until now */
    if (FltLabDriver.Stop != NULL) {
        FltLabDriver.Stop();
    }
    LabDeleteOperations();
    LabDeleteRing();
    return STATUS_SUCCESS;
}

/* The last component of the registry path; it names the control port. */
static VOID
KeepServiceName(PCUNICODE_STRING RegistryPath)
{
    USHORT Start = RegistryPath->Length / sizeof(WCHAR);
    UNICODE_STRING Name;

    while (Start > 0 && RegistryPath->Buffer[Start - 1] != L'\\') {
        Start--;
    }
    Name.Buffer = &RegistryPath->Buffer[Start];
    Name.Length = RegistryPath->Length - Start * sizeof(WCHAR);
    Name.MaximumLength = Name.Length;
    Lab.ServiceName.Buffer = Lab.ServiceNameBuffer;
    Lab.ServiceName.MaximumLength = sizeof(Lab.ServiceNameBuffer);
    RtlCopyUnicodeString(&Lab.ServiceName, &Name);
}

static NTSTATUS
Register(PDRIVER_OBJECT DriverObject)
{
    ULONG Options = LabConfiguration.Options;
    FLT_REGISTRATION Registration;

    RtlZeroMemory(&Registration, sizeof(Registration));
    Registration.Size = sizeof(Registration);
    Registration.Version = FLT_REGISTRATION_VERSION;
    if (FlagOn(Options, LAB_OPTION_DO_NOT_SUPPORT_SERVICE_STOP)) {
        Registration.Flags = FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP;
    }
    Registration.ContextRegistration = LabConfiguration.Contexts;
    Registration.OperationRegistration = LabConfiguration.Operations;
    Registration.FilterUnloadCallback = FlagOn(Options, LAB_OPTION_NO_UNLOAD) ? NULL : Unload;
    Registration.InstanceSetupCallback = LabInstanceSetup;
    Registration.InstanceQueryTeardownCallback =
        FlagOn(Options, LAB_OPTION_NO_QUERY_TEARDOWN) ? NULL : LabInstanceQueryTeardown;
    Registration.InstanceTeardownStartCallback = LabInstanceTeardownStart;
    Registration.InstanceTeardownCompleteCallback = LabInstanceTeardownComplete;
    return FltRegisterFilter(DriverObject, &Registration, &Lab.Filter);
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    KeepServiceName(RegistryPath);
    LabInitializeNames();
    LabInitializeRules();
    LabInitializeOperations();
    LabInitializeInstances();

    Status = LabReadConfiguration(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = LabCreateRing(LabConfiguration.EventCapacity);
    }
    if (NT_SUCCESS(Status)) {
        LabStartPrints();
        Status = Register(DriverObject);
    }
    if (NT_SUCCESS(Status)) {
        Status = LabOpenPort();
        if (NT_SUCCESS(Status)) {
            Status = FltStartFiltering(Lab.Filter);
        }
        if (!NT_SUCCESS(Status)) { /* the unload callback will not be called (REG-16) */
            LabClosePort();
            FltUnregisterFilter(Lab.Filter);
            if (FltLabDriver.Stop != NULL) { /* a client may have been quick */
                FltLabDriver.Stop();
            }
        }
    }
    if (!NT_SUCCESS(Status)) {
        LabStopPrints();
        LabDeleteRing();
    }
    return Status;
}
