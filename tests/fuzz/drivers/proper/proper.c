/*
 * proper.c: the driver around them. In DriverEntry and unload it begins and ends what lives as long as it does.
 */

#include "proper.h"

PFLT_FILTER Filter;
PFLT_PORT Client;

/* The older way to open a file by another name, in the same directory: the related file object goes. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (IsNamed(FltObjects->FileObject, L"\\name_upcased")) {
        RtlUpcaseUnicodeString(&FltObjects->FileObject->FileName, &FltObjects->FileObject->FileName, FALSE);
        FltObjects->FileObject->RelatedFileObject = NULL;
        FltObjects->FileObject->Flags |= FO_SEQUENTIAL_ONLY;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID FLTAPI
TeardownStart(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PFLT_CONTEXT Context;

    UNREFERENCED_PARAMETER(Reason);
    if (NT_SUCCESS(FltGetInstanceContext(FltObjects->Instance, &Context))) {
        FltDeleteContext(Context);
        FltReleaseContext(Context);
    }
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, PreCreate, NULL},
    {IRP_MJ_READ, 0, PreRead, PostRead},
    {IRP_MJ_OPERATION_END},
};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    KindsStop();
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
    .InstanceTeardownStartCallback = TeardownStart,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        KindsStart();
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            KindsStop();
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
