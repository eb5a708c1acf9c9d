/*
 * opener.c: opens files and volumes of its own in the post-create of open.bin, which nobody else may open meanwhile.
 * "opener checked <n>" is printed, and each check that fails.
 */

#include <fltKernel.h>
#include <mountdev.h>
#include <ntdddisk.h>
#include <ntddstor.h>
#include <ntddvol.h>

static PFLT_FILTER Filter;
static ULONG Checks;
static NTSTATUS ById;

#define CHECK(Condition)                                                                                               \
    do {                                                                                                               \
        Checks++;                                                                                                      \
        if (!(Condition)) {                                                                                            \
            DbgPrint("opener: line %d is not true: %s\n", __LINE__, #Condition);                                       \
        }                                                                                                              \
    } while (0)

/* Open by a path on V:; File is the caller's where that succeeds. */
static NTSTATUS
OpenWith(PCFLT_RELATED_OBJECTS Objects, PCWSTR Path, ULONG ObjectFlags, ULONG Options, ULONG Flags, PFILE_OBJECT *File)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;
    HANDLE Handle = NULL;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, Path);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | ObjectFlags, NULL, NULL);
    Status = FltCreateFileEx(Filter, Objects->Instance, &Handle, File, FILE_READ_DATA | SYNCHRONIZE, &Attributes, &Iosb,
                             NULL, 0, 7, FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT | Options, NULL, 0, Flags);
    if (NT_SUCCESS(Status)) {
        FltClose(Handle);
    }
    return Status;
}

static NTSTATUS
Open(PCFLT_RELATED_OBJECTS Objects, PCWSTR Path, ULONG Options, ULONG Flags, PFILE_OBJECT *File)
{
    return OpenWith(Objects, Path, 0, Options, Flags, File);
}

/* Whoever ignores sharing is neither held against that of others nor counted in it. */
static void
IgnoreSharing(PCFLT_RELATED_OBJECTS Objects)
{
    PFILE_OBJECT File = NULL;
    SHARE_ACCESS Share;

    CHECK(Open(Objects, L"\\??\\V:\\open.bin", 0, 0, &File) == STATUS_SHARING_VIOLATION);
    CHECK(Open(Objects, L"\\??\\V:\\open.bin", 0, IO_IGNORE_SHARE_ACCESS_CHECK, &File) == STATUS_SUCCESS);
    CHECK(IoIsFileObjectIgnoringSharing(File) && !IoIsFileObjectIgnoringSharing(Objects->FileObject));
    IoSetShareAccess(FILE_READ_DATA, 0, Objects->FileObject, &Share);
    CHECK(IoCheckShareAccess(FILE_READ_DATA, 7, File, &Share, TRUE) == STATUS_SUCCESS && Share.OpenCount == 1);
    IoRemoveShareAccess(File, &Share);
    CHECK(Share.OpenCount == 1);
    ObDereferenceObject(File);
}

/* A link is followed, unless the create is to stop there. */
static void
StopOnLinks(PCFLT_RELATED_OBJECTS Objects)
{
    PFILE_OBJECT File = NULL;

    CHECK(Open(Objects, L"\\??\\V:\\link", 0, IO_STOP_ON_SYMLINK, &File) == STATUS_STOPPED_ON_SYMLINK);
    CHECK(Open(Objects, L"\\??\\V:\\link", FILE_OPEN_REPARSE_POINT, IO_STOP_ON_SYMLINK, &File) == STATUS_SUCCESS);
    ObDereferenceObject(File);
    CHECK(Open(Objects, L"\\??\\V:\\link", 0, 0, &File) == STATUS_SUCCESS);
    ObDereferenceObject(File);
}

/* What OBJECT_ATTRIBUTES ask of a create: no way round, and no more than the client may. */
static void
HeedObjectAttributes(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\shut");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File = NULL;
    HANDLE Handle = NULL;

    CHECK(OpenWith(Objects, L"\\??\\V:\\link", OBJ_DONT_REPARSE, 0, 0, &File) == STATUS_REPARSE_POINT_ENCOUNTERED);
    CHECK(OpenWith(Objects, L"\\??\\V:\\to", OBJ_DONT_REPARSE, 0, 0, &File) == STATUS_SUCCESS);
    ObDereferenceObject(File);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_FORCE_ACCESS_CHECK, NULL, NULL);
    CHECK(ZwOpenFile(&Handle, FILE_READ_DATA, &Attributes, &Iosb, 7, 0) == STATUS_ACCESS_DENIED);
    Attributes.Attributes = OBJ_KERNEL_HANDLE;
    CHECK(ZwOpenFile(&Handle, FILE_READ_DATA, &Attributes, &Iosb, 7, 0) == STATUS_SUCCESS);
    ZwClose(Handle);
}

