/*++

Module Name:

    sessions.c

Abstract:

    A session is the life of a handle, from create to cleanup. Its stream handle context has the times and counts; the
    stream's has how many sessions there were. Written for Windows 7 and later, with its values in the service's key.

--*/

#include <fltKernel.h>
#include <dontuse.h>
#include <suppress.h>

#pragma prefast(disable:__WARNING_ENCODE_MEMBER_FUNCTION_POINTER, "Not valid for kernel mode drivers")

typedef struct _SES_STREAM {
    LONG Sessions;
} SES_STREAM, *PSES_STREAM;

typedef struct _SES_HANDLE {
    LARGE_INTEGER Opened;
    LARGE_INTEGER LastUse;
    LONG64 BytesRead;
    LONG64 BytesWritten;
    LONG Number;
} SES_HANDLE, *PSES_HANDLE;

static PFLT_FILTER gFilterHandle;
static ULONG gMinimumBytes;

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath);

static
VOID
SesReadRegistry (
    _In_ PUNICODE_STRING RegistryPath
    )
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE driverRegKey;
    NTSTATUS status;
    ULONG resultLength;
    UNICODE_STRING valueName;
    UCHAR buffer[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + sizeof(LONG)];

    InitializeObjectAttributes(&attributes, RegistryPath, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwOpenKey(&driverRegKey, KEY_READ, &attributes);
    if (!NT_SUCCESS(status)) {
        return;
    }
    RtlInitUnicodeString(&valueName, L"MinimumBytes");
    status = ZwQueryValueKey(driverRegKey, &valueName, KeyValuePartialInformation, buffer, sizeof(buffer),
                             &resultLength);
    if (NT_SUCCESS(status)) {
        gMinimumBytes = *((PULONG)&(((PKEY_VALUE_PARTIAL_INFORMATION)buffer)->Data));
    }
    ZwClose(driverRegKey);
}

static
LONG
SesNumber (
    _In_ PCFLT_RELATED_OBJECTS FltObjects
    )
{
    PSES_STREAM stream = NULL;
    PSES_STREAM old = NULL;
    NTSTATUS status;
    LONG number;

    status = FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, &stream);
    if (status == STATUS_NOT_FOUND) {
        status = FltAllocateContext(FltObjects->Filter, FLT_STREAM_CONTEXT, sizeof(SES_STREAM), PagedPool, &stream);
        if (!NT_SUCCESS(status)) {
            return 0;
        }
        stream->Sessions = 0;
        status = FltSetStreamContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS,
                                     stream, &old);
        if (status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
            FltReleaseContext(stream);
            stream = old;
        } else if (!NT_SUCCESS(status)) {
            FltReleaseContext(stream);
            return 0;
        }
    } else if (!NT_SUCCESS(status)) {
        return 0;
    }
    number = InterlockedIncrement(&stream->Sessions);
    FltReleaseContext(stream);
    return number;
}

static
FLT_POSTOP_CALLBACK_STATUS
SesPostCreate (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _In_opt_ PVOID CompletionContext,
    _In_ FLT_POST_OPERATION_FLAGS Flags
    )
{
    PSES_HANDLE handle;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        STATUS_REPARSE == Data->IoStatus.Status || !FltSupportsStreamHandleContexts(FltObjects->FileObject)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!NT_SUCCESS(FltAllocateContext(FltObjects->Filter, FLT_STREAMHANDLE_CONTEXT, sizeof(SES_HANDLE), NonPagedPool,
                                       &handle))) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    RtlZeroMemory(handle, sizeof(SES_HANDLE));
    KeQuerySystemTime(&handle->Opened);
    handle->Number = SesNumber(FltObjects);
    (VOID)FltSetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, handle,
                                    NULL);
    FltReleaseContext(handle);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static
FLT_PREOP_CALLBACK_STATUS
SesPreReadWrite (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    )
{
    PSES_HANDLE handle;

    if (FLT_IS_FS_FILTER_OPERATION(Data) ||
        !NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, &handle))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    *CompletionContext = handle;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static
FLT_POSTOP_CALLBACK_STATUS
SesPostReadWrite (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _In_opt_ PVOID CompletionContext,
    _In_ FLT_POST_OPERATION_FLAGS Flags
    )
{
    PSES_HANDLE handle = CompletionContext;

    UNREFERENCED_PARAMETER(FltObjects);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        InterlockedExchangeAdd64(Data->Iopb->MajorFunction == IRP_MJ_READ ? &handle->BytesRead : &handle->BytesWritten,
                                 (LONG64)Data->IoStatus.Information);
        KeQuerySystemTime(&handle->LastUse);
    }
    FltReleaseContext(handle);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static
FLT_PREOP_CALLBACK_STATUS
SesPreCleanup (
    _Inout_ PFLT_CALLBACK_DATA Data,
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _Flt_CompletionContext_Outptr_ PVOID *CompletionContext
    )
{
    PFLT_FILE_NAME_INFORMATION name;
    LARGE_INTEGER now;
    PSES_HANDLE handle;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (!NT_SUCCESS(FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject, &handle))) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    KeQuerySystemTime(&now);
    if ((ULONG64)(handle->BytesRead + handle->BytesWritten) >= gMinimumBytes &&
        NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) {
        if (NT_SUCCESS(FltParseFileNameInformation(name))) {
            DbgPrint("sessions: %wZ #%ld, %I64d read, %I64d written, %s\n", &name->FinalComponent, handle->Number,
                     handle->BytesRead, handle->BytesWritten,
                     now.QuadPart - handle->Opened.QuadPart >= 10 * 1000 * 1000 ? "long" : "short");
        }
        FltReleaseFileNameInformation(name);
    }
    FltReleaseContext(handle);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static
NTSTATUS
SesUnload (
    _In_ FLT_FILTER_UNLOAD_FLAGS Flags
    )
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilterHandle);
    return STATUS_SUCCESS;
}

static
NTSTATUS
SesQueryTeardown (
    _In_ PCFLT_RELATED_OBJECTS FltObjects,
    _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags
    )
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static CONST FLT_CONTEXT_REGISTRATION gContextRegistration[] = {
    {FLT_STREAM_CONTEXT, 0, NULL, sizeof(SES_STREAM), 'sSeS'},
    {FLT_STREAMHANDLE_CONTEXT, 0, NULL, sizeof(SES_HANDLE), 'hSeS'},
    {FLT_CONTEXT_END}
};

static CONST FLT_OPERATION_REGISTRATION gCallbacks[] = {
    {IRP_MJ_CREATE, 0, NULL, SesPostCreate},
    {IRP_MJ_READ, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, SesPreReadWrite, SesPostReadWrite},
    {IRP_MJ_WRITE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, SesPreReadWrite, SesPostReadWrite},
    {IRP_MJ_CLEANUP, 0, SesPreCleanup, NULL},
    {IRP_MJ_OPERATION_END}
};

static CONST FLT_REGISTRATION gRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, gContextRegistration, gCallbacks, SesUnload, NULL,
    SesQueryTeardown, NULL, NULL, NULL, NULL, NULL
};

NTSTATUS
DriverEntry (
    _In_ PDRIVER_OBJECT DriverObject,
    _In_ PUNICODE_STRING RegistryPath
    )
{
    NTSTATUS status;

    SesReadRegistry(RegistryPath);
    status = FltRegisterFilter(DriverObject, &gRegistration, &gFilterHandle);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilterHandle);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilterHandle);
        }
    }
    return status;
}
