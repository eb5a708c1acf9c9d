/*
 * filter.h: what the planted drivers share: a filter, and a communication port or a device if they want one.
 */

#pragma once

#include <fltKernel.h>

#define TAG 'dtnP'

static PFLT_FILTER Filter;
static PFLT_PORT Server;
static PFLT_PORT Client;

static NTSTATUS FLTAPI
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID Context, ULONG Size, PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *ConnectionCookie = NULL;
    Client = ClientPort;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &Client);
}

/* A copy of a message in the kernel's memory, which its sender cannot change meanwhile; NULL if there is none. */
static PVOID
CopyOf(PVOID Buffer, ULONG Length)
{
    PVOID Copy = ExAllocatePoolZero(NonPagedPoolNx, Length, TAG);

    if (Copy != NULL) {
        __try {
            RtlCopyMemory(Copy, Buffer, Length);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            ExFreePoolWithTag(Copy, TAG);
            Copy = NULL;
        }
    }
    return Copy;
}

static NTSTATUS
OpenPort(UNICODE_STRING Name, PFLT_MESSAGE_NOTIFY Message)
{
    PSECURITY_DESCRIPTOR Descriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);

    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &Server, &Attributes, NULL, Connect, Disconnect, Message, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    return Status;
}