static NTSTATUS
AskDisk(PDEVICE_OBJECT Disk, ULONG Code, PVOID In, ULONG InLength, PVOID Out, ULONG OutLength, PULONG_PTR Count)
{
    IO_STATUS_BLOCK Iosb = {0};
    KEVENT Event;
    PIRP Irp;

    KeInitializeEvent(&Event, NotificationEvent, FALSE);
    Irp = IoBuildDeviceIoControlRequest(Code, Disk, In, InLength, Out, OutLength, FALSE, &Event, &Iosb);
    if (IoCallDriver(Disk, Irp) == STATUS_PENDING) {
        KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    }
    *Count = Iosb.Information;
    return Iosb.Status;
}

/* What instance setup asks of the disk: its bus, its number, its name. */
static void
AskAboutTheDisk(PCFLT_RELATED_OBJECTS Objects)
{
    STORAGE_PROPERTY_QUERY Query = {StorageDeviceProperty, PropertyStandardQuery};
    union {
        STORAGE_DEVICE_DESCRIPTOR Device;
        STORAGE_DEVICE_NUMBER Number;
        MOUNTDEV_NAME Name;
        VOLUME_DISK_EXTENTS Extents;
        UCHAR Room[256];
    } Answer;
    PARTITION_INFORMATION_EX Partition;
    PDEVICE_OBJECT Disk = NULL;
    PFILE_OBJECT Volume = NULL;
    ULONG_PTR Count;
    ULONG Returned = 0;

    CHECK(FltGetDiskDeviceObject(Objects->Volume, &Disk) == STATUS_SUCCESS);
    CHECK(AskDisk(Disk, IOCTL_STORAGE_QUERY_PROPERTY, &Query, sizeof(Query), &Answer, sizeof(Answer), &Count) == 0);
    CHECK(Answer.Device.BusType == BusTypeSata && !Answer.Device.RemovableMedia && Answer.Device.Size == Count);
    CHECK(strcmp((PCSTR)&Answer + Answer.Device.VendorIdOffset, "fltlab") == 0);
    CHECK(AskDisk(Disk, IOCTL_STORAGE_QUERY_PROPERTY, &Query, sizeof(Query), &Answer, 8, &Count) == 0 && Count == 8);
    CHECK(AskDisk(Disk, IOCTL_STORAGE_GET_DEVICE_NUMBER, NULL, 0, &Answer, sizeof(Answer), &Count) == 0);
    CHECK(Answer.Number.DeviceType == FILE_DEVICE_DISK && Count == sizeof(STORAGE_DEVICE_NUMBER));
    CHECK(AskDisk(Disk, IOCTL_MOUNTDEV_QUERY_DEVICE_NAME, NULL, 0, &Answer, 4, &Count) == STATUS_BUFFER_OVERFLOW);
    CHECK(Count == 4 && Answer.Name.NameLength == sizeof(L"\\Device\\HarddiskVolume1") - sizeof(WCHAR));
    CHECK(AskDisk(Disk, IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS, NULL, 0, &Answer, sizeof(Answer), &Count) == 0);
    CHECK(Answer.Extents.NumberOfDiskExtents == 1 && Answer.Extents.Extents[0].ExtentLength.QuadPart > 0);
    CHECK(AskDisk(Disk, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &Answer, 4, &Count) == STATUS_BUFFER_TOO_SMALL);
    CHECK(AskDisk(Disk, 0x222000, NULL, 0, NULL, 0, &Count) == STATUS_INVALID_DEVICE_REQUEST);
    ObDereferenceObject(Disk);
    CHECK(Open(Objects, L"\\??\\V:", 0, 0, &Volume) == STATUS_SUCCESS);
    CHECK(FltDeviceIoControlFile(Objects->Instance, Volume, IOCTL_DISK_GET_PARTITION_INFO_EX, NULL, 0, &Partition,
                                 sizeof(Partition), &Returned) == STATUS_SUCCESS);
    CHECK(Returned == sizeof(Partition) && Partition.Mbr.PartitionType == PARTITION_IFS);
    ObDereferenceObject(Volume);
    CHECK(FltDeviceIoControlFile(Objects->Instance, Objects->FileObject, IOCTL_DISK_IS_WRITABLE, NULL, 0, NULL, 0,
                                 &Returned) == STATUS_INVALID_PARAMETER);
}

