/*
 * forgets_order.c: a transaction of three kinds of message: begin, add, commit. The fault: an add behind a commit
 * writes into what the commit has freed, as nobody notes that the transaction is over.
 */

#include "../filter.h"

#define BEGIN 0x42474E31
#define ADD 0x41444431
#define COMMIT 0x434F4D31

typedef struct _TRANSACTION {
    ULONG Count;
    ULONG Items[16];
} TRANSACTION;

static TRANSACTION *Transaction;
static BOOLEAN Committed;

static NTSTATUS
Begin(void)
{
    if (Transaction != NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    Transaction = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*Transaction), TAG);
    return Transaction != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS
Add(ULONG Item)
{
    if (Transaction == NULL || Transaction->Count >= RTL_NUMBER_OF(Transaction->Items)) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    Transaction->Items[Transaction->Count++] = Item;
    return STATUS_SUCCESS;
}

static NTSTATUS
Commit(void)
{
    if (Transaction == NULL || Committed || Transaction->Count == 0) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    ExFreePoolWithTag(Transaction, TAG);
    Committed = TRUE;
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
OnMessage(PVOID PortCookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    ULONG *Message;
    NTSTATUS Status = STATUS_INVALID_PARAMETER;

    UNREFERENCED_PARAMETER(PortCookie);
    UNREFERENCED_PARAMETER(Output);
    UNREFERENCED_PARAMETER(OutputLength);
    *Returned = 0;
    if (Input == NULL || InputLength < 2 * sizeof(ULONG)) {
        return STATUS_INVALID_PARAMETER;
    }
    Message = CopyOf(Input, InputLength);
    if (Message == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    switch (Message[0]) {
    case BEGIN:
        Status = Begin();
        break;
    case ADD:
        Status = Add(Message[1]);
        break;
    case COMMIT:
        Status = Commit();
        break;
    default:
        break;
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
    if (Transaction != NULL && !Committed) {
        ExFreePoolWithTag(Transaction, TAG);
    }
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
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\ForgetsOrder");
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = OpenPort(Name, OnMessage);
        if (NT_SUCCESS(Status)) {
            return FltStartFiltering(Filter);
        }
        FltUnregisterFilter(Filter);
    }
    return Status;
}
