/*
 * scanner.c: a minifilter that calls the exports for data scans, byte-range locks, cancellable waits, priorities,
 * redirection and volumes, and checks what they answer: "scanner checked <n>" is printed, and each check that fails.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static FILE_LOCK Lock;
static ULONG Checks, Told, Disallowed, Pended;
static BOOLEAN Asked;
static KEVENT Never;

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        Checks++;                                                                                                      \
        if (!(Condition)) {                                                                                            \
            DbgPrint("scanner: line %d is not true: %s\n", __LINE__, #Condition);                                      \
        }                                                                                                              \
    } while (0)

static BOOLEAN
IsOurs(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\scan.bin");

    return Objects->FileObject != NULL && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static VOID FLTAPI
StatusBelow(PCFLT_RELATED_OBJECTS Objects, PFLT_IO_PARAMETER_BLOCK Iopb, NTSTATUS Status, PVOID Context)
{
    CHECK(Objects->Filter == Filter && Iopb->MajorFunction == IRP_MJ_CREATE && Context == &Told);
    CHECK(Status == STATUS_SUCCESS);
    Told++;
}

/* What is asked with arguments that it does not take, of an empty file, and of a directory. */
static void
ScanInVain(PCFLT_RELATED_OBJECTS Objects, PFLT_CONTEXT Context)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT Root = NULL;
    HANDLE Handle = NULL;
    PVOID Section = NULL;
    static const struct {
        ULONG Protection, Allocation;
        NTSTATUS Status;
    } Asked[] = {{0, SEC_COMMIT, STATUS_INVALID_PARAMETER_8},
                 {PAGE_EXECUTE_READ, SEC_COMMIT, STATUS_INVALID_PARAMETER_8},
                 {PAGE_READONLY, 0, STATUS_INVALID_PARAMETER_9},
                 {PAGE_READONLY, SEC_COMMIT | SEC_RESERVE, STATUS_INVALID_PARAMETER_9},
                 {PAGE_READONLY, SEC_COMMIT, STATUS_END_OF_FILE}};
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Asked); Index++) {
        CHECK(FltCreateSectionForDataScan(Objects->Instance, Objects->FileObject, Context, SECTION_MAP_READ, NULL, NULL,
                                          Asked[Index].Protection, Asked[Index].Allocation, 0, &Handle, &Section,
                                          NULL) == Asked[Index].Status);
        CHECK(FsRtlCreateSectionForDataScan(&Handle, &Section, NULL, Objects->FileObject, SECTION_MAP_READ, NULL, NULL,
                                            Asked[Index].Protection, Asked[Index].Allocation,
                                            0) == Asked[Index].Status);
    }
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FltCreateFileEx(Filter, Objects->Instance, &Handle, &Root, FILE_LIST_DIRECTORY, &Attributes, &Iosb, NULL, 0,
                          7, FILE_OPEN, FILE_DIRECTORY_FILE, NULL, 0, 0) == STATUS_SUCCESS);
    CHECK(FltCreateSectionForDataScan(Objects->Instance, Root, Context, SECTION_MAP_READ, NULL, NULL, PAGE_READONLY,
                                      SEC_COMMIT, 0, &Handle, &Section, NULL) == STATUS_FILE_IS_A_DIRECTORY);
    ObDereferenceObject(Root);
    FltClose(Handle);
}

/* The section without a context, as it was asked for before Windows 8. */
static void
ScanWithoutContext(PCFLT_RELATED_OBJECTS Objects)
{
    HANDLE Handle = NULL;
    PVOID Section = NULL;
    LARGE_INTEGER Size = {{0, 0}};
    OBJECT_ATTRIBUTES Attributes;

    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FsRtlCreateSectionForDataScan(&Handle, &Section, &Size, Objects->FileObject, SECTION_MAP_READ, &Attributes,
                                        NULL, PAGE_READONLY, SEC_COMMIT, 0) == STATUS_SUCCESS);
    CHECK(Size.QuadPart == 512 && Section != NULL);
    ZwClose(Handle);
    ObDereferenceObject(Section);
}

