/*
 * counts_suffix.c: refuses new files with the suffix .lck. The fault: the copy of a suffix has no room for the zero
 * that is written behind it.
 */

#include "../filter.h"

static BOOLEAN
IsRefused(PUNICODE_STRING Extension)
{
    PWCHAR Copy;
    BOOLEAN Refused;

    if (Extension->Length < 3 * sizeof(WCHAR) || Extension->Buffer[0] != L'l' || Extension->Buffer[1] != L'c') {
        return FALSE;
    }
    Copy = ExAllocatePoolZero(PagedPool, Extension->Length, TAG);
    if (Copy == NULL) {
        return FALSE;
    }
    RtlCopyMemory(Copy, Extension->Buffer, Extension->Length);
    Copy[Extension->Length / sizeof(WCHAR)] = L'\0';
    Refused = Copy[2] == L'k' && Copy[3] == L'\0';
    ExFreePoolWithTag(Copy, TAG);
    return Refused;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Refused = FALSE;

    UNREFERENCED_PARAMETER(Objects);
    *CompletionContext = NULL;
    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        if (NT_SUCCESS(FltParseFileNameInformation(Name))) {
            Refused = IsRefused(&Name->Extension);
        }
        FltReleaseFileNameInformation(Name);
    }
    if (Refused) {
        Data->IoStatus.Status = STATUS_ACCESS_DENIED;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

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
