/*
 * information.c: what is asked about files and the volume, and what is set.
 */

#include "labfs.h"

static ULONG
Attributes(FCB *Fcb)
{
    if (IsRoot(Fcb)) {
        return FILE_ATTRIBUTE_DIRECTORY;
    }
    return IsGone(Fcb) ? FILE_ATTRIBUTE_NORMAL : EntryOf(Fcb)->Attributes;
}

static LONGLONG
TimeOf(FCB *Fcb, BOOLEAN Creation)
{
    if (IsRoot(Fcb) || IsGone(Fcb)) {
        return 0;
    }
    return Creation ? EntryOf(Fcb)->CreationTime : EntryOf(Fcb)->LastWriteTime;
}

static void
FillBasic(FCB *Fcb, FILE_BASIC_INFORMATION *Basic)
{
    Basic->CreationTime.QuadPart = TimeOf(Fcb, TRUE);
    Basic->LastWriteTime.QuadPart = Basic->LastAccessTime.QuadPart = Basic->ChangeTime.QuadPart = TimeOf(Fcb, FALSE);
    Basic->FileAttributes = Attributes(Fcb);
}

static void
FillStandard(FCB *Fcb, FILE_STANDARD_INFORMATION *Standard)
{
    Standard->AllocationSize = Fcb->Header.AllocationSize;
    Standard->EndOfFile = Fcb->Header.FileSize;
    Standard->NumberOfLinks = Fcb->DeletePending ? 0 : 1;
    Standard->DeletePending = Fcb->DeletePending;
    Standard->Directory = IsRoot(Fcb);
}

