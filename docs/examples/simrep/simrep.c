/*++

Abstract:

    Simulates reparse points: who opens something below OldMapping is sent to the same name below NewMapping, by
    STATUS_REPARSE and a replaced name. Both are paths of a volume, without its name, in the Parameters key.

Environment:

    Kernel mode

--*/

#include <fltKernel.h>

#define SIMREP_STRING_TAG 'tSpR'
#define SIMREP_REG_TAG 'eRpR'
#define MAX_MAPPING_CHARS 256

typedef struct _SIMREP_GLOBAL_DATA {
    PFLT_FILTER Filter;
    UNICODE_STRING OldName;
    UNICODE_STRING NewName;
    PWCHAR Buffer;
} SIMREP_GLOBAL_DATA;

static SIMREP_GLOBAL_DATA Globals;

DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

/* Read one REG_SZ of the service's Parameters key into a buffer of the caller's. */
static NTSTATUS
SimRepReadString(_In_ HANDLE Key, _In_ PCWSTR ValueName, _Inout_ PUNICODE_STRING String)
{
    UNICODE_STRING Name;
    PKEY_VALUE_PARTIAL_INFORMATION Value;
    ULONG Length = sizeof(KEY_VALUE_PARTIAL_INFORMATION) + MAX_MAPPING_CHARS * sizeof(WCHAR);
    ULONG Returned;
    NTSTATUS Status;

    PAGED_CODE();
    Value = ExAllocatePoolZero(PagedPool, Length, SIMREP_REG_TAG);
    if (Value == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlInitUnicodeString(&Name, ValueName);
    Status = ZwQueryValueKey(Key, &Name, KeyValuePartialInformation, Value, Length, &Returned);
    if (NT_SUCCESS(Status)) {
        if (Value->Type != REG_SZ || Value->DataLength < sizeof(WCHAR) || Value->DataLength > String->MaximumLength) {
            Status = STATUS_OBJECT_TYPE_MISMATCH;
        } else {
            String->Length = (USHORT)(Value->DataLength - sizeof(UNICODE_NULL));
            RtlCopyMemory(String->Buffer, Value->Data, String->Length);
        }
    }
    ExFreePoolWithTag(Value, SIMREP_REG_TAG);
    return Status;
}

static NTSTATUS
SimRepSetConfiguration(_In_ PUNICODE_STRING RegistryPath)
{
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Subkey = RTL_CONSTANT_STRING(L"Parameters");
    HANDLE Service = NULL;
    HANDLE Parameters = NULL;
    NTSTATUS Status;

    PAGED_CODE();
    Globals.Buffer = ExAllocatePoolZero(NonPagedPoolNx, 2 * MAX_MAPPING_CHARS * sizeof(WCHAR), SIMREP_STRING_TAG);
    if (Globals.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlInitEmptyUnicodeString(&Globals.OldName, Globals.Buffer, MAX_MAPPING_CHARS * sizeof(WCHAR));
    RtlInitEmptyUnicodeString(&Globals.NewName, Globals.Buffer + MAX_MAPPING_CHARS, MAX_MAPPING_CHARS * sizeof(WCHAR));

    InitializeObjectAttributes(&Attributes, RegistryPath, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = ZwOpenKey(&Service, KEY_READ, &Attributes);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    InitializeObjectAttributes(&Attributes, &Subkey, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, Service, NULL);
    Status = ZwOpenKey(&Parameters, KEY_READ, &Attributes);
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    Status = SimRepReadString(Parameters, L"OldMapping", &Globals.OldName);
    if (NT_SUCCESS(Status)) {
        Status = SimRepReadString(Parameters, L"NewMapping", &Globals.NewName);
    }

Exit:
    if (Parameters != NULL) {
        ZwClose(Parameters);
    }
    if (Service != NULL) {
        ZwClose(Service);
    }
    return Status;
}

static VOID
SimRepFreeGlobals(VOID)
{
    if (Globals.Buffer != NULL) {
        ExFreePoolWithTag(Globals.Buffer, SIMREP_STRING_TAG);
        Globals.Buffer = NULL;
    }
}

/* Whether a name is the mapping's, or below it: \x\sub is not below \x\su. */
static BOOLEAN
SimRepCompareMapping(_In_ PFLT_FILE_NAME_INFORMATION NameInfo)
{
    UNICODE_STRING Path = NameInfo->Name;

    Path.Buffer = Add2Ptr(Path.Buffer, NameInfo->Volume.Length);
    Path.Length -= NameInfo->Volume.Length;
    Path.MaximumLength = Path.Length;
    if (!RtlPrefixUnicodeString(&Globals.OldName, &Path, TRUE)) {
        return FALSE;
    }
    return Path.Length == Globals.OldName.Length ||
           Path.Buffer[Globals.OldName.Length / sizeof(WCHAR)] == OBJ_NAME_PATH_SEPARATOR ||
           Path.Buffer[Globals.OldName.Length / sizeof(WCHAR)] == L':';
}

static NTSTATUS
SimRepMungeName(_In_ PFLT_FILE_NAME_INFORMATION NameInfo, _Out_ PUNICODE_STRING Munged)
{
    UNICODE_STRING Rest = NameInfo->Name;
    ULONG Cut = NameInfo->Volume.Length + Globals.OldName.Length;
    ULONG Length = NameInfo->Volume.Length + Globals.NewName.Length + (Rest.Length - Cut);

    if (Length > UNICODE_STRING_MAX_BYTES) {
        return STATUS_OBJECT_NAME_INVALID;
    }
    Munged->Buffer = ExAllocatePoolZero(NonPagedPoolNx, Length, SIMREP_STRING_TAG);
    if (Munged->Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Munged->Length = 0;
    Munged->MaximumLength = (USHORT)Length;
    Rest.Buffer = Add2Ptr(Rest.Buffer, Cut);
    Rest.Length -= (USHORT)Cut;
    RtlCopyUnicodeString(Munged, &NameInfo->Volume);
    RtlAppendUnicodeStringToString(Munged, &Globals.NewName);
    return RtlAppendUnicodeStringToString(Munged, &Rest);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
SimRepPreCreate(_Inout_ PFLT_CALLBACK_DATA Cbd, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION NameInfo = NULL;
    FLT_PREOP_CALLBACK_STATUS CallbackStatus = FLT_PREOP_SUCCESS_NO_CALLBACK;
    UNICODE_STRING Munged = {0};
    ULONG_PTR Low, High;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();

    IoGetStackLimits(&Low, &High);
    if ((ULONG_PTR)&High - Low < 4096 || FlagOn(Cbd->Iopb->OperationFlags, SL_OPEN_PAGING_FILE) ||
        FlagOn(Cbd->Iopb->TargetFileObject->Flags, FO_VOLUME_OPEN) ||
        FlagOn(Cbd->Iopb->Parameters.Create.Options, FILE_OPEN_BY_FILE_ID)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltGetFileNameInformation(Cbd, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &NameInfo);
    if (!NT_SUCCESS(Status)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltParseFileNameInformation(NameInfo);
    if (NT_SUCCESS(Status) && SimRepCompareMapping(NameInfo)) {
        if (FlagOn(Cbd->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY)) {
            Status = STATUS_ACCESS_DENIED; /* nobody renames into the mapping */
        } else {
            Status = SimRepMungeName(NameInfo, &Munged);
            if (NT_SUCCESS(Status)) {
                Status = IoReplaceFileObjectName(Cbd->Iopb->TargetFileObject, Munged.Buffer, Munged.Length);
            }
            if (NT_SUCCESS(Status)) {
                Status = STATUS_REPARSE;
            }
        }
        Cbd->IoStatus.Status = Status;
        Cbd->IoStatus.Information = Status == STATUS_REPARSE ? IO_REPARSE : 0;
        CallbackStatus = FLT_PREOP_COMPLETE;
    }
    if (Munged.Buffer != NULL) {
        ExFreePoolWithTag(Munged.Buffer, SIMREP_STRING_TAG);
    }
    FltReleaseFileNameInformation(NameInfo);
    return CallbackStatus;
}

/* A network query open could not be sent elsewhere: fast I/O has no reparse. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
SimRepPreNetworkQueryOpen(_Inout_ PFLT_CALLBACK_DATA Cbd, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                          _Flt_CompletionContext_Outptr_ PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Cbd);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    return FLT_PREOP_DISALLOW_FASTIO;
}

static NTSTATUS FLTAPI
SimRepUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(Globals.Filter);
    SimRepFreeGlobals();
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
SimRepInstanceQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Callbacks[] = {
    {IRP_MJ_CREATE, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, SimRepPreCreate, NULL},
    {IRP_MJ_NETWORK_QUERY_OPEN, FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO, SimRepPreNetworkQueryOpen, NULL},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION FilterRegistration = {
    sizeof(FLT_REGISTRATION),
    FLT_REGISTRATION_VERSION,
    0,
    NULL,
    Callbacks,
    SimRepUnload,
    NULL,
    SimRepInstanceQueryTeardown,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = SimRepSetConfiguration(RegistryPath);

    if (NT_SUCCESS(Status)) {
        Status = FltRegisterFilter(DriverObject, &FilterRegistration, &Globals.Filter);
        if (NT_SUCCESS(Status)) {
            Status = FltStartFiltering(Globals.Filter);
            if (!NT_SUCCESS(Status)) {
                FltUnregisterFilter(Globals.Filter);
            }
        }
    }
    if (!NT_SUCCESS(Status)) {
        SimRepFreeGlobals();
    }
    return Status;
}