/* Views in the system's address space, of the whole section and of one that a handle leads to. */
static void
MapForTheSystem(PVOID Section, HANDLE Handle, PVOID Data)
{
    PVOID Base = NULL, Object = NULL, Ours = NULL;
    SIZE_T Size = 0;
    LARGE_INTEGER Offset = {{0, 0}};

    CHECK(MmMapViewInSystemSpace(Section, &Base, &Size) == STATUS_SUCCESS && Size == PAGE_SIZE);
    CHECK(Base > MmSystemRangeStart && RtlCompareMemory(Base, Data, 15) == 15);
    CHECK(MmUnmapViewInSystemSpace(Base) == STATUS_SUCCESS);
    Size = 8 * PAGE_SIZE;
    CHECK(MmMapViewInSystemSpace(Section, &Base, &Size) == STATUS_INVALID_VIEW_SIZE);
    CHECK(ObReferenceObjectByHandle(Handle, SECTION_MAP_READ, NULL, KernelMode, &Object, NULL) == STATUS_SUCCESS);
    CHECK(Object == Section);
    Size = 0;
    CHECK(MmMapViewInSystemSpaceEx(Object, &Ours, &Size, &Offset, 0) == STATUS_SUCCESS && Ours != Base);
    CHECK(MmUnmapViewInSystemSpace(Ours) == STATUS_SUCCESS);
    Offset.QuadPart = 0x10000;
    CHECK(MmMapViewInSystemSpaceEx(Object, &Ours, &Size, &Offset, 0) == STATUS_INVALID_VIEW_SIZE);
    Size = 16;
    CHECK(MmMapViewInSystemSpace(Object, &Ours, &Size) == STATUS_SUCCESS && *(PUCHAR)Ours == *(PUCHAR)Data);
    CHECK(MmUnmapViewInSystemSpace(Ours) == STATUS_SUCCESS);
    ObDereferenceObject(Object);
}

static void
Scan(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_CONTEXT Context = NULL, Found = NULL;
    HANDLE Handle = NULL;
    PVOID Section = NULL, Base = NULL;
    LARGE_INTEGER Size = {{0, 0}};
    SIZE_T ViewSize = 0;
    FLT_RELATED_CONTEXTS_EX All;
    LARGE_INTEGER Start = {{0, 0}};
    static UCHAR Data[512] = "what is scanned";

    CHECK(FltAllocateContext(Filter, FLT_SECTION_CONTEXT, 16, PagedPool, &Context) == STATUS_SUCCESS);
    ScanInVain(Objects, Context);
    CHECK(FltWriteFile(Objects->Instance, Objects->FileObject, &Start, sizeof(Data), Data, 0, NULL, NULL, NULL) == 0);
    ScanWithoutContext(Objects);
    CHECK(FltGetSectionContext(Objects->Instance, Objects->FileObject, &Found) == STATUS_NOT_FOUND);
    CHECK(FltCreateSectionForDataScan(Objects->Instance, Objects->FileObject, Context, SECTION_MAP_READ, NULL, NULL,
                                      PAGE_READONLY, SEC_COMMIT, 0, &Handle, &Section, &Size) == STATUS_SUCCESS);
    CHECK(Size.QuadPart == sizeof(Data) && Section != NULL);
    CHECK(FltGetSectionContext(Objects->Instance, Objects->FileObject, &Found) == STATUS_SUCCESS && Found == Context);
    FltReleaseContext(Found);
    CHECK(FltGetContextsEx(Objects, FLT_SECTION_CONTEXT, 8, &All) == STATUS_INVALID_PARAMETER);
    CHECK(FltGetContextsEx(Objects, FLT_ALL_CONTEXTS, sizeof(All), &All) == STATUS_SUCCESS);
    CHECK(All.SectionContext == Context && All.StreamContext == NULL);
    FltReleaseContextsEx(sizeof(All), &All);
    CHECK(ZwMapViewOfSection(Handle, NtCurrentProcess(), &Base, 0, 0, NULL, &ViewSize, ViewUnmap, 0, PAGE_READONLY) ==
          0);
    CHECK(Base != NULL && RtlCompareMemory(Base, Data, 15) == 15);
    ZwUnmapViewOfSection(NtCurrentProcess(), Base);
    MapForTheSystem(Section, Handle, Data);
    ZwClose(Handle);
    ObDereferenceObject(Section);
    CHECK(FltCloseSectionForDataScan(Context) == STATUS_SUCCESS);
    FltReleaseContext(Context);
    CHECK(FltSupportsFileContextsEx(Objects->FileObject, Objects->Instance));
}

