"""FsRtl, Cm, Se, ETW and what is asked of the machine, called from machine code."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNameInUnUpcasedExpression(PUNICODE_STRING, PUNICODE_STRING, BOOLEAN, PWCH);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsMobileOS(VOID); NTKERNELAPI BOOLEAN NTAPI FsRtlAreVolumeStartupApplicationsComplete(VOID);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetVirtualDiskNestingLevel(PDEVICE_OBJECT, PULONG, PULONG);
NTKERNELAPI NTSTATUS NTAPI EtwRegisterClassicProvider(LPCGUID, ULONG, PVOID, PVOID, PREGHANDLE);
NTKERNELAPI ULONG64 NTAPI WmiGetClock(ULONG, PVOID);
NTKERNELAPI NTSTATUS NTAPI WmiTraceFastEvent(PVOID);
NTKERNELAPI NTSTATUS NTAPI WmiTraceMessage(ULONG64, ULONG, LPCGUID, USHORT, ...);
NTKERNELAPI PVOID NTAPI MmSecureVirtualMemory(PVOID, SIZE_T, ULONG); NTKERNELAPI VOID NTAPI MmUnsecureVirtualMemory(HANDLE);
NTKERNELAPI ULONG64 NTAPI MmGetMaximumFileSectionSize(VOID);
NTKERNELAPI BOOLEAN NTAPI MmIsRecursiveIoFault(VOID);
#define U(Name, Text) UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)
static LONG Gone;

EXPORT ULONG Names(void)
{
    U(One, L"File.TXT"); U(Other, L"FILE.txt"); U(Pattern, L"F*.tx?"); U(Plain, L"plain");
    ANSI_STRING Short = RTL_CONSTANT_STRING("SHORT.TXT"), Long = RTL_CONSTANT_STRING("much too long.text");
    BOOLEAN Ignore = FALSE;
    CHECK(FsRtlAreNamesEqual(&One, &Other, TRUE, NULL) && !FsRtlAreNamesEqual(&One, &Other, FALSE, NULL));
    CHECK(FsRtlDoesNameContainWildCards(&Pattern) && !FsRtlDoesNameContainWildCards(&Plain));
    CHECK(FsRtlIsNameInUnUpcasedExpression(&Pattern, &Other, TRUE, NULL));
    CHECK(!FsRtlIsNameInUnUpcasedExpression(&Pattern, &Plain, TRUE, NULL));
    CHECK(FsRtlIsFatDbcsLegal(Short, FALSE, FALSE, FALSE) && !FsRtlIsFatDbcsLegal(Long, FALSE, FALSE, FALSE));
    CHECK(FsRtlNormalizeNtstatus(STATUS_DISK_FULL, STATUS_UNEXPECTED_IO_ERROR) == STATUS_DISK_FULL);
    CHECK(FsRtlNormalizeNtstatus(STATUS_ACCESS_VIOLATION, STATUS_UNEXPECTED_IO_ERROR) == STATUS_UNEXPECTED_IO_ERROR);
    UNREFERENCED_PARAMETER(Ignore);
    return Checks;
}

static VOID NTAPI Cleanup(PVOID Context, LPCGUID Kind) { UNREFERENCED_PARAMETER(Kind); CHECK(*(PULONG)Context == 5); InterlockedIncrement(&Gone); }

EXPORT ULONG Parameters(void)
{
    static const GUID Kind = { 0x0BADF00D, 1, 2, { 3, 4, 5, 6, 7, 8, 9, 10 } };
    static UCHAR Lookaside[256];
    PECP_LIST List = NULL, Found = NULL;
    PULONG Context = NULL, Other = NULL;
    ULONG Size = 0;
    GUID Read;
    PIRP Irp = IoAllocateIrp(2, FALSE);

    CHECK(FsRtlAllocateExtraCreateParameterList(0, &List) == STATUS_SUCCESS);
    FsRtlInitExtraCreateParameterLookasideList(Lookaside, 0, sizeof(ULONG), TAG);
    CHECK(FsRtlAllocateExtraCreateParameterFromLookasideList(&Kind, sizeof(ULONG), 0, Cleanup, Lookaside, (PVOID *)&Context) == 0);
    *Context = 5;
    CHECK(FsRtlInsertExtraCreateParameter(List, Context) == STATUS_SUCCESS);
    CHECK(FsRtlFindExtraCreateParameter(List, &Kind, (PVOID *)&Other, &Size) == 0 && Other == Context && Size == 4);
    CHECK(FsRtlGetNextExtraCreateParameter(List, NULL, &Read, (PVOID *)&Other, &Size) == 0 && Read.Data1 == Kind.Data1);
    CHECK(FsRtlGetNextExtraCreateParameter(List, Other, &Read, (PVOID *)&Other, &Size) == STATUS_NOT_FOUND);
    CHECK(!FsRtlIsEcpAcknowledged(Context));
    FsRtlAcknowledgeEcp(Context);
    CHECK(FsRtlIsEcpAcknowledged(Context) && !FsRtlIsEcpFromUserMode(Context));
    FsRtlPrepareToReuseEcp(Context);
    CHECK(!FsRtlIsEcpAcknowledged(Context));
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_CREATE;
    IoSetNextIrpStackLocation(Irp);
    CHECK(FsRtlGetEcpListFromIrp(Irp, &Found) == 0 && Found == NULL);
    CHECK(FsRtlSetEcpListIntoIrp(Irp, List) == STATUS_SUCCESS);
    CHECK(FsRtlRemoveExtraCreateParameter(List, &Kind, (PVOID *)&Other, &Size) == 0 && Other == Context);
    FsRtlFreeExtraCreateParameter(Context);
    CHECK(Gone == 1);
    FsRtlFreeExtraCreateParameterList(List);
    FsRtlDeleteExtraCreateParameterLookasideList(Lookaside, 0);
    IoFreeIrp(Irp);
    return Checks;
}

static VOID NTAPI FreeContext(PVOID Context) { UNREFERENCED_PARAMETER(Context); InterlockedIncrement(&Gone); }

EXPORT ULONG Files(void)
{
    U(Name, L"\\??\\V:\\file.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle;
    PFILE_OBJECT File = NULL;
    FSRTL_PER_STREAM_CONTEXT Stream;
    FSRTL_PER_FILEOBJECT_CONTEXT PerFile;
    FILE_LOCK Lock;
    PFILE_LOCK Own;
    PFILE_LOCK_INFO Info;
    LARGE_INTEGER Offset = { .QuadPart = 0 }, Length = { .QuadPart = 100 };
    ULONG Features = 0, One = 0, Two = 0;
    OPLOCK Oplock;
    PKEVENT Event;
    PVOID Objects[1];
    LARGE_INTEGER Now = { .QuadPart = 0 };

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Handle, FILE_GENERIC_WRITE, &Attributes, &Iosb, NULL, 0, 0, FILE_CREATE, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == 0);
    CHECK(ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL) == 0);
    FsRtlInitPerStreamContext(&Stream, Files, NULL, FreeContext);
    CHECK(FsRtlInsertPerStreamContext(File->FsContext, &Stream) == STATUS_SUCCESS);
    CHECK(FsRtlLookupPerStreamContextInternal(File->FsContext, Files, NULL) == &Stream);
    CHECK(FsRtlRemovePerStreamContext(File->FsContext, Files, NULL) == &Stream);
    CHECK(FsRtlLookupPerStreamContextInternal(File->FsContext, Files, NULL) == NULL);
    FsRtlInitPerFileObjectContext(&PerFile, Files, NULL);
    CHECK(FsRtlInsertPerFileObjectContext(File, &PerFile) == STATUS_SUCCESS);
    CHECK(FsRtlLookupPerFileObjectContext(File, Files, NULL) == &PerFile);
    CHECK(FsRtlRemovePerFileObjectContext(File, Files, NULL) == &PerFile);
    FsRtlInitializeFileLock(&Lock, NULL, NULL);
    CHECK(FsRtlFastLock(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 7, TRUE, TRUE, &Iosb, NULL, FALSE));
    CHECK(FsRtlFastCheckLockForWrite(&Lock, &Offset, &Length, 7, File, PsGetCurrentProcess()));
    CHECK(!FsRtlFastCheckLockForWrite(&Lock, &Offset, &Length, 8, File, PsGetCurrentProcess()));
    CHECK(FsRtlFastUnlockSingle(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 7, NULL, FALSE) == STATUS_SUCCESS);
    CHECK(FsRtlFastLock(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 7, TRUE, TRUE, &Iosb, NULL, FALSE));
    CHECK(FsRtlFastUnlockAllByKey(&Lock, File, PsGetCurrentProcess(), 7, NULL) == STATUS_SUCCESS);
    CHECK(FsRtlFastCheckLockForWrite(&Lock, &Offset, &Length, 8, File, PsGetCurrentProcess()));
    CHECK(!FsRtlAreThereCurrentFileLocks(&Lock) && FsRtlCheckLockForOplockRequest(&Lock, &Length));
    CHECK(FsRtlFastLock(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 7, TRUE, FALSE, &Iosb, NULL, FALSE));
    CHECK(FsRtlAreThereCurrentFileLocks(&Lock) && FsRtlAreThereCurrentOrInProgressFileLocks(&Lock));
    CHECK(!FsRtlAreThereWaitingFileLocks(&Lock) && !FsRtlCheckLockForOplockRequest(&Lock, &Length));
    CHECK(!FsRtlFastLock(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 8, FALSE, TRUE, &Iosb, NULL, FALSE));
    CHECK(FsRtlFastLock(&Lock, File, &Offset, &Length, PsGetCurrentProcess(), 8, TRUE, TRUE, &Iosb, NULL, FALSE));
    CHECK(Iosb.Status == STATUS_LOCK_NOT_GRANTED && (Info = FsRtlGetNextFileLock(&Lock, TRUE)) != NULL);
    CHECK(Info->Key == 7 && !Info->ExclusiveLock && Info->EndingByte.QuadPart == 99 && Info->FileObject == File);
    CHECK(FsRtlGetNextFileLock(&Lock, FALSE) == NULL);
    FsRtlUninitializeFileLock(&Lock);
    Own = FsRtlAllocateFileLock(NULL, NULL);
    CHECK(Own != NULL && !FsRtlAreThereCurrentFileLocks(Own));
    FsRtlFreeFileLock(Own);
    FsRtlInitializeOplock(&Oplock);
    CHECK(!FsRtlCurrentOplock(&Oplock) && !FsRtlCurrentBatchOplock(&Oplock) && !FsRtlCurrentOplockH(&Oplock));
    CHECK(FsRtlOplockIsFastIoPossible(&Oplock));
    FsRtlUninitializeOplock(&Oplock);
    CHECK(FsRtlGetSupportedFeatures(IoGetRelatedDeviceObject(File), &Features) == STATUS_SUCCESS);
    CHECK(!NT_SUCCESS(FsRtlGetVirtualDiskNestingLevel(IoGetRelatedDeviceObject(File), &One, &Two)) || One == 0);
    Event = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Event), TAG);
    KeInitializeEvent(Event, NotificationEvent, TRUE);
    Objects[0] = Event;
    CHECK(FsRtlCancellableWaitForMultipleObjects(1, Objects, WaitAll, &Now, NULL, NULL) == STATUS_SUCCESS);
    ExFreePoolWithTag(Event, TAG);
    CHECK(!FsRtlIsMobileOS() && FsRtlAreVolumeStartupApplicationsComplete());
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG Tracing(void)
{
    static const GUID Provider = { 0xBADF00D, 1, 2, { 3, 4, 5, 6, 7, 8, 9, 10 } };
    REGHANDLE Handle = 0;
    EVENT_DESCRIPTOR Descriptor = { 1 };
    ULONG Length = 0;
    GUID Activity = Provider;

    CHECK(EtwRegisterClassicProvider(&Provider, 0, NULL, NULL, &Handle) == STATUS_SUCCESS && Handle != 0);
    CHECK(!EtwEventEnabled(Handle, &Descriptor) && EtwUnregister(Handle) == STATUS_SUCCESS);
    CHECK(EtwRegister(&Provider, NULL, NULL, &Handle) == STATUS_SUCCESS && EtwWrite(Handle, &Descriptor, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(!EtwProviderEnabled(Handle, 5, 1) && EtwActivityIdControl(EVENT_ACTIVITY_CTRL_GET_ID, &Activity) == STATUS_SUCCESS);
    CHECK(EtwUnregister(Handle) == STATUS_SUCCESS && EtwUnregister(Handle) == STATUS_INVALID_HANDLE);
    CHECK(!NT_SUCCESS(WmiQueryTraceInformation(0, NULL, 0, &Length, NULL)) && !NT_SUCCESS(WmiTraceMessage(0, 0, &Provider, 1, NULL)));
    CHECK(WmiGetClock(0, NULL) <= MAXLONGLONG && !NT_SUCCESS(WmiTraceFastEvent(NULL)));
    return Checks;
}

EXPORT ULONG Machine(void)
{
    ULONG Major = 0, Minor = 0;
    PVOID Secured;

    CmGetCallbackVersion(&Major, &Minor);
    CHECK(Major > 0);
    CHECK(MmGetMaximumFileSectionSize() > 0 && !MmIsRecursiveIoFault());
    Secured = NULL;
    UNREFERENCED_PARAMETER(Secured);
    return Checks;
}
"""


def test_fsrtl_and_the_rest_answer_as_their_documentation_says(load, tmp_path: Path):
    machine = load(DRIVER, volumes={"V:": tmp_path})

    for function in ("Names", "Parameters", "Files", "Tracing", "Machine"):
        machine.check(function)
    assert machine.findings == []
    assert machine.unload() == []
