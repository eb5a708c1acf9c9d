"""A legacy filter over a file system: opens that it takes back, sections it is asked about, and what it asks of files."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static PDRIVER_OBJECT Self;
static PDEVICE_OBJECT Device, Lower;
static LONG Refuse, Sections, Reads;

static NTSTATUS NTAPI Pass(PDEVICE_OBJECT On, PIRP Irp)
{
    UNREFERENCED_PARAMETER(On);
    if (IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_READ && FlagOn(Irp->Flags, IRP_PAGING_IO)) InterlockedIncrement(&Reads);
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(Lower, Irp);
}

static NTSTATUS NTAPI Create(PDEVICE_OBJECT On, PIRP Irp)
{
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    NTSTATUS Status;

    if (!Refuse) return Pass(On, Irp);
    IoForwardIrpSynchronously(Lower, Irp);
    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        IoCancelFileOpen(Lower, File);
        CHECK(FlagOn(File->Flags, FO_FILE_OPEN_CANCELLED) && FlagOn(File->Flags, FO_CLEANUP_COMPLETE));
        Irp->IoStatus.Status = STATUS_ACCESS_DENIED;
        Irp->IoStatus.Information = 0;
    }
    Status = Irp->IoStatus.Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI BeforeSection(PFS_FILTER_CALLBACK_DATA Data, PVOID *Context)
{
    CHECK(Data->Operation == FS_FILTER_ACQUIRE_FOR_SECTION_SYNCHRONIZATION && Data->DeviceObject == Device);
    *Context = &Sections;
    return STATUS_SUCCESS;
}

static VOID NTAPI AfterSection(PFS_FILTER_CALLBACK_DATA Data, NTSTATUS Status, PVOID Context)
{
    UNREFERENCED_PARAMETER(Data);
    CHECK(NT_SUCCESS(Status) && Context == &Sections);
    InterlockedIncrement(&Sections);
}

static NTSTATUS Open(PCWSTR Text, ULONG Disposition, ULONG Share, PHANDLE Handle)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(Handle, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, &Attributes, &Iosb, NULL, 0, Share, Disposition, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
}

EXPORT ULONG Attach(void)
{
    FS_FILTER_CALLBACKS Callbacks = { sizeof(Callbacks) };
    PFILE_OBJECT File;
    HANDLE Handle;

    Callbacks.SizeOfFsFilterCallbacks = sizeof(Callbacks);
    Callbacks.PreAcquireForSectionSynchronization = BeforeSection;
    Callbacks.PostAcquireForSectionSynchronization = AfterSection;
    CHECK(FsRtlRegisterFileSystemFilterCallbacks(Self, &Callbacks) == STATUS_SUCCESS);
    Callbacks.SizeOfFsFilterCallbacks = 4;
    CHECK(FsRtlRegisterFileSystemFilterCallbacks(Self, &Callbacks) == STATUS_INVALID_PARAMETER);
    CHECK(Open(L"\\??\\V:\\a.bin", FILE_OPEN_IF, 7, &Handle) == STATUS_SUCCESS);
    CHECK(ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL) == STATUS_SUCCESS);
    CHECK(IoCreateDevice(Self, 0, NULL, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE, &Device) == STATUS_SUCCESS);
    CHECK(IoAttachDeviceToDeviceStackSafe(Device, IoGetRelatedDeviceObject(File), &Lower) == STATUS_SUCCESS);
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG TakenBack(void)
{
    HANDLE Handle = NULL;

    Refuse = 1;
    CHECK(Open(L"\\??\\V:\\refused.bin", FILE_OPEN_IF, 0, &Handle) == STATUS_ACCESS_DENIED);
    Refuse = 0;
    CHECK(Open(L"\\??\\V:\\refused.bin", FILE_OPEN, 0, &Handle) == STATUS_SUCCESS); /* nobody has it open */
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG SectionsAndFiles(void)
{
    FILE_END_OF_FILE_INFORMATION End = { .EndOfFile.QuadPart = 100000 };
    IO_STATUS_BLOCK Iosb;
    struct { READ_LIST First; FILE_SEGMENT_ELEMENT More[2]; } Pages = { .First.NumberOfEntries = 3 };
    PREAD_LIST List = &Pages.First;
    PDEVICE_OBJECT Disk = NULL;
    HANDLE Handle, Section;
    PFILE_OBJECT File;
    GUID Guid;

    CHECK(Open(L"\\??\\V:\\a.bin", FILE_OPEN, 7, &Handle) == STATUS_SUCCESS);
    ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL);
    CHECK(ZwSetInformationFile(Handle, &Iosb, &End, sizeof(End), FileEndOfFileInformation) == STATUS_SUCCESS);
    CHECK(ZwCreateSection(&Section, SECTION_MAP_READ, NULL, NULL, PAGE_READONLY, SEC_COMMIT, Handle) == STATUS_SUCCESS && Sections == 1);
    ZwClose(Section);
    List->FileObject = File;
    List->List[1].Alignment = 4096;
    List->List[2].Alignment = 65536;
    Reads = 0;
    CHECK(MmPrefetchPages(1, &List) == STATUS_SUCCESS && Reads == 2); /* two pages that are neighbours, and one */
    CHECK(MmPrefetchPages(1, &List) == STATUS_SUCCESS && Reads == 2); /* they are there */
    List->FileObject = NULL;
    CHECK(MmPrefetchPages(1, &List) == STATUS_INVALID_PARAMETER);
    Disk = File->DeviceObject;
    CHECK(IoVolumeDeviceToGuid(Disk, &Guid) == STATUS_SUCCESS && Guid.Data2 == 0 && Guid.Data3 == 0x4000 && Guid.Data4[7] == 1);
    CHECK(IoVerifyVolume(Disk, TRUE) == STATUS_SUCCESS);
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG Detach(void)
{
    IoDetachDevice(Lower);
    IoDeleteDevice(Device);
    CHECK(Device != NULL);
    return Checks;
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver) { UNREFERENCED_PARAMETER(Driver); }

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Self = Driver;
    for (ULONG Major = 0; Major <= IRP_MJ_MAXIMUM_FUNCTION; Major++) Driver->MajorFunction[Major] = Pass;
    Driver->MajorFunction[IRP_MJ_CREATE] = Create;
    Driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
"""


def test_opens_are_taken_back_sections_asked_about_pages_brought_in_and_volumes_verified(load, tmp_path: Path):
    machine = load(DRIVER, entry=False, volumes={"V:": tmp_path})

    for function in ("Attach", "TakenBack", "SectionsAndFiles", "Detach"):
        machine.check(function)
    assert machine.findings == []