static void
AskVolume(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\scan.bin");
    UNICODE_STRING Folder = RTL_CONSTANT_STRING(L"\\??\\V:\\System Volume Information");
    OBJECT_ATTRIBUTES Attributes;
    FILE_BASIC_INFORMATION Basic;
    struct {
        ULONG Length; /* FILE_FS_LABEL_INFORMATION */
        WCHAR Text[3];
    } Label = {6, {L'a', L'b', L'c'}};
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File = NULL;
    HANDLE Handle = NULL;
    BOOLEAN Changed = TRUE;
    PMDL Chain = NULL;
    LARGE_INTEGER Start = {{0, 0}};

    CHECK(FltOpenVolume(Objects->Instance, &Handle, &File) == STATUS_SUCCESS);
    CHECK(File != NULL && FlagOn(File->Flags, FO_VOLUME_OPEN));
    ObDereferenceObject(File);
    FltClose(Handle);
    CHECK(FltSetVolumeInformation(Objects->Instance, &Iosb, &Label, sizeof(Label), FileFsLabelInformation) == 0);
    CHECK(FltCreateSystemVolumeInformationFolder(Objects->Instance) == STATUS_SUCCESS);
    CHECK(FltCreateSystemVolumeInformationFolder(Objects->Instance) == STATUS_SUCCESS);
    InitializeObjectAttributes(&Attributes, &Folder, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FltQueryInformationByName(Filter, Objects->Instance, &Attributes, &Iosb, &Basic, sizeof(Basic),
                                    FileBasicInformation, NULL) == STATUS_SUCCESS);
    CHECK(FlagOn(Basic.FileAttributes, FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_HIDDEN));
    Name.Length -= 2;
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FltQueryInformationByName(Filter, Objects->Instance, &Attributes, &Iosb, &Basic, sizeof(Basic),
                                    FileBasicInformation, NULL) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(FltAdjustDeviceStackSizeForIoRedirection(Objects->Instance, Objects->Instance, &Changed) == 0 && !Changed);
    CHECK(!FltFastIoMdlRead(Objects->Instance, Objects->FileObject, &Start, 16, 0, &Chain, &Iosb));
    CHECK(!FltFastIoPrepareMdlWrite(Objects->Instance, Objects->FileObject, &Start, 16, 0, &Chain, &Iosb));
    CHECK(!FltFastIoMdlReadComplete(Objects->Instance, Objects->FileObject, NULL));
    CHECK(!FltFastIoMdlWriteComplete(Objects->Instance, Objects->FileObject, &Start, NULL));
    CHECK(FltCreateNamedPipeFile(Filter, Objects->Instance, &Handle, &File, 0, &Attributes, &Iosb, 0, 0, 0, 0, 0, 0, 0,
                                 0, 0, NULL, NULL) == (NTSTATUS)0xC0000369);
    CHECK(FltCreateMailslotFile(Filter, Objects->Instance, &Handle, &File, 0, &Attributes, &Iosb, 0, 0, 0, NULL,
                                NULL) == (NTSTATUS)0xC0000369);
}

