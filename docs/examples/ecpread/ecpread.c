/*++

    ecpread.c

    Walks the list of extra create parameters of each create and prints what it knows of them. Known are those of the
    system that say where a create comes from (the network's servers, prefetch, a symlink that was followed, ...), and
    the tag of ecptag.c. What comes from a program is not believed: FltIsEcpFromUserMode.

--*/

#define INITGUID
#include <ntifs.h>
#include <fltkernel.h>
#include <ntstrsafe.h>
#include "tagecp.h"

PFLT_FILTER gFilter;

typedef struct _KNOWN {
    const GUID *Type;
    PCSTR Name;
} KNOWN;

static const KNOWN gKnown[] = {
    {&GUID_ECP_SRV_OPEN, "srv"},
    {&GUID_ECP_PREFETCH_OPEN, "prefetch"},
    {&GUID_ECP_NETWORK_OPEN_CONTEXT, "network"},
    {&GUID_ECP_NFS_OPEN, "nfs"},
    {&GUID_ECP_OPLOCK_KEY, "oplock key"},
    {&GUID_ECP_DUAL_OPLOCK_KEY, "dual oplock key"},
    {&GUID_ECP_CREATE_REDIRECTION, "redirection"},
    {&GUID_ECP_TAG, "tag"},
};

static PCSTR
NameOf(LPCGUID Type)
{
    for (ULONG i = 0; i < ARRAYSIZE(gKnown); i++) {
        if (IsEqualGUID(gKnown[i].Type, Type)) {
            return gKnown[i].Name;
        }
    }
    return "unknown";
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PECP_LIST List;
    PVOID Context = NULL;
    PVOID Next;
    ULONG Size;
    GUID Type;

    UNREFERENCED_PARAMETER(CompletionContext);

    if (!NT_SUCCESS(FltGetEcpListFromCallbackData(FltObjects->Filter, Data, &List)) || List == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    while (NT_SUCCESS(FltGetNextExtraCreateParameter(FltObjects->Filter, List, Context, &Type, &Next, &Size))) {
        Context = Next;
        DbgPrint("ecpread: %s, %lu bytes, from %s\n", NameOf(&Type), Size,
                 FltIsEcpFromUserMode(FltObjects->Filter, Context) ? "a program" : "the kernel");
    }

    PTAG_ECP_CONTEXT Tag;

    if (!NT_SUCCESS(FltFindExtraCreateParameter(FltObjects->Filter, List, &GUID_ECP_TAG, (PVOID *)&Tag, &Size)) ||
        Size < sizeof(*Tag) || FltIsEcpFromUserMode(FltObjects->Filter, Tag)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    NT_ASSERT(Tag->ProcessId == PsGetCurrentProcessId());
    FltAcknowledgeEcp(FltObjects->Filter, Tag);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {
    {IRP_MJ_CREATE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, PreCreate, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION gRegistration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .Flags = FLTFL_REGISTRATION_SUPPORT_NPFS_MSFS,
    .OperationRegistration = gOperations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(gFilter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(gFilter);
        }
    }
    return Status;
}
