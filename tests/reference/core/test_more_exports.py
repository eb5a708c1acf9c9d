"""What no other driver of the tests calls: questions of the machine, audits, privileges, notifications, file opens."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static PDRIVER_OBJECT Self;
static PDEVICE_OBJECT Device;
static LONG Told;
NTKERNELAPI ULONG NTAPI MmIsDriverSuspectForVerifier(DRIVER_OBJECT *);
NTKERNELAPI BOOLEAN NTAPI FsRtlIs32BitProcess(PEPROCESS);
NTKERNELAPI ULONG NTAPI vDbgPrintEx(ULONG, ULONG, PCCH, va_list);
NTKERNELAPI ULONG NTAPI vDbgPrintExWithPrefix(PCCH, ULONG, ULONG, PCCH, va_list);
NTKERNELAPI VOID NTAPI ExGetCurrentProcessorCounts(PULONG, PULONG, PULONG);
NTKERNELAPI UCHAR *NTAPI PsGetProcessImageFileName(PEPROCESS);
NTSYSAPI PVOID NTAPI RtlFindAceByType(PACL, UCHAR, PULONG);
NTSYSAPI NTSTATUS NTAPI RtlQueryTimeZoneInformation(PVOID);
NTSYSAPI VOID NTAPI RtlRaiseException(PEXCEPTION_RECORD);
NTKERNELAPI ULONG NTAPI SeTokenImpersonationLevel(PACCESS_TOKEN);
NTKERNELAPI NTSTATUS NTAPI SeCreateAccessStateEx(PVOID, PVOID, PACCESS_STATE, PVOID, ACCESS_MASK, PGENERIC_MAPPING);
#define U(Name, Text) UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)

static ULONG Print(PCSTR Format, ...)
{
    va_list List;
    ULONG Status;

    va_start(List, Format);
    Status = vDbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, Format, List);
    va_end(List);
    return Status;
}

static ULONG PrintWithPrefix(PCSTR Format, ...)
{
    va_list List;
    ULONG Status;

    va_start(List, Format);
    Status = vDbgPrintExWithPrefix("prefix ", DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, Format, List);
    va_end(List);
    return Status;
}

EXPORT ULONG Debug(void)
{
    CHECK(Print("printed %d\n", 42) == STATUS_SUCCESS && PrintWithPrefix("and %s\n", "text") == STATUS_SUCCESS);
    return Checks;
}

EXPORT ULONG Questions(void)
{
    ULONG Idle = 0, Kernel = 0, Index = 9, Index2 = 0;
    UCHAR Zone[172], Acl[64], Sid[16];
    static SID_IDENTIFIER_AUTHORITY World = { { 0, 0, 0, 0, 0, 1 } };
    U(Path, L"\\dir\\File.TXT"); U(End, L".txt");
    EXCEPTION_RECORD Record = { .ExceptionCode = STATUS_DATA_ERROR };
    UCHAR From[16] = "0123456789abcde", To[16];

    ExGetCurrentProcessorCounts(&Idle, &Kernel, &Index);
    CHECK(Index < 2 && !FsRtlIs32BitProcess(PsGetCurrentProcess()));
    CHECK(strcmp((char *)PsGetProcessImageFileName(PsInitialSystemProcess), "System") == 0);
    PUCHAR Found = (PUCHAR)PsInitialSystemProcess; /* where drivers that know no offset look for it */
    while (_strnicmp((char *)Found, "system", 6) != 0) {
        Found++;
    }
    CHECK(Found == PsGetProcessImageFileName(PsInitialSystemProcess));
    CHECK(RtlQueryTimeZoneInformation(Zone) == STATUS_SUCCESS && *(PLONG)Zone == 0);
    CHECK(RtlSuffixUnicodeString(&End, &Path, TRUE) && !RtlSuffixUnicodeString(&End, &Path, FALSE));
    RtlInitializeSid(Sid, &World, 1);
    *RtlSubAuthoritySid(Sid, 0) = 0;
    RtlCreateAcl((PACL)Acl, sizeof(Acl), ACL_REVISION);
    RtlAddAccessAllowedAce((PACL)Acl, ACL_REVISION, GENERIC_READ, Sid);
    CHECK(RtlFindAceByType((PACL)Acl, ACCESS_ALLOWED_ACE_TYPE, &Index2) == Acl + sizeof(ACL) && Index2 == 0);
    CHECK(RtlFindAceByType((PACL)Acl, ACCESS_DENIED_ACE_TYPE, NULL) == NULL);
    __try { RtlRaiseException(&Record); CHECK(FALSE); } __except (EXCEPTION_EXECUTE_HANDLER) { CHECK(GetExceptionCode() == STATUS_DATA_ERROR); }
    __try { ExRaiseAccessViolation(); CHECK(FALSE); } __except (EXCEPTION_EXECUTE_HANDLER) { CHECK(GetExceptionCode() == STATUS_ACCESS_VIOLATION); }
    __try { ExRaiseDatatypeMisalignment(); CHECK(FALSE); } __except (EXCEPTION_EXECUTE_HANDLER) { CHECK(GetExceptionCode() == STATUS_DATATYPE_MISALIGNMENT); }
    __try { ProbeForWrite((PVOID)(ULONG_PTR)0xFFFF800000000000, 8, 1); CHECK(FALSE); } __except (EXCEPTION_EXECUTE_HANDLER) { CHECK(GetExceptionCode() == STATUS_ACCESS_VIOLATION); }
    RtlCopyMemoryNonTemporal(To, From, sizeof(To));
    CHECK(RtlEqualMemory(To, From, sizeof(To)) && MmIsDriverSuspectForVerifier(Self) == 1);
    return Checks;
}

static VOID NTAPI Ended(PLUID Luid) { UNREFERENCED_PARAMETER(Luid); }
static NTSTATUS NTAPI Plugged(PVOID Structure, PVOID Context) { UNREFERENCED_PARAMETER(Structure); UNREFERENCED_PARAMETER(Context); return STATUS_SUCCESS; }
static VOID NTAPI Again(PDRIVER_OBJECT Driver, PVOID Context, ULONG Count) { UNREFERENCED_PARAMETER(Driver); UNREFERENCED_PARAMETER(Context); UNREFERENCED_PARAMETER(Count); }

EXPORT ULONG Notifications(void)
{
    PVOID Entry = NULL;
    GUID Interface = { 3 };

    CHECK(SeRegisterLogonSessionTerminatedRoutine((PVOID)Ended) == STATUS_SUCCESS);
    CHECK(SeUnregisterLogonSessionTerminatedRoutine((PVOID)Ended) == STATUS_SUCCESS);
    CHECK(SeUnregisterLogonSessionTerminatedRoutine((PVOID)Ended) != STATUS_SUCCESS);
    CHECK(IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange, 0, &Interface, Self, Plugged, NULL, &Entry) == STATUS_SUCCESS);
    CHECK(IoUnregisterPlugPlayNotification(Entry) == STATUS_SUCCESS);
    IoRegisterBootDriverReinitialization(Self, Again, NULL);
    CHECK(IoRegisterLastChanceShutdownNotification(Device) == STATUS_SUCCESS);
    IoUnregisterShutdownNotification(Device);
    CHECK(IoWMIRegistrationControl(Device, WMIREG_ACTION_REGISTER) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, WMIREG_ACTION_DEREGISTER) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, 99) == STATUS_INVALID_PARAMETER);
    return Checks;
}

EXPORT ULONG Access(void)
{
    static UCHAR State[0x100], Aux[0x100];
    GENERIC_MAPPING Mapping = { 1, 2, 4, 7 };
    SECURITY_SUBJECT_CONTEXT Subject;

    CHECK(SeCreateAccessStateEx(PsGetCurrentThread(), PsGetCurrentProcess(), (PACCESS_STATE)State, Aux, GENERIC_READ, &Mapping) == 0);
    CHECK(((PACCESS_STATE)State)->RemainingDesiredAccess == 1);
    SeSetAccessStateGenericMapping((PACCESS_STATE)State, &Mapping);
    SeDeleteAccessState((PACCESS_STATE)State);
    SeCaptureSubjectContext(&Subject);
    CHECK(SeTokenImpersonationLevel(SeQuerySubjectContextToken(&Subject)) <= SecurityDelegation);
    SeReleaseSubjectContext(&Subject);
    return Checks;
}

EXPORT ULONG Files(void)
{
    U(Name, L"\\??\\V:\\more.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle;
    PFILE_OBJECT File = NULL;
    FILE_NETWORK_OPEN_INFORMATION Stat;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Handle, FILE_GENERIC_WRITE, &Attributes, &Iosb, NULL, 0, 0, FILE_CREATE, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == 0);
    ZwClose(Handle);
    CHECK(ZwQueryFullAttributesFile(&Attributes, (PVOID)&Stat) == STATUS_SUCCESS);
    CHECK(ZwOpenFile(&Handle, FILE_GENERIC_WRITE, &Attributes, &Iosb, 7, FILE_SYNCHRONOUS_IO_NONALERT) == STATUS_SUCCESS);
    CHECK(ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL) == 0);
    CHECK(MmForceSectionClosedEx(File->SectionObjectPointer, 3) && !CcIsThereDirtyData(File->Vpb));
    CHECK(CcGetFileObjectFromSectionPtrsRef(File->SectionObjectPointer) == NULL);
    CcCoherencyFlushAndPurgeCache(File->SectionObjectPointer, NULL, 0, &Iosb, 0);
    CHECK(Iosb.Status == STATUS_SUCCESS);
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver) { IoDeleteDevice(Driver->DeviceObject); }

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Self = Driver;
    Driver->DriverUnload = Unload;
    return IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
}
"""


def test_the_rest_answers_as_its_documentation_says(load, tmp_path: Path):
    machine = load(DRIVER, entry=False, volumes={"V:": tmp_path})

    for function in ("Debug", "Questions", "Notifications", "Access", "Files"):
        machine.check(function)
    assert any("printed 42" in line for line in machine.kernel.log)
    assert any("prefix and text" in line for line in machine.kernel.log)
    assert machine.findings == []
    assert machine.unload() == []
