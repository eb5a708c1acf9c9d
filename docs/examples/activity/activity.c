/*
 * activity.c: an activity monitor. It keeps a line for each file that was opened or deleted, and gives the oldest ones
 * to the client that asks for them, as many as there is room for. When nobody asks, the oldest are lost, and counted.
 */

#include <fltKernel.h>

#define TAG 'ytcA'
#define MOST_LINES 64

typedef struct _LINE {
    LIST_ENTRY Links;
    ULONG Length; /* bytes of Text */
    WCHAR Text[1];
} LINE;

/* What the client gets: a count of lost lines, then lines that end with a newline. */
typedef struct _ANSWER {
    ULONG Lost;
    WCHAR Text[1];
} ANSWER;

static PFLT_FILTER Filter;
static PFLT_PORT Server;
static PFLT_PORT Client;
static LIST_ENTRY Lines;
static FAST_MUTEX Lock;
static ULONG Count;
static ULONG Lost;

static VOID
Keep(PCSTR What, PCUNICODE_STRING Name)
{
    ULONG Room = Name->Length + 16 * sizeof(WCHAR);
    LINE *Line = ExAllocatePoolZero(PagedPool, sizeof(LINE) + Room, TAG);
    UNICODE_STRING Text;

    if (Line == NULL) {
        return;
    }
    Text.Buffer = Line->Text;
    Text.Length = 0;
    Text.MaximumLength = (USHORT)Room;
    for (; *What != '\0'; What++) {
        Line->Text[Text.Length / sizeof(WCHAR)] = (WCHAR)*What;
        Text.Length += sizeof(WCHAR);
    }
    RtlAppendUnicodeStringToString(&Text, Name);
    RtlAppendUnicodeToString(&Text, L"\n");
    Line->Length = Text.Length;
    ExAcquireFastMutex(&Lock);
    InsertTailList(&Lines, &Line->Links);
    if (++Count > MOST_LINES) {
        Line = CONTAINING_RECORD(RemoveHeadList(&Lines), LINE, Links);
        Count--;
        Lost++;
    } else {
        Line = NULL;
    }
    ExReleaseFastMutex(&Lock);
    if (Line != NULL) {
        ExFreePoolWithTag(Line, TAG);
    }
}

static LINE *
Take(ULONG Room)
{
    LINE *Line = NULL;

    ExAcquireFastMutex(&Lock);
    if (!IsListEmpty(&Lines) && CONTAINING_RECORD(Lines.Flink, LINE, Links)->Length <= Room) {
        Line = CONTAINING_RECORD(RemoveHeadList(&Lines), LINE, Links);
        Count--;
    }
    ExReleaseFastMutex(&Lock);
    return Line;
}

static NTSTATUS FLTAPI
Message(PVOID PortCookie, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength, PULONG Returned)
{
    ANSWER *Answer = Output;
    ULONG At = FIELD_OFFSET(ANSWER, Text);
    NTSTATUS Status = STATUS_SUCCESS;
    LINE *Line;

    UNREFERENCED_PARAMETER(PortCookie);
    UNREFERENCED_PARAMETER(Input);
    UNREFERENCED_PARAMETER(InputLength);
    *Returned = 0;
    if (OutputLength < sizeof(ANSWER)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    while (NT_SUCCESS(Status) && (Line = Take(OutputLength - At)) != NULL) {
        __try { /* the buffer is the client's */
            RtlCopyMemory((PUCHAR)Output + At, Line->Text, Line->Length);
            At += Line->Length;
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            Status = GetExceptionCode();
        }
        ExFreePoolWithTag(Line, TAG);
    }
    __try {
        Answer->Lost = Lost;
        *Returned = At;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
    }
    return Status;
}

static NTSTATUS FLTAPI
Connect(PFLT_PORT ClientPort, PVOID ServerPortCookie, PVOID Context, ULONG Size, PVOID *ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *ConnectionCookie = NULL;
    Client = ClientPort;
    return STATUS_SUCCESS;
}

static VOID FLTAPI
Disconnect(PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &Client);
}

static VOID
KeepName(PCSTR What, PFLT_CALLBACK_DATA Data)
{
    PFLT_FILE_NAME_INFORMATION Name;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        if (NT_SUCCESS(FltParseFileNameInformation(Name))) {
            Keep(What, &Name->FinalComponent);
        }
        FltReleaseFileNameInformation(Name);
    }
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        KeepName("open ", Data);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(CompletionContext);
    if (Data->Iopb->Parameters.SetFileInformation.FileInformationClass == FileDispositionInformation) {
        KeepName("delete ", Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, NULL, PostCreate},
    {IRP_MJ_SET_INFORMATION, 0, PreSetInformation, NULL},
    {IRP_MJ_OPERATION_END},
};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    LINE *Line;

    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(Server);
    FltUnregisterFilter(Filter);
    while ((Line = Take(MAXULONG)) != NULL) {
        ExFreePoolWithTag(Line, TAG);
    }
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\activity");
    PSECURITY_DESCRIPTOR Descriptor;
    OBJECT_ATTRIBUTES Attributes;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    InitializeListHead(&Lines);
    ExInitializeFastMutex(&Lock);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltBuildDefaultSecurityDescriptor(&Descriptor, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(Status)) {
        InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, Descriptor);
        Status = FltCreateCommunicationPort(Filter, &Server, &Attributes, NULL, Connect, Disconnect, Message, 1);
        FltFreeSecurityDescriptor(Descriptor);
    }
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltCloseCommunicationPort(Server);
        }
    }
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(Filter);
    }
    return Status;
}
