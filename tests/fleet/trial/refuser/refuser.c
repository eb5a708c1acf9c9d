/*
 * refuser: refuses every create of the one name that its Parameters key gives as Refuse, and thinks about it for twelve
 * seconds. Without the value it does not load, as many a minifilter does whose INF was not run.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static WCHAR NameBuffer[64];
static UNICODE_STRING Refused = {0, sizeof(NameBuffer), NameBuffer};

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNICODE_STRING Name = FltObjects->FileObject->FileName;
    LARGE_INTEGER Thought = {.QuadPart = -12 * 10000000LL};

    *CompletionContext = NULL;
    if (Name.Length < Refused.Length) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Name.Buffer = (PWCH)((PUCHAR)Name.Buffer + Name.Length - Refused.Length);
    Name.Length = Refused.Length;
    if (!RtlEqualUnicodeString(&Name, &Refused, TRUE)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    KeDelayExecutionThread(KernelMode, FALSE, &Thought);
    Data->IoStatus.Status = STATUS_ACCESS_DENIED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

static NTSTATUS
ReadName(PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Parameters = RTL_CONSTANT_STRING(L"Parameters");
    UNICODE_STRING Value = RTL_CONSTANT_STRING(L"Refuse");
    UCHAR Buffer[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + sizeof(NameBuffer)];
    KEY_VALUE_PARTIAL_INFORMATION *Information = (KEY_VALUE_PARTIAL_INFORMATION *)Buffer;
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Service;
    HANDLE Key;
    ULONG Length;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, RegistryPath, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = ZwOpenKey(&Service, KEY_READ, &Attributes);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    InitializeObjectAttributes(&Attributes, &Parameters, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, Service, NULL);
    Status = ZwOpenKey(&Key, KEY_READ, &Attributes);
    ZwClose(Service);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = ZwQueryValueKey(Key, &Value, KeyValuePartialInformation, Buffer, sizeof(Buffer), &Length);
    ZwClose(Key);
    if (NT_SUCCESS(Status)) {
        Refused.Length = (USHORT)(Information->DataLength - sizeof(WCHAR)); /* without its NUL */
        RtlCopyMemory(NameBuffer, Information->Data, Refused.Length);
    }
    return Status;
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = ReadName(RegistryPath);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
