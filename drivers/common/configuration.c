/*
 * configuration.c: what to register for, from HKLM\SYSTEM\CurrentControlSet\Services\<service>\Parameters.
 *
 *   Operations     REG_MULTI_SZ  "<major> [pre] [post] [skip-paging-io] [skip-cached-io] [skip-non-dasd-io]
 *                                [skip-non-cached-non-paging-io]"
 *   Contexts       REG_MULTI_SZ  volume instance file stream stream-handle
 *   Options        REG_MULTI_SZ  no-unload no-query-teardown refuse-unload refuse-query-teardown
 *                                do-not-support-service-stop
 *   EventCapacity  REG_DWORD     events in the ring
 *   CapturePrints  REG_DWORD     1: keep what any driver prints with DbgPrint
 *
 * A word it does not know makes DriverEntry fail with STATUS_INVALID_PARAMETER: a test that is misread proves nothing.
 */

#include "common.h"

LAB_CONFIGURATION LabConfiguration;

static struct {
    BOOLEAN Pre;
    BOOLEAN Post;
} Registered[256];

typedef struct _WORD_VALUE {
    PCWSTR Word;
    ULONG Value;
} WORD_VALUE;

static const WORD_VALUE Majors[] = {
    {L"create", IRP_MJ_CREATE},
    {L"create-named-pipe", IRP_MJ_CREATE_NAMED_PIPE},
    {L"close", IRP_MJ_CLOSE},
    {L"read", IRP_MJ_READ},
    {L"write", IRP_MJ_WRITE},
    {L"query-information", IRP_MJ_QUERY_INFORMATION},
    {L"set-information", IRP_MJ_SET_INFORMATION},
    {L"query-ea", IRP_MJ_QUERY_EA},
    {L"set-ea", IRP_MJ_SET_EA},
    {L"flush-buffers", IRP_MJ_FLUSH_BUFFERS},
    {L"query-volume-information", IRP_MJ_QUERY_VOLUME_INFORMATION},
    {L"set-volume-information", IRP_MJ_SET_VOLUME_INFORMATION},
    {L"directory-control", IRP_MJ_DIRECTORY_CONTROL},
    {L"file-system-control", IRP_MJ_FILE_SYSTEM_CONTROL},
    {L"device-control", IRP_MJ_DEVICE_CONTROL},
    {L"internal-device-control", IRP_MJ_INTERNAL_DEVICE_CONTROL},
    {L"shutdown", IRP_MJ_SHUTDOWN},
    {L"lock-control", IRP_MJ_LOCK_CONTROL},
    {L"cleanup", IRP_MJ_CLEANUP},
    {L"create-mailslot", IRP_MJ_CREATE_MAILSLOT},
    {L"query-security", IRP_MJ_QUERY_SECURITY},
    {L"set-security", IRP_MJ_SET_SECURITY},
    {L"query-quota", IRP_MJ_QUERY_QUOTA},
    {L"set-quota", IRP_MJ_SET_QUOTA},
    {L"pnp", IRP_MJ_PNP},
    {L"acquire-for-section-synchronization", IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION},
    {L"release-for-section-synchronization", IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION},
    {L"acquire-for-mod-write", IRP_MJ_ACQUIRE_FOR_MOD_WRITE},
    {L"release-for-mod-write", IRP_MJ_RELEASE_FOR_MOD_WRITE},
    {L"acquire-for-cc-flush", IRP_MJ_ACQUIRE_FOR_CC_FLUSH},
    {L"release-for-cc-flush", IRP_MJ_RELEASE_FOR_CC_FLUSH},
    {L"query-open", IRP_MJ_QUERY_OPEN},
    {L"fast-io-check-if-possible", IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE},
    {L"network-query-open", IRP_MJ_NETWORK_QUERY_OPEN},
    {L"mdl-read", IRP_MJ_MDL_READ},
    {L"mdl-read-complete", IRP_MJ_MDL_READ_COMPLETE},
    {L"prepare-mdl-write", IRP_MJ_PREPARE_MDL_WRITE},
    {L"mdl-write-complete", IRP_MJ_MDL_WRITE_COMPLETE},
    {L"volume-mount", IRP_MJ_VOLUME_MOUNT},
    {L"volume-dismount", IRP_MJ_VOLUME_DISMOUNT},
};

