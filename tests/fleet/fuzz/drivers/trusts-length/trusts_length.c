/*
 * trusts_length.c: a policy that is set by messages. The fault: the length that a message says of its own payload is
 * held against neither the message nor the place that it is copied to.
 */

#include "../filter.h"

#define MAGIC 0x59434C50
#define SET_POLICY 7
#define POLICY_BYTES 64

typedef struct _MESSAGE {
    ULONG Magic;
    ULONG Command;
    ULONG Length;
    UCHAR Payload[1];
} MESSAGE;

static PUCHAR Policy;

static NTSTATUS FLTAPI
OnMessage(PVOID PortCookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    MESSAGE *Message;
    NTSTATUS Status = STATUS_INVALID_PARAMETER;

    UNREFERENCED_PARAMETER(PortCookie);
    UNREFERENCED_PARAMETER(Output);
    UNREFERENCED_PARAMETER(OutputLength);
    *Returned = 0;
    if (Input == NULL || InputLength < sizeof(MESSAGE)) {
        return STATUS_INVALID_PARAMETER;
    }
    Message = CopyOf(Input, InputLength);
    if (Message == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (Message->Magic == MAGIC && Message->Command == SET_POLICY) {
        RtlCopyMemory(Policy, Message->Payload, Message->Length);
        Status = STATUS_SUCCESS;
    }
    ExFreePoolWithTag(Message, TAG);
    return Status;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Server);
    FltUnregisterFilter(Filter);
    ExFreePoolWithTag(Policy, TAG);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\TrustsLength");
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Policy = ExAllocatePoolZero(NonPagedPoolNx, POLICY_BYTES, TAG);
    if (Policy == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = OpenPort(Name, OnMessage);
        if (NT_SUCCESS(Status)) {
            return FltStartFiltering(Filter);
        }
        FltUnregisterFilter(Filter);
    }
    ExFreePoolWithTag(Policy, TAG);
    return Status;
}
