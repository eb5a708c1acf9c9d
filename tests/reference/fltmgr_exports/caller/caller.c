/*
 * caller.c: calls the exports of the filter manager that asker and scanner leave out, in the post-create of call.bin.
 * "caller checked <n>" is printed, and each check that fails.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static ULONG Checks;
static LONG Cleaned, Done;

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        Checks++;                                                                                                      \
        if (!(Condition)) {                                                                                            \
            DbgPrint("caller: line %d is not true: %s\n", __LINE__, #Condition);                                       \
        }                                                                                                              \
    } while (0)

static VOID FLTAPI
ContextGone(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Type);
    InterlockedIncrement(&Cleaned);
}

static void
CallLocks(void)
{
    static EX_PUSH_LOCK Push;
    ERESOURCE Resource;

    FltInitializePushLock(&Push);
    FltAcquirePushLockExclusive(&Push);
    FltReleasePushLock(&Push);
    FltAcquirePushLockShared(&Push);
    FltReleasePushLock(&Push);
    FltAcquirePushLockExclusiveEx(&Push, 0);
    FltReleasePushLockEx(&Push, 0);
    FltAcquirePushLockSharedEx(&Push, 0);
    FltReleasePushLockEx(&Push, 0);
    FltDeletePushLock(&Push);
    ExInitializeResourceLite(&Resource);
    FltAcquireResourceExclusive(&Resource);
    CHECK(ExIsResourceAcquiredExclusiveLite(&Resource));
    FltReleaseResource(&Resource);
    FltAcquireResourceShared(&Resource);
    CHECK(ExIsResourceAcquiredSharedLite(&Resource) == 1);
    FltReleaseResource(&Resource);
    ExDeleteResourceLite(&Resource);
}

static PFLT_CONTEXT
MakeContext(FLT_CONTEXT_TYPE Type)
{
    PFLT_CONTEXT Context = NULL;

    CHECK(FltAllocateContext(Filter, Type, 16, Type == FLT_VOLUME_CONTEXT ? NonPagedPool : PagedPool, &Context) == 0);
    return Context;
}

static void
CallContexts(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_INSTANCE Instance = Objects->Instance;
    PFILE_OBJECT File = Objects->FileObject;
    PFLT_CONTEXT Context, Found = NULL, Old = NULL;
    FLT_RELATED_CONTEXTS All;

    CHECK(FltSupportsFileContexts(File) && FltSupportsStreamContexts(File) && FltSupportsStreamHandleContexts(File));
    CHECK(FltSupportsFileContextsEx(File, Instance));
    Context = MakeContext(FLT_STREAM_CONTEXT);
    CHECK(FltGetStreamContext(Instance, File, &Found) == STATUS_NOT_FOUND && Found == NULL);
    CHECK(FltSetStreamContext(Instance, File, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL) == STATUS_SUCCESS);
    CHECK(FltSetStreamContext(Instance, File, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, &Old) ==
          STATUS_FLT_CONTEXT_ALREADY_LINKED);
    CHECK(FltGetStreamContext(Instance, File, &Found) == STATUS_SUCCESS && Found == Context);
    FltReferenceContext(Found);
    FltReleaseContext(Found);
    FltReleaseContext(Found);
    FltGetContexts(Objects, FLT_STREAM_CONTEXT | FLT_STREAMHANDLE_CONTEXT, &All);
    CHECK(All.StreamContext == Context && All.StreamHandleContext == NULL);
    FltReleaseContexts(&All);
    CHECK(FltDeleteStreamContext(Instance, File, &Old) == STATUS_SUCCESS && Old == Context);
    FltReleaseContext(Old);
    FltReleaseContext(Context);
    Context = MakeContext(FLT_FILE_CONTEXT);
    CHECK(FltSetFileContext(Instance, File, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, Context, NULL) == STATUS_SUCCESS);
    CHECK(FltGetFileContext(Instance, File, &Found) == STATUS_SUCCESS && Found == Context);
    FltReleaseContext(Found);
    CHECK(FltDeleteFileContext(Instance, File, NULL) == STATUS_SUCCESS);
    CHECK(FltDeleteFileContext(Instance, File, NULL) == STATUS_NOT_FOUND);
    FltReleaseContext(Context);
    Context = MakeContext(FLT_STREAMHANDLE_CONTEXT);
    CHECK(FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL) == STATUS_SUCCESS);
    CHECK(FltDeleteStreamHandleContext(Instance, File, &Old) == STATUS_SUCCESS && Old == Context);
    FltReleaseContext(Old);
    FltReleaseContext(Context);
    Context = MakeContext(FLT_INSTANCE_CONTEXT);
    CHECK(FltSetInstanceContext(Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL) == STATUS_SUCCESS);
    CHECK(FltGetInstanceContext(Instance, &Found) == STATUS_SUCCESS && Found == Context);
    FltReleaseContext(Found);
    CHECK(FltDeleteInstanceContext(Instance, NULL) == STATUS_SUCCESS);
    FltReleaseContext(Context);
    Context = MakeContext(FLT_VOLUME_CONTEXT);
    CHECK(FltSetVolumeContext(Objects->Volume, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL) == STATUS_SUCCESS);
    CHECK(FltGetVolumeContext(Filter, Objects->Volume, &Found) == STATUS_SUCCESS && Found == Context);
    FltDeleteContext(Found);
    FltReleaseContext(Found);
    CHECK(FltDeleteVolumeContext(Filter, Objects->Volume, NULL) == STATUS_NOT_FOUND);
    FltReleaseContext(Context);
    CHECK(Cleaned == 5);
    CHECK(FltGetTransactionContext(Instance, NULL, &Found) != STATUS_SUCCESS);
}

static void
CallTransactions(PFLT_INSTANCE Instance)
{
    CHECK(FltCommitComplete(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltCommitFinalizeComplete(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltPrePrepareComplete(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltPrepareComplete(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltRollbackComplete(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltRollbackEnlistment(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltSetTransactionContext(Instance, NULL, 0, NULL, NULL) == STATUS_NOT_SUPPORTED);
    CHECK(FltDeleteTransactionContext(Instance, NULL, NULL) == STATUS_NOT_SUPPORTED);
}

static void
CallObjects(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"caller"), None = RTL_CONSTANT_STRING(L"nobody");
    UNICODE_STRING VolumeName = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1");
    WCHAR Room[64];
    UNICODE_STRING Guid = {0, sizeof(Room), Room};
    PFLT_FILTER Found = NULL;
    PFLT_INSTANCE Other = NULL;
    PFLT_VOLUME Volume = NULL;
    PDEVICE_OBJECT Device = NULL;
    FLT_FILESYSTEM_TYPE Type = 0;
    FLT_VOLUME_PROPERTIES Properties;
    UCHAR Buffer[512];
    ULONG Size = 0;
    BOOLEAN Writable = FALSE, Snapshot = TRUE, Allowed = FALSE, Same = FALSE;

    CHECK(FltGetFilterFromInstance(Objects->Instance, &Found) == STATUS_SUCCESS && Found == Filter);
    FltObjectDereference(Found);
    CHECK(FltGetFilterFromName(&Name, &Found) == STATUS_SUCCESS && Found == Filter);
    FltObjectDereference(Found);
    CHECK(FltGetFilterFromName(&None, &Found) == STATUS_FLT_FILTER_NOT_FOUND);
    CHECK(FltGetLowerInstance(Objects->Instance, &Other) == STATUS_NO_MORE_ENTRIES);
    CHECK(FltGetUpperInstance(Objects->Instance, &Other) == STATUS_NO_MORE_ENTRIES);
    CHECK(FltCompareInstanceAltitudes(Objects->Instance, Objects->Instance) == 0);
    CHECK(FltGetVolumeFromFileObject(Filter, Objects->FileObject, &Volume) == STATUS_SUCCESS);
    CHECK(Volume == Objects->Volume);
    FltObjectDereference(Volume);
    CHECK(FltGetVolumeFromName(Filter, &VolumeName, &Volume) == STATUS_SUCCESS && Volume == Objects->Volume);
    FltObjectDereference(Volume);
    CHECK(FltGetVolumeFromName(Filter, &None, &Volume) == STATUS_FLT_VOLUME_NOT_FOUND);
    CHECK(FltGetVolumeGuidName(Objects->Volume, &Guid, &Size) == STATUS_SUCCESS && Guid.Length == 96);
    CHECK(FltGetFileSystemType(Objects->Instance, &Type) == STATUS_SUCCESS && Type == FLT_FSTYPE_NTFS);
    CHECK(FltGetVolumeProperties(Objects->Volume, &Properties, sizeof(Properties), &Size) == STATUS_BUFFER_OVERFLOW);
    CHECK(Properties.SectorSize == 512 && Properties.DeviceType == FILE_DEVICE_DISK_FILE_SYSTEM);
    CHECK(FltIsVolumeWritable(Objects->Volume, &Writable) == STATUS_SUCCESS && Writable);
    CHECK(FltIsVolumeSnapshot(Objects->Instance, &Snapshot) == STATUS_SUCCESS && !Snapshot);
    CHECK(FltIsIoRedirectionAllowed(Objects->Instance, Objects->Instance, &Allowed) == STATUS_SUCCESS && Allowed);
    CHECK(FltIsIoRedirectionAllowedForOperation(Data, Objects->Instance, &Allowed, &Same) == STATUS_SUCCESS);
    CHECK(FltGetRequestorProcessIdEx(Data) == PsGetCurrentProcessId());
    CHECK(FltGetIrpName(IRP_MJ_READ) != NULL && FltGetRoutineAddress("FltReadFile") != NULL);
    CHECK(FltGetRoutineAddress("FltNobody") == NULL && !FltIsIoCanceled(Data));
    CHECK(FltEnumerateInstanceInformationByVolumeName(&VolumeName, 0, InstanceBasicInformation, Buffer, sizeof(Buffer),
                                                      &Size) == STATUS_SUCCESS);
    CHECK(FltGetDeviceObject(Objects->Volume, &Device) == STATUS_SUCCESS);
    CHECK(FltEnumerateInstanceInformationByDeviceObject(Device, 0, InstanceBasicInformation, Buffer, sizeof(Buffer),
                                                        &Size) == STATUS_SUCCESS);
    ObDereferenceObject(Device);
    CHECK(FltLoadFilter(&None) != STATUS_SUCCESS && FltUnloadFilter(&None) == STATUS_FLT_FILTER_NOT_FOUND);
}

static VOID FLTAPI
ReadDone(PFLT_CALLBACK_DATA Data, PFLT_CONTEXT Context)
{
    CHECK(Data->IoStatus.Status == STATUS_SUCCESS && Data->IoStatus.Information == 4);
    InterlockedIncrement(&Done);
    FltFreeCallbackData(Data);
    KeSetEvent((PKEVENT)Context, 0, FALSE);
}

static void
CallFile(PCFLT_RELATED_OBJECTS Objects)
{
    static UCHAR Text[512] = "abcd", Back[512];
    PFLT_INSTANCE Instance = Objects->Instance;
    PFILE_OBJECT File = Objects->FileObject;
    LARGE_INTEGER Start = {{0, 0}};
    FILE_STANDARD_INFORMATION Standard;
    FILE_END_OF_FILE_INFORMATION End;
    FILE_FS_SIZE_INFORMATION Sizes;
    IO_STATUS_BLOCK Iosb;
    UCHAR Eas[24] = {0, 0, 0, 0, 0, 1, 2, 0, 'A', 0, 'x', 'y'};
    UCHAR Descriptor[256];
    PFLT_CALLBACK_DATA Own = NULL;
    ULONG Count = 0, Returned = 0;
    KEVENT Event;

    CHECK(FltWriteFileEx(Instance, File, &Start, 4, Text, 0, &Count, NULL, NULL, NULL, NULL) == 0 && Count == 4);
    CHECK(FltReadFileEx(Instance, File, &Start, 4, Back, 0, &Count, NULL, NULL, NULL, NULL) == 0 && Back[3] == 'd');
    CHECK(FltFlushBuffers(Instance, File) == STATUS_SUCCESS);
    CHECK(FltQueryInformationFile(Instance, File, &Standard, sizeof(Standard), FileStandardInformation, &Returned) ==
          0);
    CHECK(Standard.EndOfFile.QuadPart == 4 && Returned == sizeof(Standard));
    End.EndOfFile.QuadPart = 6;
    CHECK(FltSetInformationFile(Instance, File, &End, sizeof(End), FileEndOfFileInformation) == STATUS_SUCCESS);
    CHECK(FltQueryVolumeInformation(Instance, &Iosb, &Sizes, sizeof(Sizes), FileFsSizeInformation) == STATUS_SUCCESS);
    CHECK(FltQueryVolumeInformationFile(Instance, File, &Sizes, sizeof(Sizes), FileFsSizeInformation, &Returned) == 0);
    CHECK(Sizes.BytesPerSector == 512);
    CHECK(FltSetEaFile(Instance, File, Eas, 12) == STATUS_SUCCESS);
    CHECK(FltQuerySecurityObject(Instance, File, OWNER_SECURITY_INFORMATION, Descriptor, sizeof(Descriptor), &Count) ==
          0);
    CHECK(FltSetSecurityObject(Instance, File, OWNER_SECURITY_INFORMATION, Descriptor) == STATUS_SUCCESS);
    CHECK(FltFsControlFile(Instance, File, FSCTL_GET_REPARSE_POINT, NULL, 0, Back, sizeof(Back), &Count) ==
          STATUS_NOT_A_REPARSE_POINT);
    CHECK(!NT_SUCCESS(FltDeviceIoControlFile(Instance, File, 0x222000, NULL, 0, NULL, 0, &Count)));
    CHECK(FltQueryQuotaInformationFile(Instance, File, &Iosb, NULL, 0, FALSE, NULL, 0, NULL, TRUE, &Count) ==
          STATUS_INVALID_DEVICE_REQUEST);
    CHECK(FltSetQuotaInformationFile(Instance, File, NULL, 0) == STATUS_INVALID_DEVICE_REQUEST);
    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    CHECK(FltAllocateCallbackDataEx(Instance, File, FLT_ALLOCATE_CALLBACK_DATA_PREALLOCATE_ALL_MEMORY, &Own) == 0);
    Own->Iopb->MajorFunction = IRP_MJ_READ;
    Own->Iopb->Parameters.Read.ReadBuffer = Back;
    Own->Iopb->Parameters.Read.Length = 4;
    FltPerformAsynchronousIo(Own, ReadDone, &Event);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    CHECK(Done == 1);
}

static void
CallDirectory(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\"), Pattern = RTL_CONSTANT_STRING(L"call.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File = NULL;
    HANDLE Handle = NULL;
    UCHAR Buffer[256];
    ULONG Count = 0;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FltCreateFileEx(Filter, Objects->Instance, &Handle, &File, FILE_LIST_DIRECTORY | SYNCHRONIZE, &Attributes,
                          &Iosb, NULL, 0, 7, FILE_OPEN, FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0,
                          0) == STATUS_SUCCESS);
    CHECK(FltQueryDirectoryFileEx(Objects->Instance, File, Buffer, sizeof(Buffer), FileNamesInformation,
                                  SL_RESTART_SCAN | SL_RETURN_SINGLE_ENTRY, &Pattern, &Count) == STATUS_SUCCESS);
    CHECK(((PFILE_NAMES_INFORMATION)Buffer)->FileNameLength == Pattern.Length);
    ObDereferenceObject(File);
    FltClose(Handle);
}

static void
CallParameters(void)
{
    static const GUID Kind = {0xBADF00D, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};
    static UCHAR Lookaside[256];
    PECP_LIST List = NULL;
    PVOID Context = NULL, Removed = NULL;
    ULONG Size = 0;

    FltInitExtraCreateParameterLookasideList(Filter, Lookaside, 0, 8, 'pceC');
    CHECK(FltAllocateExtraCreateParameterFromLookasideList(Filter, &Kind, 8, 0, NULL, Lookaside, &Context) == 0);
    CHECK(FltAllocateExtraCreateParameterList(Filter, 0, &List) == STATUS_SUCCESS);
    CHECK(FltInsertExtraCreateParameter(Filter, List, Context) == STATUS_SUCCESS);
    CHECK(FltRemoveExtraCreateParameter(Filter, List, &Kind, &Removed, &Size) == STATUS_SUCCESS);
    CHECK(Removed == Context && Size == 8);
    FltFreeExtraCreateParameter(Filter, Context);
    FltFreeExtraCreateParameterList(Filter, List);
    FltDeleteExtraCreateParameterLookasideList(Filter, Lookaside, 0);
}

static void
CallOplocks(PFLT_CALLBACK_DATA Data)
{
    OPLOCK Oplock;
    IO_STATUS_BLOCK Before = Data->IoStatus;

    FltInitializeOplock(&Oplock);
    CHECK(FltOplockBreakH(&Oplock, Data, 0, NULL, NULL, NULL) == FLT_PREOP_SUCCESS_WITH_CALLBACK);
    CHECK(FltOplockBreakToNone(&Oplock, Data, NULL, NULL, NULL) == FLT_PREOP_SUCCESS_WITH_CALLBACK);
    CHECK(FltOplockBreakToNoneEx(&Oplock, Data, 0, NULL, NULL, NULL) == FLT_PREOP_SUCCESS_WITH_CALLBACK);
    CHECK(FltOplockFsctrlEx(&Oplock, Data, 0, 0) == FLT_PREOP_COMPLETE);
    CHECK(Data->IoStatus.Status == STATUS_INVALID_PARAMETER);
    Data->IoStatus = Before;
    FltUninitializeOplock(&Oplock);
}

static void
CallData(PFLT_CALLBACK_DATA Data)
{
    PFLT_FILE_NAME_INFORMATION Name = NULL, Tunnelled = NULL;
    PMDL *Mdl = (PMDL *)1;
    PVOID *Buffer = NULL;
    PULONG Length = NULL;
    LOCK_OPERATION Access = IoReadAccess;

    CHECK(FltDecodeParameters(Data, &Mdl, &Buffer, &Length, &Access) == STATUS_SUCCESS && Buffer != NULL);
    CHECK(Mdl == NULL && Access == IoWriteAccess && *Length == sizeof(FILE_STANDARD_INFORMATION));
    CHECK(!FLT_IS_FASTIO_OPERATION(Data) && !FltIsCallbackDataDirty(Data));
    FltSetCallbackDataDirty(Data);
    CHECK(FltIsCallbackDataDirty(Data));
    FltClearCallbackDataDirty(Data);
    CHECK(!FltIsCallbackDataDirty(Data));
    CHECK(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name) == 0);
    FltReferenceFileNameInformation(Name);
    CHECK(FltGetTunneledName(Data, Name, &Tunnelled) == STATUS_SUCCESS && Tunnelled == NULL);
    FltReleaseFileNameInformation(Name);
    FltReleaseFileNameInformation(Name);
}

static BOOLEAN
IsOurs(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\call.bin");

    return Objects->FileObject != NULL && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status) && IsOurs(Objects)) {
        CallLocks();
        CallContexts(Objects);
        CallTransactions(Objects->Instance);
        CallObjects(Data, Objects);
        CallFile(Objects);
        CallDirectory(Objects);
        CallParameters();
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreQuery(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (!IsOurs(Objects)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    CallData(Data);
    CallOplocks(Data);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PMDL *Mdl = (PMDL *)1;
    PVOID *Buffer = NULL;

    UNREFERENCED_PARAMETER(Context);
    CHECK(FltDecodeParameters(Data, &Mdl, &Buffer, NULL, NULL) == STATUS_SUCCESS && Mdl == NULL);
    CHECK(!IsOurs(Objects) || Buffer == &Data->Iopb->Parameters.FileSystemControl.Buffered.SystemBuffer);
    CHECK(FltLockUserBuffer(Data) == STATUS_INVALID_PARAMETER);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    DbgPrint("caller checked %u\n", Checks);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_CONTEXT_REGISTRATION Contexts[] = {
        {FLT_STREAM_CONTEXT, 0, ContextGone, 16, 'txtC'},       {FLT_FILE_CONTEXT, 0, ContextGone, 16, 'txtC'},
        {FLT_STREAMHANDLE_CONTEXT, 0, ContextGone, 16, 'txtC'}, {FLT_INSTANCE_CONTEXT, 0, ContextGone, 16, 'txtC'},
        {FLT_VOLUME_CONTEXT, 0, ContextGone, 16, 'txtC'},       {FLT_CONTEXT_END}};
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate},
                                                            {IRP_MJ_QUERY_INFORMATION, 0, PreQuery, NULL},
                                                            {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