static void
AskOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    IO_PRIORITY_INFO Info = {sizeof(Info), 0, 0, 0}, Low, Before;
    UNICODE_STRING Reason = RTL_CONSTANT_STRING(L"no");
    GUID Id = {1, 2, 3, {4}}, Copy, *Original = &Copy;
    LARGE_INTEGER Now = {{0, 0}};
    PVOID Objects2[2] = {&Never, &Never}, Buffer = NULL;
    ULONG Size = 1;

    CHECK(FltGetIoPriorityHint(Data) == IoPriorityNormal);
    CHECK(FltSetIoPriorityHintIntoThread(PsGetCurrentThread(), IoPriorityLow) == STATUS_SUCCESS);
    CHECK(FltGetIoPriorityHint(Data) == IoPriorityLow &&
          FltGetIoPriorityHintFromThread(PsGetCurrentThread()) == IoPriorityLow);
    CHECK(FltSetIoPriorityHintIntoFileObject(Objects->FileObject, IoPriorityVeryLow) == STATUS_SUCCESS);
    CHECK(FltGetIoPriorityHintFromFileObject(Objects->FileObject) == IoPriorityVeryLow);
    CHECK(FltRetrieveIoPriorityInfo(NULL, Objects->FileObject, NULL, &Info) == 0 &&
          Info.IoPriority == IoPriorityVeryLow);
    CHECK(IoRetrievePriorityInfo(NULL, Objects->FileObject, NULL, &Info) == 0 && Info.IoPriority == IoPriorityVeryLow);
    Low = Info;
    CHECK(FltApplyPriorityInfoThread(&Low, &Before, PsGetCurrentThread()) == 0 && Before.IoPriority == IoPriorityLow);
    CHECK(IoSetIoPriorityHintIntoFileObject(Objects->FileObject, IoPriorityNormal) == STATUS_SUCCESS);
    CHECK(FltGetIoPriorityHintFromFileObject(Objects->FileObject) == IoPriorityNormal);
    CHECK(IoSetIoPriorityHintIntoThread(PsGetCurrentThread(), IoPriorityLow) == STATUS_SUCCESS);
    CHECK(IoApplyPriorityInfoThread(&Before, NULL, PsGetCurrentThread()) == STATUS_SUCCESS);
    CHECK(FltSetIoPriorityHintIntoThread(PsGetCurrentThread(), 9) == STATUS_INVALID_PARAMETER);
    CHECK(FltPropagateActivityIdToThread(Data, &Copy, &Original) == STATUS_NOT_FOUND && Original == NULL);
    CHECK(FltSetActivityIdCallbackData(Data, &Id) == STATUS_SUCCESS);
    CHECK(FltPropagateActivityIdToThread(Data, &Copy, &Original) == 0 && RtlEqualMemory(&Copy, &Id, sizeof(Id)));
    CHECK(FltPropagateIrpExtension(Data, Data, 0) == STATUS_SUCCESS);
    CHECK(FltGetIoAttributionHandleFromCallbackData(Data) == NULL);
    CHECK(FltRequestFileInfoOnCreateCompletion(Filter, Data, 1) == STATUS_NOT_SUPPORTED);
    CHECK(FltRetrieveFileInfoOnCreateCompletion(Filter, Data, 1, &Size) == NULL && Size == 0);
    CHECK(FltRetrieveFileInfoOnCreateCompletionEx(Filter, Data, 1, &Size, &Buffer) == STATUS_NOT_FOUND);
    CHECK(FltAddOpenReparseEntry(Filter, Data, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltCopyOpenReparseList(Filter, Data, NULL) == STATUS_NOT_SUPPORTED);
    FltRemoveOpenReparseEntry(Filter, Data, NULL);
    FltFreeOpenReparseList(Filter, NULL);
    CHECK(FltVetoBypassIo(Data, Objects, STATUS_NOT_SUPPORTED, &Reason) == STATUS_INVALID_PARAMETER);
    CHECK(FltCancellableWaitForSingleObject(&Never, &Now, Data) == STATUS_TIMEOUT);
    KeSetEvent(&Never, 0, FALSE);
    CHECK(FltCancellableWaitForSingleObject(&Never, NULL, Data) == STATUS_SUCCESS);
    CHECK(FltCancellableWaitForMultipleObjects(2, Objects2, WaitAny, NULL, NULL, Data) == STATUS_SUCCESS);
    CHECK(FltCancellableWaitForMultipleObjects(2, Objects2, WaitAll, NULL, NULL, NULL) == STATUS_SUCCESS);
    KeClearEvent(&Never);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (!IsOurs(Objects) || Asked) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    CHECK(FltRequestOperationStatusCallback(Data, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(FltRequestOperationStatusCallback(Data, StatusBelow, &Told) == STATUS_SUCCESS);
    AskOperation(Data, Objects);
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status)) {
        Asked = TRUE;
        CHECK(FltRequestOperationStatusCallback(Data, StatusBelow, NULL) == STATUS_INVALID_PARAMETER);
        Scan(Objects);
        AskVolume(Objects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* The filter itself keeps the locks of scan.bin: the file system hears of none. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    FLT_PREOP_CALLBACK_STATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (!IsOurs(Objects)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltProcessFileLock(&Lock, Data, NULL);
    Disallowed += Status == FLT_PREOP_DISALLOW_FASTIO;
    Pended += Status == FLT_PREOP_PENDING;
    CHECK(FLT_IS_IRP_OPERATION(Data) ? Status != FLT_PREOP_DISALLOW_FASTIO : Status != FLT_PREOP_PENDING);
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreTransfer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    BOOLEAN Free;

    UNREFERENCED_PARAMETER(Context);
    if (!IsOurs(Objects) || !FLT_IS_IRP_OPERATION(Data)) {
        return IsOurs(Objects) ? FLT_PREOP_DISALLOW_FASTIO : FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Free = Data->Iopb->MajorFunction == IRP_MJ_READ ? FltCheckLockForReadAccess(&Lock, Data)
                                                    : FltCheckLockForWriteAccess(&Lock, Data);
    if (!Free) {
        Data->IoStatus.Status = STATUS_FILE_LOCK_CONFLICT;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Type, FLT_FILESYSTEM_TYPE FileSystem)
{
    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(Type);
    UNREFERENCED_PARAMETER(FileSystem);
    return FltRegisterForDataScan(Objects->Instance);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    CHECK(Told == 1 && Disallowed == 1 && Pended == 1);
    FltUnregisterFilter(Filter);
    FltUninitializeFileLock(&Lock);
    DbgPrint("scanner checked %u\n", Checks);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_SECTION_CONTEXT, 0, NULL, 16, 'nacS'}, {FLT_CONTEXT_END}};
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, PostCreate},
                                                            {IRP_MJ_LOCK_CONTROL, 0, PreLock, NULL},
                                                            {IRP_MJ_READ, 0, PreTransfer, NULL},
                                                            {IRP_MJ_WRITE, 0, PreTransfer, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload, Setup};
    PFILE_LOCK Allocated = FltAllocateFileLock(NULL, NULL);
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    CHECK(Allocated != NULL);
    FltFreeFileLock(Allocated);
    FltInitializeFileLock(&Lock);
    KeInitializeEvent(&Never, NotificationEvent, FALSE);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
