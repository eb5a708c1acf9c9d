/*
 * hsm.c: hierarchical storage. A stub is a file with our reparse tag, whose data say by which key the service knows the
 * content. An open of a stub comes back from the file system with STATUS_REPARSE and the tag in Data->TagData: we open
 * it again ourselves with FILE_OPEN_REPARSE_POINT below us, ask the service for the content, write it, take the tag off
 * (FltUntagFile), and let the caller's create go down once more (FltReissueSynchronousIo). A program makes a stub with
 * a FSCTL of ours, whose input is the key; then the data are thrown away.
 */

#include <fltKernel.h>
#include "hsm.h"

#define POOL_TAG 'mshF'
#define FSCTL_HSM_DEHYDRATE CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 3100, METHOD_BUFFERED, FILE_WRITE_DATA)

static const GUID HsmGuid = {0x3c1c4a4d, 0x2a34, 0x4f2a, {0x9b, 0x51, 0x77, 0x1e, 0x52, 0x18, 0x0d, 0x3e}};
static PFLT_FILTER Filter;
static PFLT_PORT Server, Client;

static NTSTATUS
Ask(ULONG Key, HSM_CONTENT *Content)
{
    LARGE_INTEGER Timeout = {.QuadPart = -50000000LL};
    HSM_RECALL Recall = {Key, HSM_MOST};
    ULONG Length = sizeof(*Content);
    NTSTATUS Status = FltSendMessage(Filter, &Client, &Recall, sizeof(Recall), Content, &Length, &Timeout);

    if (Status == STATUS_TIMEOUT) {
        return STATUS_FILE_IS_OFFLINE;
    }
    if (!NT_SUCCESS(Status)) {
        return STATUS_CLOUD_FILE_PROVIDER_NOT_RUNNING;
    }
    return Content->Found && Content->Length <= HSM_MOST ? STATUS_SUCCESS : STATUS_FILE_NOT_AVAILABLE;
}

/* Bring a stub's content back. */
static NTSTATUS
Recall(PCFLT_RELATED_OBJECTS Objects, PUNICODE_STRING Name, ULONG Key)
{
    HSM_CONTENT *Content = ExAllocatePool2(POOL_FLAG_PAGED, sizeof(*Content), POOL_TAG);
    LARGE_INTEGER Start = {.QuadPart = 0};
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File;
    HANDLE Handle;
    ULONG Written;
    NTSTATUS Status;

    if (Content == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = Ask(Key, Content);
    if (!NT_SUCCESS(Status)) {
        goto free;
    }
    InitializeObjectAttributes(&Attributes, Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = FltCreateFileEx(Filter, Objects->Instance, &Handle, &File, FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE,
                             &Attributes, &Iosb, NULL, FILE_ATTRIBUTE_NORMAL,
                             FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                             FILE_OPEN_REPARSE_POINT | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0,
                             IO_IGNORE_SHARE_ACCESS_CHECK);
    if (!NT_SUCCESS(Status)) {
        goto free;
    }
    Status = FltWriteFile(Objects->Instance, File, &Start, Content->Length, Content->Bytes,
                          FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Written, NULL, NULL);
    if (NT_SUCCESS(Status)) {
        Status = FltUntagFile(Objects->Instance, File, HSM_TAG_VALUE, (GUID *)&HsmGuid);
    }
    ObDereferenceObject(File);
    FltClose(Handle);
free:
    ExFreePoolWithTag(Content, POOL_TAG);
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION Name;
    ULONG Key;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_REPARSE ||
        Data->TagData == NULL || Data->TagData->FileTag != HSM_TAG_VALUE ||
        Data->TagData->TagDataLength < sizeof(ULONG) ||
        RtlCompareMemory(&Data->TagData->GenericGUIDReparseBuffer.TagGuid, &HsmGuid, sizeof(GUID)) != sizeof(GUID)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Key = *(UNALIGNED ULONG *)Data->TagData->GenericGUIDReparseBuffer.DataBuffer;
    Status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    if (NT_SUCCESS(Status)) {
        Status = Recall(Objects, &Name->Name, Key);
        FltReleaseFileNameInformation(Name);
    }
    if (NT_SUCCESS(Status)) {
        FltReissueSynchronousIo(Objects->Instance, Data);
    } else {
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreFsControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PFLT_PARAMETERS p = &Data->Iopb->Parameters;
    FILE_END_OF_FILE_INFORMATION Empty = {.EndOfFile.QuadPart = 0};
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST ||
        p->FileSystemControl.Common.FsControlCode != FSCTL_HSM_DEHYDRATE) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (p->FileSystemControl.Buffered.InputBufferLength != sizeof(ULONG)) {
        Status = STATUS_INVALID_PARAMETER;
    } else {
        Status = FltSetInformationFile(Objects->Instance, Objects->FileObject, &Empty, sizeof(Empty),
                                       FileEndOfFileInformation);
        if (NT_SUCCESS(Status)) {
            Status = FltTagFile(Objects->Instance, Objects->FileObject, HSM_TAG_VALUE, (GUID *)&HsmGuid,
                                p->FileSystemControl.Buffered.SystemBuffer, sizeof(ULONG));
        }
    }
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
Connect(PFLT_PORT Port, PVOID ServerCookie, PVOID Context, ULONG Size, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ServerCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *Cookie = NULL;
    Client = Port;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID Cookie)
{
    UNREFERENCED_PARAMETER(Cookie);
    FltCloseClientPort(Filter, &Client);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Server);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, PostCreate},
                                                        {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreFsControl, NULL},
                                                        {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {.Size = sizeof(FLT_REGISTRATION),
                                              .Version = FLT_REGISTRATION_VERSION,
                                              .OperationRegistration = Operations,
                                              .FilterUnloadCallback = Unload};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(HSM_PORT);
    PSECURITY_DESCRIPTOR Descriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &Server, &Attributes, NULL, Connect, Disconnect, NULL, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltCloseCommunicationPort(Server);
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
    }
    return Status;
}
