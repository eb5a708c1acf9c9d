/*
 * fsctls.c - an FSCTL filter.
 *
 *   FSCTL_SET_SPARSE, FSCTL_SET_COMPRESSION, FSCTL_SET_ZERO_DATA   refused
 *   FSCTL_GET_REPARSE_POINT                                        passed, and counted
 *   FSCTL_GET_NTFS_VOLUME_DATA                                     the serial number in the answer is ours
 *   CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 3000, METHOD_BUFFERED, ...)  our own: what has been counted
 */

#include <fltKernel.h>

#define FSCTL_COUNTS CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 3000, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_COUNTS_NEITHER CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 3000, METHOD_NEITHER, FILE_ANY_ACCESS)

typedef struct _COUNTS {
    ULONG Refused;
    ULONG Passed;
} COUNTS;

static PFLT_FILTER gFilter;
static COUNTS gCounts;

static FLT_PREOP_CALLBACK_STATUS
Complete(PFLT_CALLBACK_DATA Data, NTSTATUS Status, ULONG_PTR Information)
{
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = Information;
    return FLT_PREOP_COMPLETE;
}

static FLT_PREOP_CALLBACK_STATUS
AnswerNeither(PFLT_CALLBACK_DATA Data)
{
    PFLT_PARAMETERS p = &Data->Iopb->Parameters;

    if (p->FileSystemControl.Neither.OutputBufferLength < sizeof(COUNTS)) {
        return Complete(Data, STATUS_BUFFER_TOO_SMALL, 0);
    }
    __try {
        if (Data->RequestorMode != KernelMode) {
            ProbeForWrite(p->FileSystemControl.Neither.OutputBuffer, sizeof(COUNTS), sizeof(UCHAR));
        }
        RtlCopyMemory(p->FileSystemControl.Neither.OutputBuffer, &gCounts, sizeof(COUNTS));
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return Complete(Data, GetExceptionCode(), 0);
    }
    return Complete(Data, STATUS_SUCCESS, sizeof(COUNTS));
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreFsControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_PARAMETERS p = &Data->Iopb->Parameters;

    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    if (Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST && Data->Iopb->MinorFunction != IRP_MN_KERNEL_CALL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    switch (p->FileSystemControl.Common.FsControlCode) {
    case FSCTL_SET_SPARSE:
    case FSCTL_SET_COMPRESSION:
    case FSCTL_SET_ZERO_DATA:
        InterlockedIncrement((volatile LONG *)&gCounts.Refused);
        return Complete(Data, STATUS_INVALID_DEVICE_REQUEST, 0);
    case FSCTL_COUNTS:
        if (p->FileSystemControl.Buffered.OutputBufferLength < sizeof(COUNTS)) {
            return Complete(Data, STATUS_BUFFER_TOO_SMALL, 0);
        }
        *(COUNTS *)p->FileSystemControl.Buffered.SystemBuffer = gCounts;
        return Complete(Data, STATUS_SUCCESS, sizeof(COUNTS));
    case FSCTL_COUNTS_NEITHER:
        return AnswerNeither(Data);
    case FSCTL_GET_REPARSE_POINT:
        InterlockedIncrement((volatile LONG *)&gCounts.Passed);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    case FSCTL_GET_NTFS_VOLUME_DATA:
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    default:
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostFsControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
              FLT_POST_OPERATION_FLAGS Flags)
{
    PNTFS_VOLUME_DATA_BUFFER Volume = Data->Iopb->Parameters.FileSystemControl.Buffered.SystemBuffer;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status) &&
        Data->IoStatus.Information >= RTL_SIZEOF_THROUGH_FIELD(NTFS_VOLUME_DATA_BUFFER, VolumeSerialNumber)) {
        Volume->VolumeSerialNumber.QuadPart = 0x1122334455667788;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
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
    {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreFsControl, PostFsControl}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {.Size = sizeof(FLT_REGISTRATION),
                                               .Version = FLT_REGISTRATION_VERSION,
                                               .OperationRegistration = gOperations,
                                               .FilterUnloadCallback = Unload,
                                               .InstanceQueryTeardownCallback = QueryTeardown};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    return Status;
}
