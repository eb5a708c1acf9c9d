/*
 * obguard - keeps a process from being killed.
 *
 * The client that connects to \obguard is protected for as long as it is connected: handles that others open or
 * duplicate to its process and threads do not get PROCESS_TERMINATE, PROCESS_VM_WRITE and the like. The kernel's own
 * handles are left alone, and so are the process's handles to itself.
 */

#include <fltKernel.h>

#define PROCESS_TERMINATE 0x0001
#define PROCESS_CREATE_THREAD 0x0002
#define PROCESS_VM_OPERATION 0x0008
#define PROCESS_VM_WRITE 0x0020
#define THREAD_TERMINATE 0x0001
#define THREAD_SUSPEND_RESUME 0x0002

#define HARMS_PROCESS (PROCESS_TERMINATE | PROCESS_CREATE_THREAD | PROCESS_VM_OPERATION | PROCESS_VM_WRITE)
#define HARMS_THREAD (THREAD_TERMINATE | THREAD_SUSPEND_RESUME)

static PFLT_FILTER Filter;
static PFLT_PORT ServerPort, ClientPort;
static PVOID Registration;
static PEPROCESS volatile Protected;
static LONG Stripped;

static OB_PREOP_CALLBACK_STATUS
PreOpen(PVOID Context, POB_PRE_OPERATION_INFORMATION Info)
{
    PEPROCESS target = Info->ObjectType == *PsProcessType ? (PEPROCESS)Info->Object
                                                          : IoThreadToProcess((PETHREAD)Info->Object);
    ACCESS_MASK harm = Info->ObjectType == *PsProcessType ? HARMS_PROCESS : HARMS_THREAD;
    PACCESS_MASK desired = Info->Operation == OB_OPERATION_HANDLE_CREATE
                               ? &Info->Parameters->CreateHandleInformation.DesiredAccess
                               : &Info->Parameters->DuplicateHandleInformation.DesiredAccess;

    UNREFERENCED_PARAMETER(Context);
    if (Info->KernelHandle || target != Protected || target == PsGetCurrentProcess()) {
        return OB_PREOP_SUCCESS;
    }
    if (*desired & harm) {
        *desired &= ~harm;
        InterlockedIncrement(&Stripped);
    }
    return OB_PREOP_SUCCESS;
}

static VOID
PostOpen(PVOID Context, POB_POST_OPERATION_INFORMATION Info)
{
    UNREFERENCED_PARAMETER(Context);
    if (!Info->KernelHandle && !NT_SUCCESS(Info->ReturnStatus)) {
        DbgPrint("obguard: open failed with 0x%08x\n", Info->ReturnStatus);
    }
}

static NTSTATUS
Connect(PFLT_PORT Port, PVOID ServerCookie, PVOID Context, ULONG Size, PVOID *Cookie)
{
    UNREFERENCED_PARAMETER(ServerCookie);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Size);
    *Cookie = NULL;
    ClientPort = Port;
    Protected = PsGetCurrentProcess();
    ObReferenceObject(Protected);
    return STATUS_SUCCESS;
}

static VOID
Disconnect(PVOID Cookie)
{
    PEPROCESS gone = InterlockedExchangePointer((PVOID volatile *)&Protected, NULL);

    UNREFERENCED_PARAMETER(Cookie);
    FltCloseClientPort(Filter, &ClientPort);
    ObDereferenceObject(gone);
}

/* The client asks how often something was taken off. */
static NTSTATUS
Message(PVOID Cookie, PVOID In, ULONG InSize, PVOID Out, ULONG OutSize, PULONG Returned)
{
    UNREFERENCED_PARAMETER(Cookie);
    UNREFERENCED_PARAMETER(In);
    UNREFERENCED_PARAMETER(InSize);
    *Returned = 0;
    if (Out == NULL || OutSize < sizeof(LONG)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    __try {
        ProbeForWrite(Out, sizeof(LONG), 1);
        *(UNALIGNED LONG *)Out = Stripped;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    *Returned = sizeof(LONG);
    return STATUS_SUCCESS;
}

static NTSTATUS
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(ServerPort);
    ObUnRegisterCallbacks(Registration);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION FilterRegistration = {
    .Size = sizeof(FLT_REGISTRATION), .Version = FLT_REGISTRATION_VERSION, .FilterUnloadCallback = Unload};

static NTSTATUS
Protect(void)
{
    OB_OPERATION_REGISTRATION operations[2] = {
        {PsProcessType, OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE, PreOpen, PostOpen},
        {PsThreadType, OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE, PreOpen, PostOpen},
    };
    OB_CALLBACK_REGISTRATION callbacks = {
        .Version = ObGetFilterVersion(),
        .OperationRegistrationCount = ARRAYSIZE(operations),
        .Altitude = RTL_CONSTANT_STRING(L"385044.1"),
        .OperationRegistration = operations,
    };

    return ObRegisterCallbacks(&callbacks, &Registration);
}

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\obguard");
    PSECURITY_DESCRIPTOR sd = NULL;
    OBJECT_ATTRIBUTES oa;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &FilterRegistration, &Filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltBuildDefaultSecurityDescriptor(&sd, FLT_PORT_ALL_ACCESS);
    if (NT_SUCCESS(status)) {
        InitializeObjectAttributes(&oa, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, sd);
        status = FltCreateCommunicationPort(Filter, &ServerPort, &oa, NULL, Connect, Disconnect, Message, 1);
        FltFreeSecurityDescriptor(sd);
    }
    if (!NT_SUCCESS(status)) {
        goto unregister;
    }
    status = Protect();
    if (!NT_SUCCESS(status)) {
        goto close;
    }
    status = FltStartFiltering(Filter);
    if (NT_SUCCESS(status)) {
        return STATUS_SUCCESS;
    }
    ObUnRegisterCallbacks(Registration);
close:
    FltCloseCommunicationPort(ServerPort);
unregister:
    FltUnregisterFilter(Filter);
    return status;
}