/* A short name is the last component alone, and a volume that makes none has none to tell. */
static void
AskNames(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Whole = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1\\there\\new");
    PFLT_FILE_NAME_INFORMATION Name = NULL;
    WCHAR Below[] = L"there\\new";

    CHECK(FltGetFileNameInformation(Data, FLT_FILE_NAME_SHORT | FLT_FILE_NAME_QUERY_DEFAULT, &Name) ==
          STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED, &Name) == STATUS_INVALID_PARAMETER && Name == NULL);
    CHECK(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | 0x700, &Name) == STATUS_INVALID_PARAMETER);
    CHECK(FltGetFileNameInformationUnsafe(Objects->FileObject, Objects->Instance, FLT_FILE_NAME_OPENED, &Name) ==
          STATUS_INVALID_PARAMETER);
    CHECK(FltGetDestinationFileNameInformation(Objects->Instance, Objects->FileObject, NULL, Below,
                                               sizeof(Below) - sizeof(WCHAR), FLT_FILE_NAME_OPENED,
                                               &Name) == STATUS_INVALID_PARAMETER);
    CHECK(FltGetDestinationFileNameInformation(Objects->Instance, Objects->FileObject, NULL, Below,
                                               sizeof(Below) - sizeof(WCHAR),
                                               FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name) == 0);
    CHECK(RtlEqualUnicodeString(&Name->Name, &Whole, FALSE));
    FltReleaseFileNameInformation(Name);
}

static void
LockForDpc(void)
{
    KLOCK_QUEUE_HANDLE Handle;
    KSPIN_LOCK Lock;
    KIRQL Old;

    KeInitializeSpinLock(&Lock);
    Old = KeAcquireSpinLockForDpc(&Lock);
    CHECK(Old == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL && !KeTestSpinLock(&Lock));
    KeReleaseSpinLockForDpc(&Lock, Old);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && KeTestSpinLock(&Lock));
    KeAcquireInStackQueuedSpinLockForDpc(&Lock, &Handle);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL && !KeTestSpinLock(&Lock));
    KeReleaseInStackQueuedSpinLockForDpc(&Handle);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && KeTestSpinLock(&Lock));
}

/* By its id, from the top of the stack: PreCreate is told the file's name; an id that is none has none. */
static void
OpenById(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Volume = RTL_CONSTANT_STRING(L"\\??\\V:"), Name;
    FILE_INTERNAL_INFORMATION Id = {{{0, 0}}};
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    HANDLE Root = NULL, Handle = NULL;
    ULONG Index;

    InitializeObjectAttributes(&Attributes, &Volume, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(FltCreateFile(Filter, Objects->Instance, &Root, FILE_READ_ATTRIBUTES, &Attributes, &Iosb, NULL, 0, 7,
                        FILE_OPEN, 0, NULL, 0, 0) == STATUS_SUCCESS);
    CHECK(FltQueryInformationFile(Objects->Instance, Objects->FileObject, &Id, sizeof(Id), FileInternalInformation,
                                  NULL) == STATUS_SUCCESS);
    Name.Buffer = (PWCH)&Id;
    Name.Length = Name.MaximumLength = sizeof(Id);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, Root, NULL);
    for (Index = 0; Index < 2; Index++) {
        ById = Index == 0 ? STATUS_SUCCESS : STATUS_FLT_INVALID_NAME_REQUEST;
        CHECK(FltCreateFile(Filter, NULL, &Handle, FILE_READ_ATTRIBUTES, &Attributes, &Iosb, NULL, 0, 7, FILE_OPEN,
                            FILE_OPEN_BY_FILE_ID, NULL, 0,
                            0) == (Index == 0 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER));
        if (Index == 0) {
            FltClose(Handle);
        }
        Id.IndexNumber.QuadPart ^= 0x7777777;
    }
    FltClose(Root);
}

static void
NameById(PFLT_CALLBACK_DATA Data)
{
    UNICODE_STRING Whole = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1\\open.bin");
    PFLT_FILE_NAME_INFORMATION Name = NULL;

    CHECK(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name) == ById);
    if (Name != NULL) {
        CHECK(RtlEqualUnicodeString(&Name->Name, &Whole, FALSE));
        FltReleaseFileNameInformation(Name);
    }
}

/* Whoever opens second.bin ignores sharing, as a filter on the way down may have it. */
static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\second.bin");

    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Data->Iopb->Parameters.Create.Options, FILE_OPEN_BY_FILE_ID)) {
        NameById(Data);
    } else if (RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE)) {
        CHECK(IoSetFileObjectIgnoreSharing(Objects->FileObject) == STATUS_SUCCESS);
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\open.bin");

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status) && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE)) {
        IgnoreSharing(Objects);
        StopOnLinks(Objects);
        HeedObjectAttributes(Objects);
        AskAboutTheDisk(Objects);
        AskNames(Data, Objects);
        OpenById(Objects);
        LockForDpc();
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    DbgPrint("opener checked %u\n", Checks);
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
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
