/*
 * hostile.c: the driver around the kinds of wrong.
 */

#include "hostile.h"

PFLT_FILTER Filter;
PFLT_PORT Client;
static PFLT_PORT Port;
PDRIVER_OBJECT Driver;

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, PreRead, PostRead}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Connected(PFLT_PORT ClientPort, PVOID Cookie, PVOID Context, ULONG Size, PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(Cookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    Client = ClientPort;
    *ConnectionCookie = NULL;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnected(PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &Client);
}

static NTSTATUS FLTAPI
Message(PVOID Cookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    PVOID Block = ExAllocatePoolWithTag(PagedPool, 64, TAG);

    UNREFERENCED_PARAMETER(Cookie);
    UNREFERENCED_PARAMETER(Input);
    UNREFERENCED_PARAMETER(InputLength);
    *Returned = OutputLength < 64 ? OutputLength : 64;
    RtlCopyMemory(Output, Block, *Returned);
    ExFreePoolWithTag(Block, TAG);
    return STATUS_SUCCESS;
}

/* Of a port only, whoever connects: kinds that have to do with user mode. */
static NTSTATUS
Listen(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\hostile");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Descriptor;
    NTSTATUS Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);

    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &Port, &Attributes, NULL, Connected, Disconnected, Message, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    return Status;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Port);
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
        Status = Listen();
        if (NT_SUCCESS(Status)) {
            Status = FltStartFiltering(Filter);
        }
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
