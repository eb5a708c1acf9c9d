/*
 * multiplies_sizes.c: takes a table of entries by a control code of its own. The fault: the size of the table is
 * multiplied in 32 bits, so that many large entries look like few bytes.
 */

#include "../filter.h"

#define FSCTL_SET_TABLE CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 0x8F3, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define TABLE_VERSION 0x0201

typedef struct _TABLE {
    USHORT Version;
    USHORT Reserved;
    ULONG Count;
    ULONG Size;
    UCHAR Entries[1];
} TABLE;

static NTSTATUS
SetTable(const TABLE *Table, ULONG Length)
{
    ULONG Bytes, Entry;
    PUCHAR Copy;

    if (Length < sizeof(TABLE) || Table->Version != TABLE_VERSION || Table->Count == 0 || Table->Size == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    Bytes = Table->Count * Table->Size;
    if (Bytes > Length - FIELD_OFFSET(TABLE, Entries)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    Copy = ExAllocatePoolZero(NonPagedPoolNx, Bytes + 1, TAG);
    if (Copy == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (Entry = 0; Entry < Table->Count; Entry++) {
        Copy[(SIZE_T)Entry * Table->Size] = Table->Entries[0];
    }
    ExFreePoolWithTag(Copy, TAG);
    return STATUS_SUCCESS;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;

    UNREFERENCED_PARAMETER(Objects);
    *CompletionContext = NULL;
    if (Parameters->FileSystemControl.Common.FsControlCode != FSCTL_SET_TABLE) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = SetTable(Parameters->FileSystemControl.Buffered.SystemBuffer,
                                     Parameters->FileSystemControl.Buffered.InputBufferLength);
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, NULL},
                                                        {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
