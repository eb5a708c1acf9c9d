"""Ps, Se, Ob and the registry's Zw calls: processes, threads, tokens, handles and keys, called from machine code."""

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
NTKERNELAPI PVOID NTAPI PsGetProcessDebugPort(PEPROCESS); NTKERNELAPI BOOLEAN NTAPI PsIsProcessBeingDebugged(PEPROCESS);
NTKERNELAPI BOOLEAN NTAPI PsGetProcessExitProcessCalled(PEPROCESS); NTKERNELAPI PVOID NTAPI PsGetProcessPeb(PEPROCESS);
NTKERNELAPI UCHAR NTAPI PsGetProcessPriorityClass(PEPROCESS); NTKERNELAPI PVOID NTAPI PsGetProcessSectionBaseAddress(PEPROCESS);
NTKERNELAPI ULONG NTAPI PsGetCurrentProcessSessionId(VOID); NTKERNELAPI PVOID NTAPI PsGetCurrentProcessWin32Process(VOID);
NTKERNELAPI CHAR NTAPI PsGetCurrentThreadPreviousMode(VOID); NTKERNELAPI PVOID NTAPI PsGetCurrentThreadStackBase(VOID);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadStackLimit(VOID); NTKERNELAPI PVOID NTAPI PsGetCurrentThreadTeb(VOID);
NTKERNELAPI LONG NTAPI PsGetThreadFreezeCount(PETHREAD); NTKERNELAPI ULONG NTAPI PsGetThreadSessionId(PETHREAD);
NTKERNELAPI PVOID NTAPI PsGetThreadTeb(PETHREAD);
NTKERNELAPI NTSTATUS NTAPI PsAcquireProcessExitSynchronization(PEPROCESS);
NTKERNELAPI VOID NTAPI PsReleaseProcessExitSynchronization(PEPROCESS);
NTKERNELAPI HANDLE NTAPI PsGetThreadProcessId(PETHREAD);
NTKERNELAPI BOOLEAN NTAPI ObReferenceObjectSafe(PVOID);
NTKERNELAPI NTSTATUS NTAPI ObSetHandleAttributes(HANDLE, PVOID, KPROCESSOR_MODE);
NTKERNELAPI NTSTATUS NTAPI ObOpenObjectByName(POBJECT_ATTRIBUTES, POBJECT_TYPE, KPROCESSOR_MODE, PACCESS_STATE, ACCESS_MASK, PVOID, PHANDLE);
NTKERNELAPI NTSTATUS NTAPI ObOpenObjectByPointerWithTag(PVOID, ULONG, PACCESS_STATE, ACCESS_MASK, POBJECT_TYPE, KPROCESSOR_MODE, ULONG, PHANDLE);
NTKERNELAPI BOOLEAN NTAPI PsDisableImpersonation(PETHREAD, PSE_IMPERSONATION_STATE);
NTKERNELAPI VOID NTAPI PsRestoreImpersonation(PETHREAD, PSE_IMPERSONATION_STATE);
NTKERNELAPI VOID NTAPI PsRevertThreadToSelf(PETHREAD);
NTKERNELAPI VOID NTAPI SeLockSubjectContext(PSECURITY_SUBJECT_CONTEXT);
NTKERNELAPI VOID NTAPI SeCaptureSubjectContextEx(PETHREAD, PEPROCESS, PSECURITY_SUBJECT_CONTEXT);

EXPORT ULONG Processes(void)
{
    PEPROCESS Process = PsGetCurrentProcess();
    PETHREAD Thread = PsGetCurrentThread(), Found = NULL;
    PFILE_OBJECT File = NULL;
    PVOID Here;

    CHECK(PsGetProcessDebugPort(Process) == NULL && !PsIsProcessBeingDebugged(Process));
    CHECK(!PsGetProcessExitProcessCalled(Process) && PsGetProcessPeb(Process) == NULL);
    CHECK(PsGetProcessExitTime().QuadPart == 0 && PsGetProcessPriorityClass(Process) == 2);
    CHECK(PsGetProcessSectionBaseAddress(Process) == NULL && PsGetProcessStartKey(Process) != 0);
    CHECK(PsGetCurrentProcessSessionId() == 0 && PsGetCurrentProcessWin32Process() == NULL);
    CHECK(PsReferenceProcessFilePointer(Process, &File) == STATUS_UNSUCCESSFUL);
    CHECK(PsAcquireProcessExitSynchronization(Process) == 0);
    PsReleaseProcessExitSynchronization(Process);
    CHECK(PsGetCurrentThreadPreviousMode() == KernelMode && PsGetCurrentThreadTeb() == NULL);
    CHECK((PUCHAR)PsGetCurrentThreadStackBase() > (PUCHAR)&Here && (PUCHAR)PsGetCurrentThreadStackLimit() < (PUCHAR)&Here);
    CHECK(PsGetThreadCreateTime(Thread) > 0 && PsGetThreadExitStatus(Thread) == STATUS_PENDING);
    CHECK(PsGetThreadFreezeCount(Thread) == 0 && PsGetThreadProcessId(Thread) == PsGetCurrentProcessId());
    CHECK(PsGetThreadSessionId(Thread) == 0 && PsGetThreadTeb(Thread) == NULL && !PsIsThreadTerminating(Thread));
    CHECK(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &Found) == 0 && Found == Thread);
    ObDereferenceObject(Found);
    CHECK(PsLookupThreadByThreadId((HANDLE)(ULONG_PTR)0x7FFFFFFC, &Found) == STATUS_INVALID_CID);
    CHECK(IoIsSystemThread(Thread));
    return Checks;
}