/* The name, with its backslash, as far as there is room for it. */
static NTSTATUS
FillName(FCB *Fcb, FILE_NAME_INFORMATION *Name, ULONG Length, ULONG *Used)
{
    ULONG Room = Length - FIELD_OFFSET(FILE_NAME_INFORMATION, FileName);
    ULONG Whole = sizeof(WCHAR) + (IsRoot(Fcb) || IsGone(Fcb) ? 0 : EntryOf(Fcb)->NameLength);
    WCHAR Text[NAME_LENGTH + 1];

    Text[0] = L'\\';
    if (Whole > sizeof(WCHAR)) {
        RtlCopyMemory(&Text[1], EntryOf(Fcb)->Name, Whole - sizeof(WCHAR));
    }
    Name->FileNameLength = Whole;
    RtlCopyMemory(Name->FileName, Text, min(Whole, Room));
    *Used = FIELD_OFFSET(FILE_NAME_INFORMATION, FileName) + min(Whole, Room);
    return Whole > Room ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static NTSTATUS
Query(FCB *Fcb, PFILE_OBJECT File, FILE_INFORMATION_CLASS Class, PVOID Buffer, ULONG Length, ULONG *Used)
{
    static const ULONG Sizes[] = {
        [FileBasicInformation] = sizeof(FILE_BASIC_INFORMATION),
        [FileStandardInformation] = sizeof(FILE_STANDARD_INFORMATION),
        [FileInternalInformation] = sizeof(FILE_INTERNAL_INFORMATION),
        [FileEaInformation] = sizeof(FILE_EA_INFORMATION),
        [FilePositionInformation] = sizeof(FILE_POSITION_INFORMATION),
        [FileNameInformation] = FIELD_OFFSET(FILE_NAME_INFORMATION, FileName) + sizeof(WCHAR),
        [FileNetworkOpenInformation] = sizeof(FILE_NETWORK_OPEN_INFORMATION),
        [FileAllInformation] = FIELD_OFFSET(FILE_ALL_INFORMATION, NameInformation.FileName) + sizeof(WCHAR),
    };

    if ((ULONG)Class >= RTL_NUMBER_OF(Sizes) || Sizes[Class] == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    if (Length < Sizes[Class]) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *Used = Sizes[Class];
    RtlZeroMemory(Buffer, Sizes[Class]);
    switch (Class) {
    case FileBasicInformation:
        FillBasic(Fcb, Buffer);
        return STATUS_SUCCESS;
    case FileStandardInformation:
        FillStandard(Fcb, Buffer);
        return STATUS_SUCCESS;
    case FileInternalInformation:
        ((FILE_INTERNAL_INFORMATION *)Buffer)->IndexNumber.QuadPart = Fcb->Entry + 1;
        return STATUS_SUCCESS;
    case FilePositionInformation:
        ((FILE_POSITION_INFORMATION *)Buffer)->CurrentByteOffset = File->CurrentByteOffset;
        return STATUS_SUCCESS;
    case FileNameInformation:
        return FillName(Fcb, Buffer, Length, Used);
    case FileNetworkOpenInformation: {
        FILE_NETWORK_OPEN_INFORMATION *Network = Buffer;
        FILE_BASIC_INFORMATION Basic;

        FillBasic(Fcb, &Basic);
        Network->CreationTime = Basic.CreationTime;
        Network->LastAccessTime = Network->LastWriteTime = Network->ChangeTime = Basic.LastWriteTime;
        Network->AllocationSize = Fcb->Header.AllocationSize;
        Network->EndOfFile = Fcb->Header.FileSize;
        Network->FileAttributes = Basic.FileAttributes;
        return STATUS_SUCCESS;
    }
    case FileAllInformation: {
        FILE_ALL_INFORMATION *All = Buffer;
        ULONG Before = FIELD_OFFSET(FILE_ALL_INFORMATION, NameInformation), Named;
        NTSTATUS Status;

        FillBasic(Fcb, &All->BasicInformation);
        FillStandard(Fcb, &All->StandardInformation);
        All->InternalInformation.IndexNumber.QuadPart = Fcb->Entry + 1;
        All->PositionInformation.CurrentByteOffset = File->CurrentByteOffset;
        Status = FillName(Fcb, &All->NameInformation, Length - Before, &Named);
        *Used = Before + Named;
        return Status;
    }
    default:
        return STATUS_SUCCESS; /* no EAs */
    }
}

NTSTATUS
LabFsQueryInformation(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    FCB *Fcb = Location->FileObject->FsContext;
    VCB *Vcb = VcbOf(Device);
    ULONG Used = 0;
    NTSTATUS Status;

    if (Fcb == NULL) {
        return LabFsComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    ExAcquireResourceSharedLite(&Vcb->Lock, TRUE);
    Status = Query(Fcb, Location->FileObject, Location->Parameters.QueryFile.FileInformationClass,
                   Irp->AssociatedIrp.SystemBuffer, Location->Parameters.QueryFile.Length, &Used);
    ExReleaseResourceLite(&Vcb->Lock);
    return LabFsComplete(Irp, Status, NT_SUCCESS(Status) || Status == STATUS_BUFFER_OVERFLOW ? Used : 0);
}

static NTSTATUS
Rename(FCB *Fcb, PFILE_OBJECT Target, FILE_RENAME_INFORMATION *Rename)
{
    UNICODE_STRING Name;
    ULONG Found;

    /* The last component: the root is the only directory, and the target's parent was opened if there is one. */
    Name.Buffer = Target != NULL ? Target->FileName.Buffer : Rename->FileName;
    Name.Length = Name.MaximumLength = Target != NULL ? Target->FileName.Length : (USHORT)Rename->FileNameLength;
    while (Name.Length != 0 && Name.Buffer[0] == L'\\') {
        Name.Buffer++;
        Name.Length -= sizeof(WCHAR);
    }
    if (Name.Length == 0 || Name.Length > NAME_LENGTH * sizeof(WCHAR)) {
        return STATUS_OBJECT_NAME_INVALID;
    }
    Found = LabFsFind(Fcb->Vcb, &Name);
    if (Found != ENTRIES && Found != Fcb->Entry) {
        if (!Rename->ReplaceIfExists) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        if (Fcb->Vcb->Files[Found] != NULL) {
            return STATUS_ACCESS_DENIED;
        }
        RtlZeroMemory(&Fcb->Vcb->Table[Found], sizeof(LABFS_ENTRY));
    }
    EntryOf(Fcb)->NameLength = Name.Length;
    RtlCopyMemory(EntryOf(Fcb)->Name, Name.Buffer, Name.Length);
    return LabFsWriteTable(Fcb->Vcb);
}

static NTSTATUS
Set(FCB *Fcb, PIRP Irp, PIO_STACK_LOCATION Location)
{
    PVOID Buffer = Irp->AssociatedIrp.SystemBuffer;

    switch (Location->Parameters.SetFile.FileInformationClass) {
    case FileBasicInformation: {
        FILE_BASIC_INFORMATION *Basic = Buffer;

        if (Basic->FileAttributes != 0) {
            EntryOf(Fcb)->Attributes = (USHORT)(Basic->FileAttributes & ~FILE_ATTRIBUTE_NORMAL);
        }
        if (Basic->CreationTime.QuadPart > 0) {
            EntryOf(Fcb)->CreationTime = Basic->CreationTime.QuadPart;
        }
        if (Basic->LastWriteTime.QuadPart > 0) {
            EntryOf(Fcb)->LastWriteTime = Basic->LastWriteTime.QuadPart;
        }
        return STATUS_SUCCESS;
    }
    case FileDispositionInformation:
        if (((FILE_DISPOSITION_INFORMATION *)Buffer)->DeleteFile &&
            (EntryOf(Fcb)->Attributes & FILE_ATTRIBUTE_READONLY) != 0) {
            return STATUS_CANNOT_DELETE;
        }
        Fcb->DeletePending = ((FILE_DISPOSITION_INFORMATION *)Buffer)->DeleteFile;
        Location->FileObject->DeletePending = Fcb->DeletePending;
        return STATUS_SUCCESS;
    case FileEndOfFileInformation:
        return LabFsSetSize(Fcb, ((FILE_END_OF_FILE_INFORMATION *)Buffer)->EndOfFile.QuadPart);
    case FileAllocationInformation: {
        LONGLONG Size = ((FILE_ALLOCATION_INFORMATION *)Buffer)->AllocationSize.QuadPart;

        return Size < Fcb->Header.FileSize.QuadPart ? LabFsSetSize(Fcb, Size) : STATUS_SUCCESS;
    }
    case FilePositionInformation:
        Location->FileObject->CurrentByteOffset = ((FILE_POSITION_INFORMATION *)Buffer)->CurrentByteOffset;
        return STATUS_SUCCESS;
    case FileRenameInformation:
        return Rename(Fcb, Location->Parameters.SetFile.FileObject, Buffer);
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS
LabFsSetInformation(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    FCB *Fcb = Location->FileObject->FsContext;
    VCB *Vcb = VcbOf(Device);
    NTSTATUS Status;

    if (Fcb == NULL || IsRoot(Fcb) || IsGone(Fcb)) {
        return LabFsComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
    Status = Set(Fcb, Irp, Location);
    ExReleaseResourceLite(&Vcb->Lock);
    return LabFsComplete(Irp, Status, 0);
}

NTSTATUS
LabFsQueryVolumeInformation(PDEVICE_OBJECT Device, PIRP Irp)
{
    static const WCHAR FileSystemName[] = L"LABFS";
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    ULONG Length = Location->Parameters.QueryVolume.Length, Used;
    PVOID Buffer = Irp->AssociatedIrp.SystemBuffer;
    VCB *Vcb = VcbOf(Device);

    switch (Location->Parameters.QueryVolume.FsInformationClass) {
    case FileFsVolumeInformation: {
        FILE_FS_VOLUME_INFORMATION *Volume = Buffer;
        ULONG Label = Vcb->Vpb->VolumeLabelLength;

        Used = FIELD_OFFSET(FILE_FS_VOLUME_INFORMATION, VolumeLabel);
        if (Length < Used) {
            return LabFsComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        RtlZeroMemory(Volume, Used);
        Volume->VolumeSerialNumber = Vcb->Superblock.Serial;
        Volume->VolumeLabelLength = Label;
        RtlCopyMemory(Volume->VolumeLabel, Vcb->Vpb->VolumeLabel, min(Label, Length - Used));
        return LabFsComplete(Irp, Label > Length - Used ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS,
                             Used + min(Label, Length - Used));
    }
    case FileFsSizeInformation: {
        FILE_FS_SIZE_INFORMATION *Size = Buffer;

        if (Length < sizeof(*Size)) {
            return LabFsComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        Size->BytesPerSector = SECTOR;
        Size->SectorsPerAllocationUnit = SLOT_SIZE / SECTOR;
        Size->TotalAllocationUnits.QuadPart = ENTRIES;
        Size->AvailableAllocationUnits.QuadPart = 0;
        for (Used = 0; Used < ENTRIES; Used++) {
            Size->AvailableAllocationUnits.QuadPart += Vcb->Table[Used].NameLength == 0;
        }
        return LabFsComplete(Irp, STATUS_SUCCESS, sizeof(*Size));
    }
    case FileFsDeviceInformation: {
        FILE_FS_DEVICE_INFORMATION *Information = Buffer;

        if (Length < sizeof(*Information)) {
            return LabFsComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        Information->DeviceType = FILE_DEVICE_DISK;
        Information->Characteristics = Vcb->Disk->Characteristics | FILE_DEVICE_IS_MOUNTED;
        return LabFsComplete(Irp, STATUS_SUCCESS, sizeof(*Information));
    }
    case FileFsAttributeInformation: {
        FILE_FS_ATTRIBUTE_INFORMATION *Attribute = Buffer;
        ULONG Name = sizeof(FileSystemName) - sizeof(WCHAR);

        Used = FIELD_OFFSET(FILE_FS_ATTRIBUTE_INFORMATION, FileSystemName);
        if (Length < Used) {
            return LabFsComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
        }
        Attribute->FileSystemAttributes = FILE_CASE_PRESERVED_NAMES | FILE_UNICODE_ON_DISK;
        Attribute->MaximumComponentNameLength = NAME_LENGTH;
        Attribute->FileSystemNameLength = Name;
        RtlCopyMemory(Attribute->FileSystemName, FileSystemName, min(Name, Length - Used));
        return LabFsComplete(Irp, Name > Length - Used ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS,
                             Used + min(Name, Length - Used));
    }
    default:
        return LabFsComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
}