/* With no Operations value: what most suites look at, with both callbacks. */
static const UCHAR DefaultMajors[] = {
    IRP_MJ_CREATE,
    IRP_MJ_READ,
    IRP_MJ_WRITE,
    IRP_MJ_QUERY_INFORMATION,
    IRP_MJ_SET_INFORMATION,
    IRP_MJ_FLUSH_BUFFERS,
    IRP_MJ_QUERY_VOLUME_INFORMATION,
    IRP_MJ_DIRECTORY_CONTROL,
    IRP_MJ_FILE_SYSTEM_CONTROL,
    IRP_MJ_LOCK_CONTROL,
    IRP_MJ_CLEANUP,
    IRP_MJ_CLOSE,
    IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION,
    IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION,
    IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE,
    IRP_MJ_NETWORK_QUERY_OPEN,
};

#define WORD_PRE 0x80000000u
#define WORD_POST 0x40000000u

static const WORD_VALUE OperationWords[] = {
    {L"pre", WORD_PRE},
    {L"post", WORD_POST},
    {L"skip-paging-io", FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO},
    {L"skip-cached-io", FLTFL_OPERATION_REGISTRATION_SKIP_CACHED_IO},
    {L"skip-non-dasd-io", FLTFL_OPERATION_REGISTRATION_SKIP_NON_DASD_IO},
    {L"skip-non-cached-non-paging-io", FLTFL_OPERATION_REGISTRATION_SKIP_NON_CACHED_NON_PAGING_IO},
};

static const WORD_VALUE ContextWords[] = {
    {L"volume", FLT_VOLUME_CONTEXT}, {L"instance", FLT_INSTANCE_CONTEXT},          {L"file", FLT_FILE_CONTEXT},
    {L"stream", FLT_STREAM_CONTEXT}, {L"stream-handle", FLT_STREAMHANDLE_CONTEXT},
};

static const WORD_VALUE OptionWords[] = {
    {L"no-unload", LAB_OPTION_NO_UNLOAD},
    {L"no-query-teardown", LAB_OPTION_NO_QUERY_TEARDOWN},
    {L"refuse-unload", LAB_OPTION_REFUSE_UNLOAD},
    {L"refuse-query-teardown", LAB_OPTION_REFUSE_QUERY_TEARDOWN},
    {L"do-not-support-service-stop", LAB_OPTION_DO_NOT_SUPPORT_SERVICE_STOP},
};

#define VALUE_SIZE 4096

static NTSTATUS FindWord(const WORD_VALUE *Words, ULONG Count, PCWSTR Text, ULONG Length, ULONG *Value);
static NTSTATUS AddOperation(UCHAR Major, BOOLEAN Pre, BOOLEAN Post, ULONG Flags);
static NTSTATUS ParseOperation(PCWSTR Text);
static NTSTATUS ParseContext(PCWSTR Text);
static NTSTATUS ParseOption(PCWSTR Text);
static NTSTATUS
ReadStrings(HANDLE Key, PCWSTR Name, PKEY_VALUE_PARTIAL_INFORMATION Value, NTSTATUS (*Parse)(PCWSTR Text));
static NTSTATUS ReadValues(HANDLE Key, PKEY_VALUE_PARTIAL_INFORMATION Value);
static NTSTATUS UseDefaults(VOID);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, FindWord)
#pragma alloc_text(INIT, AddOperation)
#pragma alloc_text(INIT, ParseOperation)
#pragma alloc_text(INIT, ParseContext)
#pragma alloc_text(INIT, ParseOption)
#pragma alloc_text(INIT, ReadStrings)
#pragma alloc_text(INIT, ReadValues)
#pragma alloc_text(INIT, UseDefaults)
#pragma alloc_text(INIT, LabReadConfiguration)
#endif

static NTSTATUS
FindWord(const WORD_VALUE *Words, ULONG Count, PCWSTR Text, ULONG Length, ULONG *Value)
{
    ULONG Index, Position;

    for (Index = 0; Index < Count; Index++) {
        for (Position = 0; Position < Length && Words[Index].Word[Position] == Text[Position]; Position++) {
        }
        if (Position == Length && Words[Index].Word[Position] == L'\0') {
            *Value = Words[Index].Value;
            return STATUS_SUCCESS;
        }
    }
    return STATUS_INVALID_PARAMETER;
}