EXPORT ULONG Objects(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\BaseNamedObjects\\ours");
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Event = NULL, Again = NULL, Third = NULL;
    PVOID Object = NULL, Other = NULL;
    UCHAR Buffer[256];
    ULONG Length = 0;
    PSECURITY_DESCRIPTOR Descriptor = NULL;
    BOOLEAN Allocated = FALSE;
    struct { BOOLEAN Inherit, Protect; } Handle = { TRUE, FALSE };
    PKEVENT Made;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_PERMANENT, NULL, NULL);
    CHECK(ZwCreateEvent(&Event, EVENT_ALL_ACCESS, &Attributes, NotificationEvent, FALSE) == 0);
    CHECK(ObReferenceObjectByHandleWithTag(Event, 0, *ExEventObjectType, KernelMode, TAG, &Object, NULL) == 0);
    CHECK(ObReferenceObjectByPointer(Object, 0, *ExEventObjectType, KernelMode) == 0);
    CHECK(ObReferenceObjectByPointerWithTag(Object, 0, *ExEventObjectType, KernelMode, TAG) == 0);
    CHECK(ObReferenceObjectByPointer(Object, 0, *PsProcessType, KernelMode) == STATUS_OBJECT_TYPE_MISMATCH);
    CHECK(ObReferenceObjectSafe(Object) && ObReferenceObjectSafe(Object));
    ObDereferenceObject(Object);
    ObDereferenceObjectWithTag(Object, TAG);
    ObDereferenceObjectDeferDelete(Object);
    ObDereferenceObjectDeferDeleteWithTag(Object, TAG);
    CHECK(ObQueryNameString(Object, (POBJECT_NAME_INFORMATION)Buffer, sizeof(Buffer), &Length) == 0);
    CHECK(RtlEqualUnicodeString(&((POBJECT_NAME_INFORMATION)Buffer)->Name, &Name, TRUE));
    CHECK(ObQueryNameString(Object, (POBJECT_NAME_INFORMATION)Buffer, 4, &Length) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ObOpenObjectByPointerWithTag(Object, OBJ_KERNEL_HANDLE, NULL, SYNCHRONIZE, NULL, KernelMode, TAG, &Again) == 0);
    CHECK(ObSetHandleAttributes(Again, &Handle, KernelMode) == 0);
    ZwClose(Again);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ObOpenObjectByName(&Attributes, *ExEventObjectType, KernelMode, NULL, EVENT_ALL_ACCESS, NULL, &Third) == 0);
    CHECK(ObReferenceObjectByHandle(Third, 0, NULL, KernelMode, &Other, NULL) == 0 && Other == Object);
    ObDereferenceObject(Other);
    ZwClose(Third);
    CHECK(ObGetObjectSecurity(Object, &Descriptor, &Allocated) == 0);
    ObReleaseObjectSecurity(Descriptor, Allocated);
    CHECK(ZwClearEvent(Event) == 0);
    ObMakeTemporaryObject(Object);
    ObDereferenceObject(Object);
    ZwClose(Event);
    Made = IoCreateNotificationEvent(&Name, &Event);
    CHECK(Made != NULL && KeReadStateEvent(Made) == 1);
    ZwClose(Event);
    Made = IoCreateSynchronizationEvent(&Name, &Event);
    CHECK(Made != NULL && KeReadStateEvent(Made) == 1);
    ZwClose(Event);
    return Checks;
}

