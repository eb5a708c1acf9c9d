"""Processes, threads and tokens, as a driver opens, references and asks them; object callbacks."""

DRIVER = r"""
EXPORT ULONG Processes(void)
{
    PEPROCESS Process = NULL;
    PETHREAD Thread = NULL;
    PUNICODE_STRING Name = NULL;
    CLIENT_ID Client = { PsGetCurrentProcessId(), NULL };
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle = NULL;
    PROCESS_BASIC_INFORMATION Basic;
    ULONG Returned = 0;
    UCHAR Small[4];

    CHECK(PsLookupProcessByProcessId((HANDLE)0x7777, &Process) == STATUS_INVALID_CID);
    CHECK(PsLookupProcessByProcessId((HANDLE)4, &Process) == STATUS_SUCCESS);
    CHECK(Process == PsInitialSystemProcess && PsIsSystemProcess(Process));
    CHECK(PsGetProcessInheritedFromUniqueProcessId(Process) == 0);
    CHECK(PsGetProcessExitStatus(Process) == STATUS_PENDING);
    CHECK(PsGetProcessCreateTimeQuadPart(Process) != 0);
    CHECK(SeLocateProcessImageName(Process, &Name) == STATUS_SUCCESS && Name->Length == 0);
    ExFreePool(Name);
    ObDereferenceObject(Process);
    Client.UniqueThread = PsGetCurrentThreadId();
    CHECK(PsLookupProcessThreadByCid(&Client, &Process, &Thread) == STATUS_SUCCESS);
    CHECK(Thread == PsGetCurrentThread() && PsGetThreadProcess(Thread) == Process);
    ObDereferenceObject(Thread);
    ObDereferenceObject(Process);

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    Client.UniqueProcess = (HANDLE)0x7778;
    Client.UniqueThread = NULL;
    CHECK(ZwOpenProcess(&Handle, PROCESS_ALL_ACCESS, &Attributes, &Client) == STATUS_INVALID_PARAMETER);
    CHECK(ZwOpenProcess(&Handle, PROCESS_ALL_ACCESS, &Attributes, NULL) == STATUS_INVALID_PARAMETER_MIX);
    Client.UniqueProcess = PsGetCurrentProcessId();
    CHECK(ZwOpenProcess(&Handle, PROCESS_ALL_ACCESS, &Attributes, &Client) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationProcess(Handle, ProcessBasicInformation, &Basic, sizeof(Basic), &Returned) == 0);
    CHECK(Basic.UniqueProcessId == (ULONG_PTR)PsGetCurrentProcessId() && Returned == sizeof(Basic));
    CHECK(ZwQueryInformationProcess(Handle, ProcessBasicInformation, Small, sizeof(Small), NULL)
          == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryInformationProcess(Handle, 255, Small, sizeof(Small), NULL) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwQueryInformationThread(Handle, ThreadTimes, Small, 4, NULL) == STATUS_OBJECT_TYPE_MISMATCH);
    ZwClose(Handle);
    Client.UniqueThread = PsGetCurrentThreadId();
    CHECK(ZwOpenThread(&Handle, THREAD_ALL_ACCESS, &Attributes, &Client) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationThread(Handle, ThreadIsTerminated, Small, 4, NULL) == 0 && Small[0] == 0);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG Tokens(void)
{
    SECURITY_SUBJECT_CONTEXT Subject;
    PACCESS_TOKEN Token, Filtered;
    PTOKEN_USER User = NULL;
    PTOKEN_STATISTICS Statistics = NULL;
    PRIVILEGE_SET Needed = { 1, PRIVILEGE_SET_ALL_NECESSARY, { { { SE_DEBUG_PRIVILEGE, 0 }, 0 } } };
    LUID Load = { SE_LOAD_DRIVER_PRIVILEGE, 0 }, Logon;
    PTOKEN_ELEVATION Elevation;
    ULONG Integrity = 0;
    UCHAR Room[512];
    HANDLE Handle;
    ULONG Length = 0;

    SeCaptureSubjectContext(&Subject);
    Token = SeQuerySubjectContextToken(&Subject);
    CHECK(Token == Subject.PrimaryToken && Subject.ClientToken == NULL);
    CHECK(SeTokenIsAdmin(Token) && !SeTokenIsRestricted(Token) && SeTokenType(Token) == TokenPrimary);
    CHECK(SeQueryInformationToken(Token, TokenUser, (PVOID *)&User) == 0);
    CHECK(RtlValidSid(User->User.Sid) && *RtlSubAuthoritySid(User->User.Sid, 0) == 18);
    ExFreePool(User);
    CHECK(SeQueryInformationToken(Token, TokenStatistics, (PVOID *)&Statistics) == 0);
    CHECK(Statistics->TokenType == TokenPrimary && Statistics->AuthenticationId.LowPart == 0x3E7);
    ExFreePool(Statistics);
    CHECK(SeQueryInformationToken(Token, TokenElevation, (PVOID *)&Elevation) == 0 && Elevation->TokenIsElevated);
    ExFreePool(Elevation);
    CHECK(SeQueryInformationToken(Token, TokenIntegrityLevel, (PVOID *)&Integrity) == 0 && Integrity == 0x4000);
    CHECK(SeQueryInformationToken(Token, 99, (PVOID *)&User) == STATUS_INVALID_INFO_CLASS);
    CHECK(SeQueryAuthenticationIdToken(Token, &Logon) == 0);
    CHECK(SeMarkLogonSessionForTerminationNotification(&Logon) == 0);
    Logon.LowPart = 77;
    CHECK(SeMarkLogonSessionForTerminationNotification(&Logon) == STATUS_NOT_FOUND);
    CHECK(SePrivilegeCheck(&Needed, &Subject, UserMode));
    CHECK(Needed.Privilege[0].Attributes & SE_PRIVILEGE_USED_FOR_ACCESS);
    CHECK(SeSinglePrivilegeCheck(Load, UserMode) && SeSinglePrivilegeCheck(Load, KernelMode));

    CHECK(SeFilterToken(Token, DISABLE_MAX_PRIVILEGE | LUA_TOKEN, NULL, NULL, NULL, &Filtered) == 0);
    CHECK(!SeTokenIsAdmin(Filtered) && !SeTokenIsRestricted(Filtered));
    CHECK(SeQueryInformationToken(Filtered, TokenUser, (PVOID *)&User) == 0);
    ExFreePool(User);
    ObDereferenceObject(Filtered);
    SeReleaseSubjectContext(&Subject);

    CHECK(ZwOpenProcessTokenEx(NtCurrentProcess(), TOKEN_QUERY, OBJ_KERNEL_HANDLE, &Handle) == 0);
    CHECK(ZwQueryInformationToken(Handle, TokenUser, Room, 4, &Length) == STATUS_BUFFER_TOO_SMALL && Length > 16);
    CHECK(ZwQueryInformationToken(Handle, TokenUser, Room, sizeof(Room), &Length) == 0);
    CHECK(((PTOKEN_USER)Room)->User.Sid == Room + sizeof(TOKEN_USER));
    ZwClose(Handle);
    CHECK(ZwOpenThreadTokenEx(NtCurrentThread(), TOKEN_QUERY, TRUE, OBJ_KERNEL_HANDLE, &Handle) == STATUS_NO_TOKEN);
    return Checks;
}

static ACCESS_MASK Access(PSECURITY_DESCRIPTOR Descriptor, PSECURITY_SUBJECT_CONTEXT Subject, ACCESS_MASK Wanted)
{
    GENERIC_MAPPING Mapping = { 0x120089, 0x120116, 0x1200A0, 0x1F01FF };
    ACCESS_MASK Granted = 0;
    NTSTATUS Status;

    return SeAccessCheck(Descriptor, Subject, FALSE, Wanted, 0, NULL, &Mapping, UserMode, &Granted, &Status)
        ? Granted : (ACCESS_MASK)Status;
}

EXPORT ULONG Impersonation(void)
{
    SECURITY_QUALITY_OF_SERVICE Quality = { sizeof(Quality), SecurityImpersonation, SECURITY_STATIC_TRACKING, FALSE };
    SECURITY_CLIENT_CONTEXT Client;
    SECURITY_SUBJECT_CONTEXT Subject;
    PACCESS_TOKEN Token, Filtered;
    SECURITY_IMPERSONATION_LEVEL Level;
    BOOLEAN Copy, Effective;
    SECURITY_DESCRIPTOR Descriptor;
    ACCESS_STATE State;
    GENERIC_MAPPING Mapping = { 0x120089, 0x120116, 0x1200A0, 0x1F01FF };
    struct { ACL Acl; UCHAR Rest[200]; } Dacl;
    static UCHAR Auxiliary[0x100];
    static SID Administrators[2] = { { SID_REVISION, 2, SECURITY_NT_AUTHORITY, { 32 } } };
    static SID Everyone = { SID_REVISION, 1, SECURITY_WORLD_SID_AUTHORITY, { 0 } };

    *RtlSubAuthoritySid(Administrators, 1) = 544;
    Token = PsReferencePrimaryToken(PsGetCurrentProcess());
    CHECK(SeFilterToken(Token, LUA_TOKEN, NULL, NULL, NULL, &Filtered) == 0);
    PsDereferencePrimaryToken(Token);
    RtlCreateSecurityDescriptor(&Descriptor, SECURITY_DESCRIPTOR_REVISION);
    RtlCreateAcl(&Dacl.Acl, sizeof(Dacl), ACL_REVISION);
    RtlAddAccessAllowedAce(&Dacl.Acl, ACL_REVISION, GENERIC_READ, &Everyone);
    RtlAddAccessAllowedAce(&Dacl.Acl, ACL_REVISION, GENERIC_ALL, Administrators);
    RtlSetDaclSecurityDescriptor(&Descriptor, TRUE, &Dacl.Acl, FALSE);

    SeCaptureSubjectContext(&Subject);
    CHECK(Access(&Descriptor, &Subject, FILE_WRITE_DATA) == FILE_WRITE_DATA);
    CHECK(Access(&Descriptor, &Subject, MAXIMUM_ALLOWED) == 0x1F01FF);
    SeReleaseSubjectContext(&Subject);

    CHECK(PsImpersonateClient(PsGetCurrentThread(), Filtered, FALSE, FALSE, SecurityImpersonation) == 0);
    CHECK(PsIsThreadImpersonating(PsGetCurrentThread()));
    Token = PsReferenceImpersonationToken(PsGetCurrentThread(), &Copy, &Effective, &Level);
    CHECK(Token == Filtered && Level == SecurityImpersonation);
    PsDereferenceImpersonationToken(Token);
    SeCaptureSubjectContext(&Subject);
    CHECK(Subject.ClientToken == Filtered && SeQuerySubjectContextToken(&Subject) == Filtered);
    CHECK(Access(&Descriptor, &Subject, FILE_WRITE_DATA) == (ACCESS_MASK)STATUS_ACCESS_DENIED);
    CHECK(Access(&Descriptor, &Subject, GENERIC_READ) == 0x120089);
    CHECK(Access(&Descriptor, &Subject, ACCESS_SYSTEM_SECURITY) == (ACCESS_MASK)STATUS_PRIVILEGE_NOT_HELD);
    SeReleaseSubjectContext(&Subject);
    CHECK(SeCreateAccessState(&State, Auxiliary, GENERIC_READ, &Mapping) == 0);
    CHECK(State.RemainingDesiredAccess == 0x120089 && State.SubjectSecurityContext.ClientToken == Filtered);
    SeDeleteAccessState(&State);

    CHECK(SeCreateClientSecurity(PsGetCurrentThread(), &Quality, FALSE, &Client) == 0);
    CHECK(Client.ClientToken != Filtered && !Client.DirectlyAccessClientToken);
    PsRevertToSelf();
    CHECK(!PsIsThreadImpersonating(PsGetCurrentThread()));
    CHECK(SeImpersonateClientEx(&Client, NULL) == 0);
    Token = PsReferenceImpersonationToken(PsGetCurrentThread(), &Copy, &Effective, &Level);
    CHECK(Token == Client.ClientToken && !SeTokenIsAdmin(Token) && SeTokenType(Token) == TokenImpersonation);
    PsDereferenceImpersonationToken(Token);
    PsRevertToSelf();
    PsDereferenceImpersonationToken(Client.ClientToken);
    ObDereferenceObject(Filtered);
    return Checks;
}

static ULONG Before, After;

static OB_PREOP_CALLBACK_STATUS Pre(PVOID Context, POB_PRE_OPERATION_INFORMATION Information)
{
    Before++;
    if (Context != &Before) DbgPrint("context is not true: Pre");
    if (Information->Operation == OB_OPERATION_HANDLE_CREATE && !Information->KernelHandle) {
        Information->Parameters->CreateHandleInformation.DesiredAccess &= ~1u;
    }
    Information->CallContext = &After;
    return OB_PREOP_SUCCESS;
}

static VOID Post(PVOID Context, POB_POST_OPERATION_INFORMATION Information)
{
    UNREFERENCED_PARAMETER(Context);
    if (Information->CallContext != &After || Information->ReturnStatus) DbgPrint("context is not true: Post");
    After = Information->Parameters->CreateHandleInformation.GrantedAccess;
}

EXPORT ULONG Callbacks(ULONG Leave)
{
    OB_OPERATION_REGISTRATION Operation = { PsProcessType, OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE,
                                            Pre, Post };
    OB_CALLBACK_REGISTRATION Registration = { OB_FLT_REGISTRATION_VERSION, 1, RTL_CONSTANT_STRING(L"321000"), &Before,
                                              &Operation };
    OBJECT_ATTRIBUTES Attributes;
    CLIENT_ID Client = { PsGetCurrentProcessId(), NULL };
    PVOID Handle = NULL, Second = NULL;
    HANDLE Process, Copy;

    CHECK(ObGetFilterVersion() == OB_FLT_REGISTRATION_VERSION);
    Registration.Version = 0x0200;
    CHECK(ObRegisterCallbacks(&Registration, &Handle) == STATUS_INVALID_PARAMETER);
    Registration.Version = OB_FLT_REGISTRATION_VERSION;
    Operation.ObjectType = IoFileObjectType;
    CHECK(ObRegisterCallbacks(&Registration, &Handle) == STATUS_INVALID_PARAMETER);
    Operation.ObjectType = PsProcessType;
    CHECK(ObRegisterCallbacks(&Registration, &Handle) == STATUS_SUCCESS);
    if (Leave) return Checks;
    CHECK(ObRegisterCallbacks(&Registration, &Second) == (NTSTATUS)0xC01C0011);
    InitializeObjectAttributes(&Attributes, NULL, 0, NULL, NULL);
    CHECK(ZwOpenProcess(&Process, PROCESS_ALL_ACCESS, &Attributes, &Client) == 0);
    CHECK(Before == 1 && After == (PROCESS_ALL_ACCESS & ~1u));
    CHECK(ZwDuplicateObject(NtCurrentProcess(), Process, NtCurrentProcess(), &Copy, 0x400, 0, 0) == 0);
    CHECK(Before == 2 && After == 0x400);
    ZwClose(Copy);
    ZwClose(Process);
    ObUnRegisterCallbacks(Handle);
    CHECK(ZwOpenProcess(&Process, PROCESS_ALL_ACCESS, &Attributes, &Client) == 0);
    CHECK(Before == 2);
    ZwClose(Process);
    return Checks;
}

EXPORT ULONG Leak(void)
{
    PEPROCESS Process;
    (VOID)PsReferencePrimaryToken(PsGetCurrentProcess());
    return PsLookupProcessByProcessId((HANDLE)4, &Process);
}

static VOID Created(HANDLE Process, HANDLE Thread, BOOLEAN Create)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(Thread);
    Before += Create ? 1 : 100;
}

static VOID Nothing(PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
}

EXPORT ULONG Threads(void)
{
    HANDLE Thread;

    Before = 0;
    CHECK(PsSetCreateThreadNotifyRoutine(Created) == 0);
    CHECK(PsSetCreateThreadNotifyRoutine(Created) == STATUS_INVALID_PARAMETER);
    CHECK(PsCreateSystemThread(&Thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Nothing, NULL) == 0);
    CHECK(Before % 100 == 1);
    ZwWaitForSingleObject(Thread, FALSE, NULL);
    ZwClose(Thread);
    CHECK(Before == 101);
    CHECK(PsRemoveCreateThreadNotifyRoutine(Created) == 0);
    CHECK(PsRemoveCreateThreadNotifyRoutine(Created) == STATUS_PROCEDURE_NOT_FOUND);
    return PsSetCreateThreadNotifyRoutine(Created) == 0 ? Checks : 0;
}
"""


