/*
 * guard: a small minifilter as anybody might have written it. It knows nothing of fltlab.
 *
 * Files called *.secret are a drop box: whoever opens one to read or run what is in it is told STATUS_ACCESS_DENIED.
 */

#include <fltKernel.h>

#define READS_CONTENT (FILE_READ_DATA | FILE_EXECUTE)

static PFLT_FILTER Guard;

DRIVER_INITIALIZE DriverEntry;

static NTSTATUS FLTAPI GuardUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags);
static FLT_PREOP_CALLBACK_STATUS FLTAPI GuardPreCreate(_Inout_ PFLT_CALLBACK_DATA Data,
                                                       _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                       _Flt_CompletionContext_Outptr_ PVOID *CompletionContext);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, GuardUnload)
#pragma alloc_text(PAGE, GuardPreCreate)
#endif

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, GuardPreCreate, NULL},
                                                        {IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = GuardUnload,
};

static BOOLEAN
IsSecret(_In_ PFLT_CALLBACK_DATA Data)
{
    static const UNICODE_STRING Secret = RTL_CONSTANT_STRING(L"secret");
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Found = FALSE;

    if (!NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        return FALSE;
    }
    if (NT_SUCCESS(FltParseFileNameInformation(Name))) {
        Found = RtlEqualUnicodeString(&Name->Extension, &Secret, TRUE);
    }
    FltReleaseFileNameInformation(Name);
    return Found;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
GuardPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    ACCESS_MASK Wanted = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();

    if ((Wanted & READS_CONTENT) == 0 || !IsSecret(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static NTSTATUS FLTAPI
GuardUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();

    FltUnregisterFilter(Guard);
    return STATUS_SUCCESS;
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);

    Status = FltRegisterFilter(DriverObject, &Registration, &Guard);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Guard);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Guard);
        }
    }
    return Status;
}