EXPORT ULONG Keys(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software\\ObjectExports"), Value = RTL_CONSTANT_STRING(L"v");
    UNICODE_STRING Sub = RTL_CONSTANT_STRING(L"sub");
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Key, Again, Child;
    UCHAR Buffer[256];
    ULONG Length = 0, Number = 7, Disposition = 0;
    PKEY_FULL_INFORMATION Full = (PKEY_FULL_INFORMATION)Buffer;
    PKEY_BASIC_INFORMATION Basic = (PKEY_BASIC_INFORMATION)Buffer;
    PKEY_VALUE_FULL_INFORMATION Whole = (PKEY_VALUE_FULL_INFORMATION)Buffer;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ZwCreateKey(&Key, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, &Disposition) == 0 && Disposition == REG_CREATED_NEW_KEY);
    CHECK(ZwSetValueKey(Key, &Value, 0, REG_DWORD, &Number, sizeof(Number)) == 0);
    CHECK(ZwOpenKeyEx(&Again, KEY_READ, &Attributes, 0) == 0);
    InitializeObjectAttributes(&Attributes, &Sub, OBJ_KERNEL_HANDLE, Key, NULL);
    CHECK(ZwCreateKey(&Child, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL) == 0);
    CHECK(ZwQueryKey(Again, KeyFullInformation, Full, sizeof(Buffer), &Length) == 0 && Full->SubKeys == 1 && Full->Values == 1);
    CHECK(ZwQueryKey(Again, KeyFullInformation, Full, 4, &Length) == STATUS_BUFFER_TOO_SMALL);
    CHECK(ZwEnumerateKey(Again, 0, KeyBasicInformation, Basic, sizeof(Buffer), &Length) == 0 && Basic->NameLength == 6);
    CHECK(ZwEnumerateKey(Again, 1, KeyBasicInformation, Basic, sizeof(Buffer), &Length) == STATUS_NO_MORE_ENTRIES);
    CHECK(ZwEnumerateValueKey(Again, 0, KeyValueFullInformation, Whole, sizeof(Buffer), &Length) == 0);
    CHECK(Whole->Type == REG_DWORD && Whole->DataLength == 4 && *(PULONG)(Buffer + Whole->DataOffset) == 7);
    CHECK(ZwEnumerateValueKey(Again, 1, KeyValueFullInformation, Whole, sizeof(Buffer), &Length) == STATUS_NO_MORE_ENTRIES);
    CHECK(ZwFlushKey(Key) == 0 && ZwDeleteValueKey(Key, &Value) == 0);
    CHECK(ZwDeleteValueKey(Key, &Value) == STATUS_OBJECT_NAME_NOT_FOUND && ZwDeleteKey(Child) == 0 && ZwDeleteKey(Key) == 0);
    ZwClose(Again);
    ZwClose(Child);
    ZwClose(Key);
    return Checks;
}

EXPORT ULONG Security(void)
{
    SECURITY_SUBJECT_CONTEXT Subject;
    SECURITY_CLIENT_CONTEXT Client;
    SECURITY_QUALITY_OF_SERVICE Quality = { sizeof(Quality), SecurityImpersonation, FALSE, FALSE };
    SE_IMPERSONATION_STATE State;
    PACCESS_TOKEN Token;
    ULONG Session = 9;
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle, Copy;

    SeCaptureSubjectContextEx(PsGetCurrentThread(), PsGetCurrentProcess(), &Subject);
    SeLockSubjectContext(&Subject);
    Token = SeQuerySubjectContextToken(&Subject);
    CHECK(SeQuerySessionIdToken(Token, &Session) == 0 && Session == 0 && !SeTokenIsWriteRestricted(Token));
    SeUnlockSubjectContext(&Subject);
    CHECK(SeCreateClientSecurityFromSubjectContext(&Subject, &Quality, FALSE, &Client) == 0);
    SeImpersonateClient(&Client, NULL);
    CHECK(PsIsThreadImpersonating(PsGetCurrentThread()));
    CHECK(PsDisableImpersonation(PsGetCurrentThread(), &State) && !PsIsThreadImpersonating(PsGetCurrentThread()));
    PsRestoreImpersonation(PsGetCurrentThread(), &State);
    CHECK(PsIsThreadImpersonating(PsGetCurrentThread()));
    PsRevertThreadToSelf(PsGetCurrentThread());
    CHECK(!PsIsThreadImpersonating(PsGetCurrentThread()));
    SeDeleteClientSecurity(&Client);
    SeReleaseSubjectContext(&Subject);
    CHECK(ZwOpenProcessTokenEx(NtCurrentProcess(), TOKEN_DUPLICATE, OBJ_KERNEL_HANDLE, &Handle) == 0);
    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwDuplicateToken(Handle, TOKEN_IMPERSONATE, &Attributes, FALSE, TokenImpersonation, &Copy) == 0);
    CHECK(PsAssignImpersonationToken(PsGetCurrentThread(), Copy) == 0 && PsIsThreadImpersonating(PsGetCurrentThread()));
    CHECK(PsAssignImpersonationToken(PsGetCurrentThread(), NULL) == 0);
    ZwClose(Copy);
    ZwClose(Handle);
    CHECK(ZwOpenThreadTokenEx(NtCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &Handle) == STATUS_NO_TOKEN);
    return Checks;
}

