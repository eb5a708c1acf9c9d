/*
 * keyed.c: opens with FILE_SEQUENTIAL_ONLY get an oplock key; tag.bin is tagged, tagged anew and untagged; keyed.bin is
 * opened by the filter itself in the ways that no oplock may mind. "keyed checked <n>", and each check that fails.
 */

#include <fltKernel.h>

#ifndef FILE_OPEN_REQUIRING_OPLOCK
#define FILE_OPEN_REQUIRING_OPLOCK 0x00010000
#endif
#define GIVEN_TAG_OR_NONE 1
#define OUR_TAG 0x00004321
#define OTHER_TAG 0x00004322

static PFLT_FILTER Filter;
static ULONG Checks;
static PFILE_OBJECT Keyed;
static OPLOCK Oplock;
static const GUID DualKey = {0x41621a14, 0xb08b, 0x4df1, {0xb6, 0x76, 0xa0, 0x5f, 0xfd, 0xf0, 0x1b, 0xea}};
static const GUID OurKey = {0x0BADF00D, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};
static const GUID Guid = {0xBADC0DE, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};
static const GUID OtherGuid = {0xBADC0DF, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        Checks++;                                                                                                      \
        if (!(Condition)) {                                                                                            \
            DbgPrint("keyed: line %d is not true: %s\n", __LINE__, #Condition);                                        \
        }                                                                                                              \
    } while (0)

static BOOLEAN
IsNamed(PCFLT_RELATED_OBJECTS Objects, PCWSTR Text)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    return Objects->FileObject != NULL && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static void
GiveKey(PFLT_CALLBACK_DATA Data)
{
    DUAL_OPLOCK_KEY_ECP_CONTEXT *Keys = NULL;
    PECP_LIST List = NULL;

    CHECK(FltAllocateExtraCreateParameterList(Filter, 0, &List) == STATUS_SUCCESS);
    CHECK(FltAllocateExtraCreateParameter(Filter, &DualKey, sizeof(*Keys), 0, NULL, 'yeKO', (PVOID *)&Keys) == 0);
    Keys->TargetOplockKey = OurKey;
    Keys->TargetOplockKeySet = TRUE;
    CHECK(FltInsertExtraCreateParameter(Filter, List, Keys) == STATUS_SUCCESS);
    CHECK(FltSetEcpListIntoCallbackData(Filter, Data, List) == STATUS_SUCCESS);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (IsNamed(Objects, L"\\keyed.bin") && FlagOn(Data->Iopb->Parameters.Create.Options, FILE_SEQUENTIAL_ONLY)) {
        GiveKey(Data);
        CHECK(FltCheckOplockEx(&Oplock, Data, OPLOCK_FLAG_OPLOCK_KEY_CHECK_ONLY, NULL, NULL, NULL) ==
              FLT_PREOP_SUCCESS_WITH_CALLBACK);
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static NTSTATUS
OpenBelow(PCFLT_RELATED_OBJECTS Objects, ACCESS_MASK Access, ULONG Options)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\keyed.bin");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Handle;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = FltCreateFile(Filter, Objects->Instance, &Handle, Access, &Attributes, &Iosb, NULL, 0,
                           FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN, Options, NULL, 0, 0);
    if (NT_SUCCESS(Status)) {
        FltClose(Handle);
    }
    return Status;
}

static void
CompareKeys(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFILE_OBJECT File = Objects->FileObject;

    if (!FlagOn(Data->Iopb->Parameters.Create.Options, FILE_SEQUENTIAL_ONLY)) {
        CHECK(Keyed != NULL && !FltOplockKeysEqual(File, Keyed) && FltOplockKeysEqual(File, File));
        CHECK(IoGetOplockKeyContextEx(File) == NULL && IoGetOplockKeyContext(File) == NULL);
    } else if (Keyed == NULL) {
        Keyed = File;
        ObReferenceObject(Keyed);
        CHECK(IoGetOplockKeyContextEx(File)->Flags == OPLOCK_KEY_FLAG_TARGET_KEY);
        CHECK(IsEqualGUID(&IoGetOplockKeyContextEx(File)->TargetOplockKey, &OurKey));
        CHECK(RtlEqualMemory(IoGetOplockKeyContext(File), &OurKey, sizeof(GUID)));
    } else {
        CHECK(FltOplockKeysEqual(File, Keyed) && FsRtlOplockKeysEqual(File, Keyed));
        CHECK(OpenBelow(Objects, FILE_READ_ATTRIBUTES, FILE_OPEN_REQUIRING_OPLOCK) == STATUS_SUCCESS);
        CHECK(OpenBelow(Objects, FILE_READ_DATA, FILE_OPEN_REQUIRING_OPLOCK) == STATUS_CANNOT_BREAK_OPLOCK);
        CHECK(OpenBelow(Objects, FILE_READ_ATTRIBUTES, FILE_RESERVE_OPFILTER) == STATUS_OPLOCK_NOT_GRANTED);
    }
}

static void
Tag(PCFLT_RELATED_OBJECTS Objects)
{
    static UCHAR Data[4] = "tag";
    PFLT_INSTANCE Instance = Objects->Instance;
    PFILE_OBJECT File = Objects->FileObject;

    CHECK(FltTagFile(Instance, File, OUR_TAG, NULL, Data, 4) == STATUS_INVALID_PARAMETER);
    CHECK(FltUntagFile(Instance, File, OUR_TAG, (GUID *)&Guid) == STATUS_NOT_A_REPARSE_POINT);
    CHECK(FltTagFileEx(Instance, File, OUR_TAG, (GUID *)&Guid, Data, 4, OTHER_TAG, (GUID *)&Guid, 0) ==
          STATUS_NOT_A_REPARSE_POINT);
    CHECK(FltTagFile(Instance, File, OUR_TAG, (GUID *)&Guid, Data, 4) == STATUS_SUCCESS);
    CHECK(FltTagFile(Instance, File, OTHER_TAG, (GUID *)&Guid, Data, 4) == STATUS_IO_REPARSE_TAG_MISMATCH);
    CHECK(FltTagFile(Instance, File, OUR_TAG, (GUID *)&OtherGuid, Data, 4) == STATUS_REPARSE_ATTRIBUTE_CONFLICT);
    CHECK(FltTagFile(Instance, File, OUR_TAG, (GUID *)&Guid, Data, 3) == STATUS_SUCCESS);
    CHECK(FltTagFileEx(Instance, File, OTHER_TAG, (GUID *)&Guid, Data, 4, OUR_TAG, (GUID *)&Guid, 0) == STATUS_SUCCESS);
    CHECK(FltTagFileEx(Instance, File, OUR_TAG, (GUID *)&Guid, Data, 4, OUR_TAG, (GUID *)&Guid, GIVEN_TAG_OR_NONE) ==
          STATUS_IO_REPARSE_TAG_MISMATCH);
    CHECK(FltUntagFile(Instance, File, OUR_TAG, (GUID *)&Guid) == STATUS_IO_REPARSE_TAG_MISMATCH);
    CHECK(FltUntagFile(Instance, File, OTHER_TAG, (GUID *)&OtherGuid) == STATUS_REPARSE_ATTRIBUTE_CONFLICT);
    CHECK(FltUntagFile(Instance, File, OTHER_TAG, (GUID *)&Guid) == STATUS_SUCCESS);
    CHECK(FltTagFileEx(Instance, File, OUR_TAG, (GUID *)&Guid, Data, 4, OTHER_TAG, (GUID *)&Guid, GIVEN_TAG_OR_NONE) ==
          STATUS_SUCCESS);
    CHECK(FltUntagFile(Instance, File, OUR_TAG, (GUID *)&Guid) == STATUS_SUCCESS);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (!NT_SUCCESS(Data->IoStatus.Status) || FlagOn(Data->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (IsNamed(Objects, L"\\keyed.bin")) {
        CompareKeys(Data, Objects);
    } else if (IsNamed(Objects, L"\\tag.bin")) {
        Tag(Objects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    if (Keyed != NULL) {
        ObDereferenceObject(Keyed);
    }
    FltUninitializeOplock(&Oplock);
    DbgPrint("keyed checked %u\n", Checks);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, PostCreate},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    FltInitializeOplock(&Oplock);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
