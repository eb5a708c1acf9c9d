// ecptag.c - an extra create parameter travels with the create: who opens, and the how manieth open it is.
// Those below read it (ecpread.c); a file system never looks at it. Creates from the kernel are left alone.
// The parameter goes with the create, which may be over after this driver is unloaded: so it has no cleanup callback,
// and is from pool rather than from a lookaside list of ours.

#include <fltKernel.h>
#include <initguid.h>
#include "tagecp.h"

#define ECPTAG_POOL 'tpcE'

PFLT_FILTER FilterHandle = NULL;
volatile LONG Serial = 0;

FLT_PREOP_CALLBACK_STATUS
EcpTagPreCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects, _Outptr_ PVOID *Context)
{
    PECP_LIST List = NULL;
    PTAG_ECP_CONTEXT Tag = NULL;
    BOOLEAN OwnList = FALSE;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(FltObjects);
    *Context = NULL;

    if (Data->RequestorMode == KernelMode) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    Status = FltGetEcpListFromCallbackData(FilterHandle, Data, &List);
    if (!NT_SUCCESS(Status)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }

    if (List == NULL) {
        Status = FltAllocateExtraCreateParameterList(FilterHandle, 0, &List);
        if (!NT_SUCCESS(Status)) {
            return FLT_PREOP_SUCCESS_NO_CALLBACK;
        }
        OwnList = TRUE;
    }

    Status = FltAllocateExtraCreateParameter(FilterHandle, &GUID_ECP_TAG, sizeof(TAG_ECP_CONTEXT), 0, NULL, ECPTAG_POOL,
                                             (PVOID *)&Tag);
    if (NT_SUCCESS(Status)) {
        Tag->Size = sizeof(*Tag);
        Tag->Serial = (ULONG)InterlockedIncrement(&Serial);
        Tag->ProcessId = PsGetCurrentProcessId();

        Status = FltInsertExtraCreateParameter(FilterHandle, List, Tag);
        if (!NT_SUCCESS(Status)) {
            FltFreeExtraCreateParameter(FilterHandle, Tag); // there is one of our type already
        }
    }

    if (NT_SUCCESS(Status) && OwnList) {
        Status = FltSetEcpListIntoCallbackData(FilterHandle, Data, List);
    }

    if (!NT_SUCCESS(Status) && OwnList) {
        FltFreeExtraCreateParameterList(FilterHandle, List);
    }

    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

NTSTATUS
EcpTagUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(FilterHandle);
    DbgPrint("ecptag: %ld added\n", Serial);
    return STATUS_SUCCESS;
}

const FLT_OPERATION_REGISTRATION Callbacks[] = {{IRP_MJ_CREATE, 0, EcpTagPreCreate, NULL}, {IRP_MJ_OPERATION_END}};

const FLT_REGISTRATION FilterRegistration = {sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Callbacks,
                                             EcpTagUnload};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);

    Status = FltRegisterFilter(DriverObject, &FilterRegistration, &FilterHandle);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }

    Status = FltStartFiltering(FilterHandle);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(FilterHandle);
    }
    return Status;
}
