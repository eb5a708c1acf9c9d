/* eatag.c: provenance. A new file gets the extended attribute ORIGIN: process id, create time. FltSetEaFile and
 * FltQueryEaFile below; a program's IRP_MJ_SET_EA that names ORIGIN is refused. */

#include <fltKernel.h>

#define NAME "ORIGIN"

typedef struct _ORIGIN {
    ULONG Process;
    ULONG Version;
    LARGE_INTEGER When;
} ORIGIN;

static PFLT_FILTER gFilter;

static NTSTATUS
Mark(PCFLT_RELATED_OBJECTS FltObjects, PFLT_CALLBACK_DATA Data)
{
    UCHAR buffer[FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + sizeof(NAME) + sizeof(ORIGIN)];
    PFILE_FULL_EA_INFORMATION ea = (PFILE_FULL_EA_INFORMATION)buffer;
    ORIGIN origin = {FltGetRequestorProcessId(Data), 1};

    KeQuerySystemTime(&origin.When);
    RtlZeroMemory(buffer, sizeof(buffer));
    ea->EaNameLength = sizeof(NAME) - 1;
    ea->EaValueLength = sizeof(ORIGIN);
    RtlCopyMemory(ea->EaName, NAME, sizeof(NAME));
    RtlCopyMemory(ea->EaName + sizeof(NAME), &origin, sizeof(origin));
    return FltSetEaFile(FltObjects->Instance, FltObjects->FileObject, ea, sizeof(buffer));
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        Data->IoStatus.Information != FILE_CREATED) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    status = Mark(FltObjects, Data);
    if (!NT_SUCCESS(status)) {
        DbgPrint("eatag: %wZ is not marked, 0x%08x\n", &FltObjects->FileObject->FileName, status);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreSetEa(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *Context)
{
    ULONG length = Data->Iopb->Parameters.SetEa.Length, at = 0;
    static const ANSI_STRING own = RTL_CONSTANT_STRING(NAME);
    PUCHAR buffer;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Context);
    if (Data->Iopb->Parameters.SetEa.MdlAddress != NULL) {
        buffer = MmGetSystemAddressForMdlSafe(Data->Iopb->Parameters.SetEa.MdlAddress, NormalPagePriority);
        if (buffer == NULL) {
            Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
            return FLT_PREOP_COMPLETE;
        }
    } else {
        buffer = Data->Iopb->Parameters.SetEa.EaBuffer;
    }
    __try {
        while (at + FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) < length) {
            PFILE_FULL_EA_INFORMATION ea = (PFILE_FULL_EA_INFORMATION)(buffer + at);
            STRING name = {ea->EaNameLength, ea->EaNameLength, ea->EaName};

            if (RtlEqualString(&name, (PSTRING)&own, TRUE)) {
                Data->IoStatus.Status = STATUS_ACCESS_DENIED;
                Data->IoStatus.Information = 0;
                return FLT_PREOP_COMPLETE;
            }
            if (ea->NextEntryOffset == 0) {
                break;
            }
            at += ea->NextEntryOffset;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Data->IoStatus.Status = GetExceptionCode();
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_CREATE, 0, NULL, PostCreate}, {IRP_MJ_SET_EA, 0, PreSetEa, NULL}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {.Size = sizeof(FLT_REGISTRATION),
                                               .Version = FLT_REGISTRATION_VERSION,
                                               .OperationRegistration = gOperations,
                                               .FilterUnloadCallback = Unload,
                                               .InstanceQueryTeardownCallback = QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltStartFiltering(gFilter);
    if (!NT_SUCCESS(status)) {
        FltUnregisterFilter(gFilter);
    }
    return status;
}
