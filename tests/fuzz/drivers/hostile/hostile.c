/*
 * hostile.c: the driver around the kinds of wrong.
 */

#include "hostile.h"

__attribute__((section(".kinds$a"), used)) static const KIND_OF_WRONG First = {NULL, NULL};
__attribute__((section(".kinds$z"), used)) static const KIND_OF_WRONG Last = {NULL, NULL};

PFLT_FILTER Filter;
PDRIVER_OBJECT Driver;

static BOOLEAN
IsNamed(PFILE_OBJECT File, PCWSTR Wanted)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Wanted);
    return RtlEqualUnicodeString(&Name, &File->FileName, TRUE);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    const volatile KIND_OF_WRONG *Kind;

    for (Kind = &First + 1; Kind < &Last; Kind++) {
        if (Kind->Name != NULL && IsNamed(FltObjects->FileObject, Kind->Name)) {
            return Kind->Routine(Data, FltObjects, CompletionContext);
        }
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    if (CompletionContext != NULL) {
        ((AFTER *)CompletionContext)(Data, FltObjects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, PreRead, PostRead}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAMHANDLE_CONTEXT, 0, NULL, 64, TAG, NULL, NULL, NULL},
    {FLT_INSTANCE_CONTEXT, 0, NULL, 64, TAG, NULL, NULL, NULL},
    {FLT_CONTEXT_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Driver = DriverObject;
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
