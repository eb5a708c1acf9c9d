/*
 * Wrong on purpose (UNL-03): unregisters with its communication server port open.
 */

#include <fltkernel.h>

static PFLT_FILTER Filter;
static PFLT_PORT Port;

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
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID Context, ULONG SizeOfContext, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ClientPort);
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(SizeOfContext);
    UNREFERENCED_PARAMETER(Cookie);
    return STATUS_NOT_SUPPORTED;
}

static VOID FLTAPI
Disconnect(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    FltCloseCommunicationPort(Port); /* too late */
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

static NTSTATUS
OpenPort(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\leaves-port-open");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Security;
    NTSTATUS Status = FltBuildDefaultSecurityDescriptor(&Security, FLT_PORT_ALL_ACCESS);

    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Security);
        Status = FltCreateCommunicationPort(Filter, &Port, &Attributes, NULL, Connect, Disconnect, NULL, 1);
        FltFreeSecurityDescriptor(Security);
    }
    return Status;
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = OpenPort();
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
    }
    return Status;
}