static NTSTATUS
AddOperation(UCHAR Major, BOOLEAN Pre, BOOLEAN Post, ULONG Flags)
{
    FLT_OPERATION_REGISTRATION *Operation = LabConfiguration.Operations;

    while (Operation->MajorFunction != IRP_MJ_OPERATION_END) {
        if (Operation->MajorFunction == Major) {
            return STATUS_INVALID_PARAMETER; /* each type once (REG-07) */
        }
        Operation++;
    }
    if (Operation == &LabConfiguration.Operations[LAB_MAXIMUM_OPERATIONS]) {
        return STATUS_INVALID_PARAMETER;
    }
    Operation->MajorFunction = Major;
    Operation->Flags = Flags;
    Operation->PreOperation = Pre ? FltLabDriver.PreOperation : NULL;
    Operation->PostOperation = Post ? FltLabDriver.PostOperation : NULL;
    Operation[1].MajorFunction = IRP_MJ_OPERATION_END;
    Registered[Major].Pre = Operation->PreOperation != NULL;
    Registered[Major].Post = Operation->PostOperation != NULL;
    return STATUS_SUCCESS;
}

/* "<major> word word ..." */
static NTSTATUS
ParseOperation(PCWSTR Text)
{
    NTSTATUS Status;
    ULONG Major = 0, Value = 0, Flags = 0, Length;
    BOOLEAN First = TRUE;

    while (*Text != L'\0') {
        for (Length = 0; Text[Length] != L'\0' && Text[Length] != L' '; Length++) {
        }
        if (Length != 0) {
            Status = First ? FindWord(Majors, ARRAYSIZE(Majors), Text, Length, &Major)
                           : FindWord(OperationWords, ARRAYSIZE(OperationWords), Text, Length, &Value);
            if (!NT_SUCCESS(Status)) {
                return Status;
            }
            Flags |= First ? 0 : Value;
            First = FALSE;
        }
        Text += Length + (Text[Length] == L' ');
    }
    if (First) {
        return STATUS_INVALID_PARAMETER;
    }
    return AddOperation((UCHAR)Major, FlagOn(Flags, WORD_PRE) != 0, FlagOn(Flags, WORD_POST) != 0,
                        Flags & ~(WORD_PRE | WORD_POST));
}

static NTSTATUS
ParseContext(PCWSTR Text)
{
    FLT_CONTEXT_REGISTRATION *Context = LabConfiguration.Contexts;
    NTSTATUS Status;
    ULONG Type;

    Status = FindWord(ContextWords, ARRAYSIZE(ContextWords), Text, (ULONG)wcslen(Text), &Type);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    while (Context->ContextType != FLT_CONTEXT_END) {
        if (Context->ContextType == Type) {
            return STATUS_INVALID_PARAMETER;
        }
        Context++;
    }
    Context->ContextType = (FLT_CONTEXT_TYPE)Type;
    Context->ContextCleanupCallback = LabContextCleanup;
    Context->Size = sizeof(LAB_CONTEXT);
    Context->PoolTag = LAB_TAG_CONTEXT;
    Context[1].ContextType = FLT_CONTEXT_END;
    return STATUS_SUCCESS;
}

static NTSTATUS
ParseOption(PCWSTR Text)
{
    ULONG Option = 0;
    NTSTATUS Status = FindWord(OptionWords, ARRAYSIZE(OptionWords), Text, (ULONG)wcslen(Text), &Option);

    LabConfiguration.Options |= Option;
    return Status;
}

/* Calls Parse for each string of a REG_MULTI_SZ value; a missing value is STATUS_OBJECT_NAME_NOT_FOUND. */
static NTSTATUS
ReadStrings(HANDLE Key, PCWSTR Name, PKEY_VALUE_PARTIAL_INFORMATION Value, NTSTATUS (*Parse)(PCWSTR Text))
{
    UNICODE_STRING ValueName;
    NTSTATUS Status;
    PCWSTR Text;
    ULONG Length;

    RtlInitUnicodeString(&ValueName, Name);
    Status = ZwQueryValueKey(Key, &ValueName, KeyValuePartialInformation, Value, VALUE_SIZE, &Length);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    if (Value->Type != REG_MULTI_SZ || Value->DataLength > VALUE_SIZE - sizeof(*Value) - 2 * sizeof(WCHAR)) {
        return STATUS_INVALID_PARAMETER;
    }
    RtlZeroMemory(&Value->Data[Value->DataLength], 2 * sizeof(WCHAR));
    for (Text = (PCWSTR)Value->Data; *Text != L'\0' && NT_SUCCESS(Status); Text += wcslen(Text) + 1) {
        Status = Parse(Text);
    }
    return Status;
}

