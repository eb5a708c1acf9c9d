/*
 * eventlog.c: deletes and renames are events of an ETW provider; those who listen decide what is told. Errors go to the
 * system's event log (IoAllocateErrorLogEntry). vDbgPrintExWithPrefix is the way of old code.
 */

#include <fltKernel.h>
#include <evntprov.h>
#include <stdarg.h>
#include "trace.h"

/* {b9d6b7f4-3f4c-4e0c-8f39-27e7d6a3a0c5} */
static const GUID Provider = {0xb9d6b7f4, 0x3f4c, 0x4e0c, {0x8f, 0x39, 0x27, 0xe7, 0xd6, 0xa3, 0xa0, 0xc5}};
static const EVENT_DESCRIPTOR Deleted = {.Id = 1, .Version = 0, .Channel = 0, .Level = 4, .Opcode = 0, .Task = 1, .Keyword = 0x1};
static const EVENT_DESCRIPTOR Renamed = {.Id = 2, .Version = 0, .Channel = 0, .Level = 4, .Opcode = 0, .Task = 1, .Keyword = 0x2};

static PFLT_FILTER gFilter;
static PDRIVER_OBJECT gDriver;
static REGHANDLE gProvider;
static volatile LONG gEnabled, gWritten;

static VOID NTAPI
Enable(LPCGUID SourceId, ULONG IsEnabled, UCHAR Level, ULONGLONG MatchAny, ULONGLONG MatchAll, PEVENT_FILTER_DESCRIPTOR Filter,
       PVOID Context)
{
    UNREFERENCED_PARAMETER(SourceId);
    UNREFERENCED_PARAMETER(Level);
    UNREFERENCED_PARAMETER(MatchAny);
    UNREFERENCED_PARAMETER(MatchAll);
    UNREFERENCED_PARAMETER(Filter);
    UNREFERENCED_PARAMETER(Context);
    InterlockedExchange(&gEnabled, IsEnabled != 0);
}

static VOID
Say(ULONG Level, PCSTR Format, ...)
{
    va_list arguments;

    va_start(arguments, Format);
    vDbgPrintExWithPrefix("eventlog: ", DPFLTR_IHVDRIVER_ID, Level, Format, arguments);
    va_end(arguments);
}

static VOID
LogError(NTSTATUS Status)
{
    PIO_ERROR_LOG_PACKET packet = IoAllocateErrorLogEntry(gDriver, sizeof(IO_ERROR_LOG_PACKET) + sizeof(ULONG));

    if (packet == NULL) {
        return;
    }
    RtlZeroMemory(packet, sizeof(*packet));
    packet->ErrorCode = Status;
    packet->FinalStatus = Status;
    packet->DumpDataSize = sizeof(ULONG);
    packet->DumpData[0] = (ULONG)gWritten;
    IoWriteErrorLogEntry(packet);
}

static VOID
Write(const EVENT_DESCRIPTOR *Event, PCUNICODE_STRING Name)
{
    EVENT_DATA_DESCRIPTOR data[2];
    USHORT length = Name->Length;

    EventDataDescCreate(&data[0], &length, sizeof(length));
    EventDataDescCreate(&data[1], Name->Buffer, Name->Length);
    if (EtwEventEnabled(gProvider, Event) || !gEnabled) {
        EtwWrite(gProvider, Event, NULL, ARRAYSIZE(data), data);
    }
    InterlockedIncrement(&gWritten);
    TRACE(DPFLTR_ERROR_LEVEL, "event %u of %wZ\n", Event->Id, Name);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    FILE_INFORMATION_CLASS class = Data->Iopb->Parameters.SetFileInformation.FileInformationClass;
    PFLT_FILE_NAME_INFORMATION name;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (class != FileDispositionInformation && class != FileDispositionInformationEx && class != FileRenameInformation &&
        class != FileRenameInformationEx) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    status = FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name);
    if (!NT_SUCCESS(status)) {
        LogError(status);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(name))) {
        Write(class == FileRenameInformation || class == FileRenameInformationEx ? &Renamed : &Deleted,
              &name->FinalComponent);
    }
    FltReleaseFileNameInformation(name);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    EtwUnregister(gProvider);
    Say(DPFLTR_ERROR_LEVEL, "%ld events\n", gWritten);
    WPP_CLEANUP(gDriver);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {{IRP_MJ_SET_INFORMATION, 0, PreSetInformation, NULL},
                                                         {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {.Size = sizeof(FLT_REGISTRATION),
                                               .Version = FLT_REGISTRATION_VERSION,
                                               .OperationRegistration = gOperations,
                                               .FilterUnloadCallback = Unload,
                                               .InstanceQueryTeardownCallback = QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    WPP_INIT_TRACING(DriverObject, RegistryPath);
    gDriver = DriverObject;
    status = EtwRegister(&Provider, Enable, NULL, &gProvider);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    if (!NT_SUCCESS(status)) {
        EtwUnregister(gProvider);
    }
    KdPrintEx((DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "eventlog: starts, 0x%08x\n", status));
    return status;
}