EXPORT ULONG System(void)
{
    static UCHAR Buffer[32768];
    ULONG Needed = 0, Index, Found = 0;
    struct { ULONG Length, Options; } Integrity = { sizeof(Integrity), 0 };
    struct { ULONG Reserved, Resolution, PageSize, Pages, Lowest, Highest, Granularity; ULONG_PTR Minimum, Maximum, Active; CCHAR Processors; } Basic;
    PUCHAR At = Buffer;
    UNICODE_STRING Service = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\none");
    UNICODE_STRING Wrong = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software\\none");
    UNICODE_STRING Ours = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\test");

    CHECK(ZwQuerySystemInformation(SystemBasicInformation, &Basic, sizeof(Basic), &Needed) == 0 && Needed == 64);
    CHECK(Basic.PageSize == PAGE_SIZE && Basic.Processors == 2 && Basic.Active == 3);
    CHECK(ZwQuerySystemInformation(SystemBasicInformation, &Basic, 8, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQuerySystemInformation(SystemCodeIntegrityInformation, &Integrity, 8, &Needed) == 0 && Integrity.Options & 1);
    CHECK(ZwQuerySystemInformation(SystemProcessInformation, Buffer, 16, &Needed) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(Needed > 0x100 && Needed < sizeof(Buffer));
    CHECK(ZwQuerySystemInformation(SystemProcessInformation, Buffer, sizeof(Buffer), &Needed) == 0);
    for (;;) {
        PUNICODE_STRING Name = (PUNICODE_STRING)(At + 0x38);
        if (*(PHANDLE)(At + 0x50) == (HANDLE)4) {
            UNICODE_STRING Expected = RTL_CONSTANT_STRING(L"System");
            CHECK(RtlEqualUnicodeString(Name, &Expected, FALSE) && *(PULONG)(At + 4) > 0);
            CHECK(*(PHANDLE)(At + 0x100 + 0x28) == (HANDLE)4);
            Found++;
        }
        if (*(PULONG)At == 0) break;
        At += *(PULONG)At;
    }
    CHECK(Found == 1);
    CHECK(ZwQuerySystemInformation((SYSTEM_INFORMATION_CLASS)11, Buffer, sizeof(Buffer), &Needed) == 0);
    for (Found = Index = 0; Index < *(PULONG)Buffer; Index++) {
        PUCHAR Module = Buffer + 8 + 0x128 * Index;
        PUCHAR Base = *(PUCHAR *)(Module + 0x10);
        if (Base <= (PUCHAR)System && (PUCHAR)System < Base + *(PULONG)(Module + 0x18)) {
            CHECK(strcmp((char *)Module + 0x28 + *(PUSHORT)(Module + 0x26), "test.sys") == 0);
            Found++;
        }
    }
    CHECK(Found == 1 && *(PULONG)Buffer == 2);
    CHECK(ZwQuerySystemInformation((SYSTEM_INFORMATION_CLASS)64, Buffer, sizeof(Buffer), &Needed) == 0);
    CHECK(ZwQuerySystemInformation((SYSTEM_INFORMATION_CLASS)3, Buffer, 48, &Needed) == 0 && Needed == 48);
    CHECK(ZwQuerySystemInformation((SYSTEM_INFORMATION_CLASS)35, Buffer, 2, &Needed) == 0 && Buffer[1] == 1);
    CHECK(ZwQuerySystemInformation((SYSTEM_INFORMATION_CLASS)9999, Buffer, 2, &Needed) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwLoadDriver(&Service) == STATUS_OBJECT_NAME_NOT_FOUND && ZwLoadDriver(&Wrong) == STATUS_OBJECT_NAME_INVALID);
    CHECK(ZwLoadDriver(&Ours) == STATUS_IMAGE_ALREADY_LOADED);
    CHECK(ZwUnloadDriver(&Service) == STATUS_OBJECT_NAME_NOT_FOUND && ZwUnloadDriver(&Ours) == STATUS_INVALID_DEVICE_REQUEST);
    return Checks;
}
"""


def test_objects_answer_as_their_documentation_says(load):
    machine = load(DRIVER)

    for function in ("Processes", "Objects", "Keys", "Security", "System"):
        machine.check(function)
    assert machine.findings == []
