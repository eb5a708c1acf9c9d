"""The exports that nothing else of the tests calls, each with its answers and its highest IRQL."""

import pytest

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL, all_exports
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static ULONG Heard, Created, Begun;
NTKERNELAPI NTSTATUS NTAPI EtwWriteStartScenario(REGHANDLE, PCEVENT_DESCRIPTOR, LPCGUID, ULONG, PEVENT_DATA_DESCRIPTOR);
NTKERNELAPI NTSTATUS NTAPI EtwWriteEndScenario(REGHANDLE, PCEVENT_DESCRIPTOR, LPCGUID, ULONG, PEVENT_DATA_DESCRIPTOR);
NTKERNELAPI ULONG NTAPI ExGetFirmwareType(VOID);
NTKERNELAPI NTSTATUS NTAPI ExRaiseHardError(NTSTATUS, ULONG, ULONG, PULONG_PTR, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI ZwSetInformationObject(HANDLE, ULONG, PVOID, ULONG);
static NTSTATUS (NTAPI *RtlAddAccessDeniedAce)(PACL, ULONG, ACCESS_MASK, PSID);
static NTSTATUS (NTAPI *RtlDecompressBufferEx)(USHORT, PUCHAR, ULONG, PUCHAR, ULONG, PULONG, PVOID);
static KIRQL (NTAPI *ToSynchLevel)(void), (NTAPI *ToDpcLevel)(void);
NTKERNELAPI NTSTATUS NTAPI SeMarkLogonSessionForTerminationNotificationEx(PLUID, PVOID);
enum { PoolExtendedParameterPriority = 1, PoolExtendedParameterSecurePool = 2 };
typedef struct { ULONG64 ControlPc, ImageBase, FunctionEntry, EstablisherFrame, TargetIp, ContextRecord, LanguageHandler; PVOID HandlerData; ULONG64 HistoryTable; ULONG ScopeIndex, Fill; } OURS;
#define U(Name, Text) UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)

EXPORT ULONG Addresses(void) /* of what no import library has */
{
    U(Ace, L"RtlAddAccessDeniedAce"); U(Decompress, L"RtlDecompressBufferEx"); U(Synch, L"KeRaiseIrqlToSynchLevel"); U(Dpc, L"KeRaiseIrqlToDpcLevel");

    RtlAddAccessDeniedAce = MmGetSystemRoutineAddress(&Ace);
    RtlDecompressBufferEx = MmGetSystemRoutineAddress(&Decompress);
    ToSynchLevel = MmGetSystemRoutineAddress(&Synch);
    ToDpcLevel = MmGetSystemRoutineAddress(&Dpc);
    CHECK(RtlAddAccessDeniedAce != NULL && RtlDecompressBufferEx != NULL && ToSynchLevel != NULL && ToDpcLevel != NULL);
    return Checks;
}

static NTSTATUS NTAPI Registry(PVOID Context, PVOID Class, PVOID Information)
{
    PREG_SET_VALUE_KEY_INFORMATION Set = Information;
    PCUNICODE_STRING Name = NULL;
    ULONG_PTR Id = 0;

    if ((REG_NOTIFY_CLASS)(ULONG_PTR)Class == RegNtPreSetValueKey) {
        CHECK(CmCallbackGetKeyObjectID(Context, Set->Object, &Id, &Name) == STATUS_SUCCESS && Id != 0);
        CHECK(Name->Length > 7 * sizeof(WCHAR) && Name->Buffer[Name->Length / sizeof(WCHAR) - 1] == L'n');
        Heard++;
    }
    return STATUS_SUCCESS;
}

static VOID NTAPI BootDriver(PVOID Context, BDCB_CALLBACK_TYPE Type, PBDCB_IMAGE_INFORMATION Image)
{
    UNREFERENCED_PARAMETER(Context);
    if (Type == BdCbInitializeImage) { Image->Classification = BdCbClassificationKnownGoodImage; }
}

EXPORT ULONG Callbacks(void)
{
    PVOID Boot = IoRegisterBootDriverCallback(BootDriver, NULL);
    U(Key, L"\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Services\\own"); U(Value, L"v");
    OBJECT_ATTRIBUTES Attributes;
    static LARGE_INTEGER Cookie;
    HANDLE Handle;

    CHECK(Boot != NULL && sizeof(BDCB_IMAGE_INFORMATION) == 104);
    IoUnregisterBootDriverCallback(Boot);
    CHECK(CmRegisterCallback(Registry, &Cookie, &Cookie) == STATUS_SUCCESS && Cookie.QuadPart != 0);
    InitializeObjectAttributes(&Attributes, &Key, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateKey(&Handle, KEY_ALL_ACCESS, &Attributes, 0, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(ZwSetValueKey(Handle, &Value, 0, REG_SZ, NULL, 0) == STATUS_SUCCESS && Heard == 1);
    ZwClose(Handle);
    CHECK(CmUnRegisterCallback(Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(Cookie) == STATUS_INVALID_PARAMETER);
    return Checks;
}

EXPORT ULONG Machine(void)
{
    U(Empty, L"");
    GUID Vendor = { 0 };
    KBUGCHECK_REASON_CALLBACK_RECORD Record = { 0 };
    ULONG Size = 0, Response = 0;
    ULONG_PTR Words[2] = { 0 };
    REGHANDLE Trace;
    EVENT_DESCRIPTOR Descriptor = { 1 };

    CHECK(ExGetFirmwareType() == 2);
    CHECK(ExEnumerateSystemFirmwareTables('ACPI', NULL, 0, &Size) == STATUS_NOT_FOUND);
    CHECK(ExSetFirmwareEnvironmentVariable(&Empty, &Vendor, NULL, 0, 0) == STATUS_NOT_SUPPORTED);
    CHECK(ExRaiseHardError(STATUS_DISK_FULL, 1, 0, Words, 1, &Response) == STATUS_SUCCESS && Response == 1);
    CHECK(IoRaiseInformationalHardError(STATUS_DISK_FULL, NULL, NULL));
    CHECK(IoWMIWriteEvent(Words) == STATUS_UNSUCCESSFUL);
    CHECK(FsRtlLogCcFlushError(&Empty, NULL, NULL, STATUS_DISK_FULL, 0) == STATUS_SUCCESS);
    FsRtlIncrementCcFastMdlReadWait();
    CHECK(FsRtlQueryMaximumVirtualDiskNestingLevel() == 2);
    CHECK(RtlIsServicePackVersionInstalled(0x0A000000) && !RtlIsServicePackVersionInstalled(0x06010100));
    KeInitializeCallbackRecord(&Record);
    CHECK(KeRegisterBugCheckReasonCallback(&Record, (PVOID)Machine, KbCallbackSecondaryDumpData, (PUCHAR)"test"));
    CHECK(!KeRegisterBugCheckReasonCallback(&Record, (PVOID)Machine, KbCallbackSecondaryDumpData, (PUCHAR)"test"));
    CHECK(KeDeregisterBugCheckReasonCallback(&Record) && !KeDeregisterBugCheckReasonCallback(&Record));
    CHECK(EtwRegister(&Vendor, NULL, NULL, &Trace) == STATUS_SUCCESS);
    CHECK(EtwWriteStartScenario(Trace, &Descriptor, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(EtwWriteEndScenario(Trace, &Descriptor, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(EtwUnregister(Trace) == STATUS_SUCCESS && EtwWriteEndScenario(Trace, &Descriptor, NULL, 0, NULL) == STATUS_INVALID_HANDLE);
    return Checks;
}

EXPORT ULONG Memory(void)
{
    POOL_EXTENDED_PARAMETER Parameters[2] = { { 0 } };
    PHYSICAL_ADDRESS Low = { .QuadPart = 0 }, High = { .QuadPart = MAXLONGLONG };
    PVOID Block;
    PMDL Mdl;

    Parameters[0].Type = PoolExtendedParameterPriority;
    Block = ExAllocatePool3(POOL_FLAG_NON_PAGED, 100, TAG, Parameters, 1);
    CHECK(Block != NULL && *(PULONG64)Block == 0);
    ExFreePoolWithTag(Block, TAG);
    Parameters[1].Type = PoolExtendedParameterSecurePool;
    CHECK(ExAllocatePool3(POOL_FLAG_NON_PAGED, 100, TAG, Parameters, 2) == NULL);
    Parameters[1].Optional = 1;
    Block = ExAllocatePool3(POOL_FLAG_PAGED, 100, TAG, Parameters, 2);
    CHECK(Block != NULL);
    ExFreePoolWithTag(Block, TAG);
    Block = FsRtlAllocatePool(NonPagedPool, 100);
    CHECK(Block != NULL);
    ExFreePool(Block);
    Block = MmAllocateContiguousNodeMemory(10000, Low, High, Low, PAGE_READWRITE, MM_ANY_NODE_OK);
    CHECK(Block != NULL && ((ULONG_PTR)Block & (PAGE_SIZE - 1)) == 0 && MmGetPhysicalAddress((PUCHAR)Block + 8192).QuadPart != 0);
    MmFreeContiguousMemory(Block);
    CHECK(MmAllocateContiguousNodeMemory(0, Low, High, Low, PAGE_READWRITE, 0) == NULL);
    Block = ExAllocatePoolWithTag(NonPagedPool, 100, TAG);
    Mdl = IoAllocateMdl(Block, 100, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(Mdl);
    CHECK(MmAreMdlPagesCached(Mdl) && MmMdlPageContentsState(Mdl, MmMdlPageContentsQuery) == MmMdlPageContentsState(Mdl, MmMdlPageContentsQuery));
    IoFreeMdl(Mdl);
    ExFreePoolWithTag(Block, TAG);
    return Checks;
}

EXPORT ULONG Locks(void)
{
    ERESOURCE Resource;
    KIRQL Old;

    Old = ToDpcLevel();
    CHECK(Old == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL && KeRaiseIrqlToDpcLevel() == DISPATCH_LEVEL);
    KeLowerIrql(Old);
    Old = ToSynchLevel();
    CHECK(Old == PASSIVE_LEVEL && KeGetCurrentIrql() == KeRaiseIrqlToSynchLevel());
    KeLowerIrql(Old);
    ExInitializeResourceLite(&Resource);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExSetResourceOwnerPointerEx(&Resource, (PVOID)((ULONG_PTR)&Resource | 3), FLAG_OWNER_POINTER_IS_THREAD);
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource)); /* it is the pointer's now */
    ExReleaseResourceForThreadLite(&Resource, (ERESOURCE_THREAD)((ULONG_PTR)&Resource | 3));
    CHECK(ExAcquireResourceExclusiveLite(&Resource, FALSE));
    ExReleaseResourceLite(&Resource);
    KeLeaveCriticalRegion();
    ExDeleteResourceLite(&Resource);
    return Checks;
}

EXPORT ULONG Security(void)
{
    static SID_IDENTIFIER_AUTHORITY World = { { 0, 0, 0, 0, 0, 1 } };
    static GENERIC_MAPPING Mapping = { 1, 2, 4, 7 };
    UCHAR Room[64], Sid[16], Descriptor[SECURITY_DESCRIPTOR_MIN_LENGTH], Wanted[sizeof(PRIVILEGE_SET) + 3 * sizeof(LUID_AND_ATTRIBUTES)] = { 0 };
    PPRIVILEGE_SET Privileges = (PPRIVILEGE_SET)Wanted, None = NULL;
    BOOLEAN Generate = TRUE;
    TOKEN_PRIVILEGES New = { .PrivilegeCount = 1 };
    UCHAR Aux[256] = { 0 };
    ACCESS_STATE State;
    ULONG Kept = 0;
    HANDLE Token;
    LUID Luid = { 1, 0 };
    U(Name, L"name"); U(Type, L"File");

    RtlInitializeSid(Sid, &World, 1);
    *RtlSubAuthoritySid(Sid, 0) = 0;
    RtlCreateAcl((PACL)Room, sizeof(Room), ACL_REVISION);
    CHECK(RtlAddAccessDeniedAce((PACL)Room, ACL_REVISION, 7, Sid) == STATUS_SUCCESS);
    CHECK(((PACE_HEADER)(Room + sizeof(ACL)))->AceType == ACCESS_DENIED_ACE_TYPE && ((PACL)Room)->AceCount == 1);
    CHECK(RtlAddAccessDeniedAce((PACL)Room, ACL_REVISION, 7, Sid) == STATUS_SUCCESS && RtlAddAccessDeniedAce((PACL)Room, ACL_REVISION, 7, Sid) != STATUS_SUCCESS);
    CHECK(SeCreateAccessState(&State, Aux, 1, &Mapping) == STATUS_SUCCESS);
    Privileges->PrivilegeCount = 1;
    Privileges->Privilege[0].Luid.LowPart = SE_BACKUP_PRIVILEGE;
    Kept = State.Privileges.InitialPrivilegeSet.PrivilegeCount;
    CHECK(SeAppendPrivileges(&State, Privileges) == STATUS_SUCCESS && State.Privileges.InitialPrivilegeSet.PrivilegeCount == Kept + 1);
    CHECK(State.Privileges.InitialPrivilegeSet.Privilege[Kept].Luid.LowPart == SE_BACKUP_PRIVILEGE);
    Privileges->PrivilegeCount = 4;
    CHECK(SeAppendPrivileges(&State, Privileges) == STATUS_INSUFFICIENT_RESOURCES);
    RtlCreateSecurityDescriptor(Descriptor, SECURITY_DESCRIPTOR_REVISION);
    SeOpenObjectAuditAlarm(&Type, NULL, &Name, Descriptor, &State, FALSE, TRUE, UserMode, &Generate);
    CHECK(!Generate);
    SeDeleteAccessState(&State);
    SeAuditHardLinkCreation(&Name, &Name, TRUE);
    None = Privileges;
    Privileges->PrivilegeCount = 0;
    SeFreePrivileges(None);
    CHECK(SeMarkLogonSessionForTerminationNotificationEx(&Luid, &Luid) == STATUS_INVALID_PARAMETER);
    CHECK(NtOpenThreadToken(NtCurrentThread(), TOKEN_QUERY, TRUE, &Token) == STATUS_NO_TOKEN);
    CHECK(ZwOpenProcessTokenEx(NtCurrentProcess(), TOKEN_ALL_ACCESS, OBJ_KERNEL_HANDLE, &Token) == STATUS_SUCCESS);
    New.Privileges[0].Luid.LowPart = SE_BACKUP_PRIVILEGE;
    New.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
    CHECK(NtAdjustPrivilegesToken(Token, FALSE, &New, sizeof(New), NULL, NULL) == STATUS_SUCCESS);
    New.Privileges[0].Luid.LowPart = 99;
    CHECK(NtAdjustPrivilegesToken(Token, FALSE, &New, sizeof(New), NULL, NULL) == STATUS_NOT_ALL_ASSIGNED);
    { struct { BOOLEAN Inherit, Protect; } Flags = { FALSE, TRUE };
      CHECK(ZwSetInformationObject(Token, 4, &Flags, sizeof(Flags)) == STATUS_SUCCESS && ZwSetInformationObject(Token, 77, &Flags, sizeof(Flags)) == STATUS_INVALID_INFO_CLASS); }
    ZwClose(Token);
    return Checks;
}

EXPORT ULONG Compression(void)
{
    static UCHAR Plain[4096], Packed[8192], Back[4096];
    ULONG Size = 0, Work = 0, Fragment = 0, Final = 0;
    PVOID Space;

    for (ULONG Index = 0; Index < sizeof(Plain); Index++) Plain[Index] = (UCHAR)(Index / 16);
    RtlGetCompressionWorkSpaceSize(COMPRESSION_FORMAT_LZNT1, &Work, &Fragment);
    Space = ExAllocatePoolWithTag(PagedPool, Work, TAG);
    CHECK(RtlCompressBuffer(COMPRESSION_FORMAT_LZNT1, Plain, sizeof(Plain), Packed, sizeof(Packed), 4096, &Size, Space) == STATUS_SUCCESS);
    CHECK(RtlDecompressBufferEx(COMPRESSION_FORMAT_LZNT1, Back, sizeof(Back), Packed, Size, &Final, Space) == STATUS_SUCCESS);
    CHECK(Final == sizeof(Plain) && RtlCompareMemory(Plain, Back, Final) == Final);
    CHECK(RtlDecompressBufferEx(99, Back, sizeof(Back), Packed, Size, &Final, Space) == STATUS_UNSUPPORTED_COMPRESSION);
    ExFreePoolWithTag(Space, TAG);
    return Checks;
}

static VOID NTAPI Loaded(PUNICODE_STRING Name, HANDLE Id, PIMAGE_INFO Info) { UNREFERENCED_PARAMETER(Name); UNREFERENCED_PARAMETER(Id); UNREFERENCED_PARAMETER(Info); }
static VOID NTAPI Process(PEPROCESS P, HANDLE Id, PPS_CREATE_NOTIFY_INFO Info) { UNREFERENCED_PARAMETER(P); UNREFERENCED_PARAMETER(Id); UNREFERENCED_PARAMETER(Info); }
static VOID NTAPI ByMaker(HANDLE P, HANDLE Id, BOOLEAN Create) { UNREFERENCED_PARAMETER(P); if (Create) { Created++; CHECK(Id != PsGetCurrentThreadId()); } }
static VOID NTAPI InItself(HANDLE P, HANDLE Id, BOOLEAN Create) { UNREFERENCED_PARAMETER(P); UNREFERENCED_PARAMETER(Create); Begun++; CHECK(Id == PsGetCurrentThreadId()); }
static VOID NTAPI OfPrograms(HANDLE P, HANDLE Id, BOOLEAN Create) { UNREFERENCED_PARAMETER(P); UNREFERENCED_PARAMETER(Id); UNREFERENCED_PARAMETER(Create); CHECK(FALSE); }
static VOID NTAPI Body(PVOID Context) { UNREFERENCED_PARAMETER(Context); PsTerminateSystemThread(0); }

EXPORT ULONG Notifications(void)
{
    PETHREAD Thread;
    HANDLE Handle;

    CHECK(PsSetCreateProcessNotifyRoutineEx2(PsCreateProcessNotifySubsystems, (PVOID)Process, FALSE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutineEx2(1, (PVOID)Process, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(PsSetCreateProcessNotifyRoutineEx2(PsCreateProcessNotifySubsystems, (PVOID)Process, TRUE) == STATUS_SUCCESS);
    CHECK(PsSetLoadImageNotifyRoutineEx(Loaded, 2) == STATUS_INVALID_PARAMETER && PsSetLoadImageNotifyRoutineEx(Loaded, PS_IMAGE_NOTIFY_CONFLICTING_ARCHITECTURE) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(Loaded) == STATUS_SUCCESS);
    CHECK(PsSetCreateThreadNotifyRoutineEx(2, (PVOID)InItself) == STATUS_INVALID_PARAMETER);
    CHECK(PsSetCreateThreadNotifyRoutineEx(PsCreateThreadNotifySubsystems, (PVOID)InItself) == STATUS_SUCCESS);
    CHECK(PsSetCreateThreadNotifyRoutineEx(PsCreateThreadNotifyNonSystem, (PVOID)OfPrograms) == STATUS_SUCCESS);
    CHECK(PsSetCreateThreadNotifyRoutine(ByMaker) == STATUS_SUCCESS);
    CHECK(PsCreateSystemThread(&Handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, Body, NULL) == STATUS_SUCCESS);
    ObReferenceObjectByHandle(Handle, 0, *PsThreadType, KernelMode, (PVOID *)&Thread, NULL);
    KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Thread);
    ZwClose(Handle);
    CHECK(Created == 1 && Begun == 2);
    CHECK(PsRemoveCreateThreadNotifyRoutine(ByMaker) == STATUS_SUCCESS && PsRemoveCreateThreadNotifyRoutine(InItself) == STATUS_SUCCESS);
    CHECK(PsRemoveCreateThreadNotifyRoutine(OfPrograms) == STATUS_SUCCESS && PsRemoveCreateThreadNotifyRoutine(OfPrograms) == STATUS_PROCEDURE_NOT_FOUND);
    return Checks;
}

EXPORT ULONG Handlers(void)
{
    EXCEPTION_RECORD Record = { .ExceptionCode = STATUS_DATA_ERROR };
    OURS Dispatcher = { 0 };
    static CONTEXT Context;
    ULONG Scopes = 0;

    Dispatcher.HandlerData = &Scopes;
    CHECK(__C_specific_handler(&Record, &Context, &Context, (PVOID)&Dispatcher) == ExceptionContinueSearch); /* no __try there */
    return Checks;
}

EXPORT ULONG Asserts(void)
{
    RtlAssert("1 == 2", "file.c", 42, NULL);
    return ++Checks;
}

EXPORT VOID Crash(void) { KeBugCheck(MANUALLY_INITIATED_CRASH); }
"""
PASSIVE, APC, DISPATCH, HIGH = Irql.PASSIVE, Irql.APC, Irql.DISPATCH, Irql.HIGH
HIGHEST_IRQL = {
    "CmRegisterCallback": APC, "CmCallbackGetKeyObjectID": APC, "EtwWriteEndScenario": PASSIVE,
    "ExAllocatePool3": DISPATCH, "ExEnumerateSystemFirmwareTables": PASSIVE, "ExRaiseHardError": PASSIVE,
    "ExSetFirmwareEnvironmentVariable": PASSIVE, "ExSetResourceOwnerPointerEx": DISPATCH, "FltCancelIo": DISPATCH,
    "FltGetFsZeroingOffset": APC, "FltGetNewSystemBufferAddress": DISPATCH, "FltSetFsZeroingOffset": APC,
    "FltRetainSwappedBufferMdlAddress": DISPATCH, "FsRtlAllocatePool": DISPATCH,
    "FsRtlNotifyFilterChangeDirectory": APC, "FsRtlNotifyFullChangeDirectory": APC,
    "FsRtlNotifyFullReportChange": APC, "FsRtlRegisterFileSystemFilterCallbacks": APC, "IoCancelFileOpen": PASSIVE,
    "IoCsqInitializeEx": DISPATCH, "IoCsqInsertIrpEx": DISPATCH, "IoGetActivityIdIrp": DISPATCH,
    "IoGetRequestorSessionId": DISPATCH, "IoRaiseInformationalHardError": APC, "IoVerifyVolume": PASSIVE,
    "IoVolumeDeviceToGuid": PASSIVE, "IoWMIWriteEvent": DISPATCH, "KeBugCheck": HIGH,
    "KeRegisterBugCheckReasonCallback": HIGH, "MmAllocateContiguousNodeMemory": DISPATCH, "MmPrefetchPages": PASSIVE,
    "NtAdjustPrivilegesToken": PASSIVE, "PsSetCreateProcessNotifyRoutineEx2": PASSIVE,
    "PsSetCreateThreadNotifyRoutineEx": PASSIVE, "PsSetLoadImageNotifyRoutineEx": PASSIVE,
    "RtlDecompressBufferEx": APC, "SeAppendPrivileges": PASSIVE, "SeOpenObjectAuditAlarm": PASSIVE,
    "SeMarkLogonSessionForTerminationNotificationEx": PASSIVE,
}  # fmt: skip
"""As the documentation of each function has it, in its section Requirements."""


def test_each_answers_as_its_documentation_says(load):
    machine = load(DRIVER)

    families = "Addresses Callbacks Machine Memory Locks Security Compression Notifications Handlers"
    for function in families.split():
        machine.check(function)
    assert machine.findings == []
    machine.check("Asserts")
    assert machine.findings == ["assertion 1 == 2 failed at file.c(42)"]
    with pytest.raises(BugCheckStop) as stop:
        machine.call("Crash")
    assert stop.value.code == BugCheck.MANUALLY_INITIATED_CRASH


def test_their_highest_irql_is_the_documented_one():
    limits = {export.name: export.max_irql for export in all_exports() if export.module in (NTOSKRNL, FLTMGR.lower())}

    assert {name: limits[name] for name in HIGHEST_IRQL} == HIGHEST_IRQL
