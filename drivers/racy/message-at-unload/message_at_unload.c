/*
 * message_at_unload.c: counts the messages of its service.
 *
 * The race: the unload has closed the port and frees the table, and a message that came before still counts in it.
 * Mended: the table is freed when the filter is unregistered, which waits for the callbacks of its connections.
 */

#include "racy.h"

static PFLT_PORT ServerPort, ClientPort;
static PULONG Table;

static NTSTATUS FLTAPI
Connect(PFLT_PORT Port, PVOID ServerPortCookie, PVOID Context, ULONG SizeOfContext, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(SizeOfContext);
    *Cookie = NULL;
    ClientPort = Port;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
    FltCloseClientPort(Filter, &ClientPort);
}

static NTSTATUS FLTAPI
Message(PVOID Cookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    PULONG Counts = Table;

    UNREFERENCED_PARAMETER(Cookie);
    UNREFERENCED_PARAMETER(Input);
    UNREFERENCED_PARAMETER(Output);
    UNREFERENCED_PARAMETER(OutputLength);
    *Returned = 0;
    if (Counts != NULL) {
        InterlockedIncrement((LONG *)&Counts[InputLength % 16]);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS
Start(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\racy");
    OBJECT_ATTRIBUTES Attributes;
    PSECURITY_DESCRIPTOR Security;
    NTSTATUS Status = FltBuildDefaultSecurityDescriptor(&Security, FLT_PORT_ALL_ACCESS);

    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Security);
        Status = FltCreateCommunicationPort(Filter, &ServerPort, &Attributes, NULL, Connect, Disconnect, Message, 1);
        FltFreeSecurityDescriptor(Security);
    }
    Table = ExAllocatePoolWithTag(NonPagedPoolNx, 16 * sizeof(ULONG), RACY_TAG);
    if (Table != NULL) {
        RtlZeroMemory(Table, 16 * sizeof(ULONG));
    }
    return Status;
}

static VOID
FreeTable(VOID)
{
    PULONG Counts = Table;

    Table = NULL;
    if (Counts != NULL) {
        ExFreePoolWithTag(Counts, RACY_TAG);
    }
}

static VOID
BeforeUnregister(VOID)
{
    FltCloseCommunicationPort(ServerPort);
#ifndef MENDED
    FreeTable();
#endif
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{.MajorFunction = IRP_MJ_OPERATION_END}};

const RACY_DRIVER Racy = {
    .Operations = Operations, .Start = Start, .BeforeUnregister = BeforeUnregister, .AfterUnregister = FreeTable};