static NTSTATUS
UseDefaults(VOID)
{
    NTSTATUS Status = STATUS_SUCCESS;
    ULONG Index;

    for (Index = 0; Index < ARRAYSIZE(DefaultMajors) && NT_SUCCESS(Status); Index++) {
        Status = AddOperation(DefaultMajors[Index], TRUE, TRUE, 0);
    }
    return Status;
}

static NTSTATUS
ReadNumber(HANDLE Key, PCWSTR Name, PKEY_VALUE_PARTIAL_INFORMATION Value, ULONG Minimum, ULONG Maximum, ULONG *Number)
{
    UNICODE_STRING ValueName;
    NTSTATUS Status;
    ULONG Length;

    RtlInitUnicodeString(&ValueName, Name);
    Status = ZwQueryValueKey(Key, &ValueName, KeyValuePartialInformation, Value, VALUE_SIZE, &Length);
    if (NT_SUCCESS(Status)) {
        if (Value->Type != REG_DWORD || *(ULONG *)Value->Data < Minimum || *(ULONG *)Value->Data > Maximum) {
            return STATUS_INVALID_PARAMETER;
        }
        *Number = *(ULONG *)Value->Data;
    }
    return Status;
}

static NTSTATUS
ReadValues(HANDLE Key, PKEY_VALUE_PARTIAL_INFORMATION Value)
{
    NTSTATUS Status;

    Status = ReadStrings(Key, L"Operations", Value, ParseOperation);
    if (Status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Status = UseDefaults();
    }
    if (NT_SUCCESS(Status)) {
        Status = ReadStrings(Key, L"Contexts", Value, ParseContext);
    }
    if (NT_SUCCESS(Status) || Status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Status = ReadStrings(Key, L"Options", Value, ParseOption);
    }
    if (NT_SUCCESS(Status) || Status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Status = ReadNumber(Key, L"EventCapacity", Value, 1, 65536, &LabConfiguration.EventCapacity);
    }
    if (NT_SUCCESS(Status) || Status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Status = ReadNumber(Key, L"CapturePrints", Value, 0, 1, &LabConfiguration.CapturePrints);
    }
    return Status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_SUCCESS : Status;
}

NTSTATUS
LabReadConfiguration(PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Parameters = RTL_CONSTANT_STRING(L"Parameters");
    PKEY_VALUE_PARTIAL_INFORMATION Value;
    HANDLE ServiceKey = NULL, Key = NULL;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    LabConfiguration.Operations[0].MajorFunction = IRP_MJ_OPERATION_END;
    LabConfiguration.Contexts[0].ContextType = FLT_CONTEXT_END;
    LabConfiguration.EventCapacity = 4096;

    Value = ExAllocatePoolWithTag(PagedPool, VALUE_SIZE, LAB_TAG_BUFFER);
    if (Value == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    InitializeObjectAttributes(&Attributes, RegistryPath, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = ZwOpenKey(&ServiceKey, KEY_READ, &Attributes);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Parameters, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, ServiceKey,
                                   NULL);
        Status = ZwOpenKey(&Key, KEY_READ, &Attributes);
        ZwClose(ServiceKey);
    }
    if (NT_SUCCESS(Status)) {
        Status = ReadValues(Key, Value);
        ZwClose(Key);
    } else if (Status == STATUS_OBJECT_NAME_NOT_FOUND) {
        Status = UseDefaults();
    }
    ExFreePoolWithTag(Value, LAB_TAG_BUFFER);
    return Status;
}

BOOLEAN
LabHasPre(UCHAR Major)
{
    return Registered[Major].Pre;
}

BOOLEAN
LabHasPost(UCHAR Major)
{
    return Registered[Major].Post;
}