def test_a_driver_asks_processes_and_tokens(load):
    machine = load(DRIVER)

    for function in ("Processes", "Tokens", "Impersonation", "Callbacks"):
        machine.check(function)

    assert machine.unload() == []


def test_what_a_driver_leaves_registered_or_referenced_is_reported(load):
    machine = load(DRIVER)

    machine.check("Threads")
    machine.check("Callbacks", 1)
    machine.call("Leak")

    findings = machine.unload()
    assert len(findings) == 4
    told = "\n".join(findings)
    assert "PsRemoveCreateThreadNotifyRoutine" in told
    assert "a registration of object callbacks at altitude 321000" in told
    assert "reference to a Token" in told
    assert "reference to a Process" in told


def test_a_type_of_objects_may_be_declared_as_the_kit_does(load):
    machine = load(
        """
        extern POBJECT_TYPE *IoDriverObjectType;
        NTSTATUS NTAPI ObReferenceObjectByHandle(HANDLE, ACCESS_MASK, POBJECT_TYPE, KPROCESSOR_MODE, PVOID *,
                                                 POBJECT_HANDLE_INFORMATION);
        EXPORT ULONG Types(void)
        {
            PVOID Object = NULL;
            CHECK(*IoDriverObjectType != NULL && *IoDriverObjectType != *PsProcessType);
            CHECK(ObReferenceObjectByHandle(NtCurrentProcess(), 0, *PsThreadType, KernelMode, &Object, NULL)
                  == STATUS_OBJECT_TYPE_MISMATCH);
            CHECK(ObReferenceObjectByHandle(NtCurrentProcess(), 0, *PsProcessType, KernelMode, &Object, NULL) == 0);
            ObDereferenceObject(Object);
            return Checks;
        }
        """
    )

    machine.check("Types")
