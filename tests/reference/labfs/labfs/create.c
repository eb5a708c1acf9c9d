/*
 * create.c: create, cleanup and close.
 */

#include "labfs.h"

static BOOLEAN
SameName(const LABFS_ENTRY *Entry, PCUNICODE_STRING Name)
{
    UNICODE_STRING Known;

    Known.Buffer = (PWCH)Entry->Name;
    Known.Length = Known.MaximumLength = Entry->NameLength;
    return Entry->NameLength != 0 && RtlEqualUnicodeString(&Known, Name, TRUE);
}

/* The entry of a name (without a backslash); ENTRIES if there is none. */
ULONG
LabFsFind(VCB *Vcb, PCUNICODE_STRING Name)
{
    ULONG At;

    for (At = 0; At < ENTRIES && !SameName(&Vcb->Table[At], Name); At++) {
    }
    return At;
}

static FCB *
ReferenceFile(VCB *Vcb, ULONG Entry)
{
    FCB *Fcb = Vcb->Files[Entry];

    if (Fcb == NULL) {
        Fcb = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(FCB), LABFS_TAG);
        if (Fcb == NULL) {
            return NULL;
        }
        RtlZeroMemory(Fcb, sizeof(*Fcb));
        Fcb->Header.NodeTypeCode = FSRTL_NODE_FCB;
        Fcb->Header.NodeByteSize = sizeof(FCB);
        Fcb->Header.IsFastIoPossible = FastIoIsQuestionable;
        Fcb->Header.Resource = &Fcb->Resource;
        Fcb->Header.PagingIoResource = &Fcb->PagingResource;
        ExInitializeFastMutex(&Fcb->HeaderMutex);
        FsRtlSetupAdvancedHeader(&Fcb->Header, &Fcb->HeaderMutex);
        ExInitializeResourceLite(&Fcb->Resource);
        ExInitializeResourceLite(&Fcb->PagingResource);
        FsRtlInitializeFileLock(&Fcb->Locks, LabFsLockDone, LabFsUnlocked);
        Fcb->Vcb = Vcb;
        Fcb->Entry = Entry;
        if (Entry != ENTRIES) {
            Fcb->Header.FileSize.QuadPart = Fcb->Header.ValidDataLength.QuadPart = Vcb->Table[Entry].Size;
            Fcb->Header.AllocationSize.QuadPart = SLOT_SIZE;
        }
        Vcb->Files[Entry] = Fcb;
    }
    Fcb->Opens++;
    return Fcb;
}

static void
DereferenceFile(FCB *Fcb)
{
    if (--Fcb->Opens != 0) {
        return;
    }
    if (!IsGone(Fcb)) {
        Fcb->Vcb->Files[Fcb->Entry] = NULL;
    }
    FsRtlTeardownPerStreamContexts(&Fcb->Header);
    FsRtlUninitializeFileLock(&Fcb->Locks);
    ExDeleteResourceLite(&Fcb->Resource);
    ExDeleteResourceLite(&Fcb->PagingResource);
    if (Fcb->Content != NULL) {
        ExFreePoolWithTag(Fcb->Content, LABFS_TAG);
    }
    ExFreePoolWithTag(Fcb, LABFS_TAG);
}

/* The name within the root directory: no directory of ours has another in it. */
static NTSTATUS
NameOf(PFILE_OBJECT File, UNICODE_STRING *Name)
{
    USHORT At;

    *Name = File->FileName;
    if (File->RelatedFileObject == NULL && Name->Length >= sizeof(WCHAR) && Name->Buffer[0] == L'\\') {
        Name->Buffer++;
        Name->Length -= sizeof(WCHAR);
    }
    for (At = 0; At < Name->Length / sizeof(WCHAR); At++) {
        if (Name->Buffer[At] == L'\\') {
            return STATUS_OBJECT_PATH_NOT_FOUND;
        }
        if (Name->Buffer[At] == L':' || FsRtlIsUnicodeCharacterWild(Name->Buffer[At])) {
            return STATUS_OBJECT_NAME_INVALID;
        }
    }
    return Name->Length > NAME_LENGTH * sizeof(WCHAR) ? STATUS_OBJECT_NAME_INVALID : STATUS_SUCCESS;
}

static ULONG
MakeEntry(VCB *Vcb, PCUNICODE_STRING Name, USHORT Attributes)
{
    LARGE_INTEGER Now;
    ULONG At;

    for (At = 0; At < ENTRIES; At++) {
        LABFS_ENTRY *Entry = &Vcb->Table[At];

        if (Entry->NameLength == 0) {
            KeQuerySystemTime(&Now);
            RtlZeroMemory(Entry, sizeof(*Entry));
            Entry->CreationTime = Entry->LastWriteTime = Now.QuadPart;
            Entry->Attributes =
                (USHORT)(Attributes & (FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM)) |
                FILE_ATTRIBUTE_ARCHIVE;
            Entry->NameLength = Name->Length;
            RtlCopyMemory(Entry->Name, Name->Buffer, Name->Length);
            return At;
        }
    }
    return ENTRIES;
}

/* Which entry a create means, made if it asks for that. */
static NTSTATUS
ChooseEntry(VCB *Vcb, PFILE_OBJECT File, ULONG Disposition, ULONG Options, USHORT Attributes, ULONG *Entry,
            ULONG_PTR *Information)
{
    UNICODE_STRING Name;
    NTSTATUS Status = NameOf(File, &Name);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    if (Name.Length == 0) {
        *Entry = ENTRIES;
        if (Options & FILE_NON_DIRECTORY_FILE) {
            return STATUS_FILE_IS_A_DIRECTORY;
        }
        *Information = FILE_OPENED;
        return Disposition == FILE_OPEN || Disposition == FILE_OPEN_IF ? STATUS_SUCCESS : STATUS_OBJECT_NAME_COLLISION;
    }
    *Entry = LabFsFind(Vcb, &Name);
    if (*Entry != ENTRIES) {
        if (Vcb->Files[*Entry] != NULL && Vcb->Files[*Entry]->DeletePending) {
            return STATUS_DELETE_PENDING;
        }
        if (Options & FILE_DIRECTORY_FILE) {
            return STATUS_NOT_A_DIRECTORY;
        }
        *Information = Disposition == FILE_SUPERSEDE                                       ? FILE_SUPERSEDED
                       : Disposition == FILE_OVERWRITE || Disposition == FILE_OVERWRITE_IF ? FILE_OVERWRITTEN
                                                                                           : FILE_OPENED;
        return Disposition == FILE_CREATE ? STATUS_OBJECT_NAME_COLLISION : STATUS_SUCCESS;
    }
    if (Disposition == FILE_OPEN || Disposition == FILE_OVERWRITE) {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (Options & FILE_DIRECTORY_FILE) {
        return STATUS_NOT_SUPPORTED;
    }
    *Entry = MakeEntry(Vcb, &Name, Attributes);
    *Information = FILE_CREATED;
    return *Entry == ENTRIES ? STATUS_DISK_FULL : LabFsWriteTable(Vcb);
}

static NTSTATUS
Open(VCB *Vcb, PIO_STACK_LOCATION Location, ULONG_PTR *Information)
{
    PFILE_OBJECT File = Location->FileObject;
    ACCESS_MASK Access = Location->Parameters.Create.SecurityContext->DesiredAccess;
    ULONG Disposition = Location->Parameters.Create.Options >> 24,
          Options = Location->Parameters.Create.Options & 0xFFFFFF;
    ULONG Entry;
    NTSTATUS Status;
    FCB *Fcb;
    CCB *Ccb;

    Status =
        ChooseEntry(Vcb, File, Disposition, Options, Location->Parameters.Create.FileAttributes, &Entry, Information);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Ccb = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(CCB), LABFS_TAG);
    Fcb = ReferenceFile(Vcb, Entry);
    if (Ccb == NULL || Fcb == NULL) {
        if (Ccb != NULL) {
            ExFreePoolWithTag(Ccb, LABFS_TAG);
        }
        if (Fcb != NULL) {
            DereferenceFile(Fcb);
        }
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlZeroMemory(Ccb, sizeof(*Ccb));
    Status = IoCheckShareAccess(Access, Location->Parameters.Create.ShareAccess, File, &Fcb->Share, FALSE);
    if (NT_SUCCESS(Status) && (*Information == FILE_OVERWRITTEN || *Information == FILE_SUPERSEDED)) {
        Status = LabFsSetSize(Fcb, 0);
    }
    if (!NT_SUCCESS(Status)) {
        ExFreePoolWithTag(Ccb, LABFS_TAG);
        DereferenceFile(Fcb);
        return Status;
    }
    IoUpdateShareAccess(File, &Fcb->Share);
    Fcb->Handles++;
    Ccb->DeleteOnClose = (Options & FILE_DELETE_ON_CLOSE) != 0;
    File->FsContext = Fcb;
    File->FsContext2 = Ccb;
    File->SectionObjectPointer = &Fcb->Sections;
    File->Vpb = Vcb->Vpb;
    if (!IsRoot(Fcb) && (Options & FILE_NO_INTERMEDIATE_BUFFERING) == 0) {
        File->Flags |= FO_CACHE_SUPPORTED;
    }
    return STATUS_SUCCESS;
}

NTSTATUS
LabFsCreate(PDEVICE_OBJECT Device, PIRP Irp)
{
    VCB *Vcb = VcbOf(Device);
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    ULONG_PTR Information = 0;
    NTSTATUS Status;

    if (Location->FileObject->FileName.Length == 0 && Location->FileObject->RelatedFileObject == NULL) {
        Location->FileObject->Flags |= FO_VOLUME_OPEN; /* the volume itself */
        return LabFsComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
    }
    ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
    Status = Open(Vcb, Location, &Information);
    ExReleaseResourceLite(&Vcb->Lock);
    return LabFsComplete(Irp, Status, NT_SUCCESS(Status) ? Information : 0);
}

static void
Delete(FCB *Fcb)
{
    /* The entry and its slot may be another file's from now on. */
    RtlZeroMemory(EntryOf(Fcb), sizeof(LABFS_ENTRY));
    Fcb->Vcb->Files[Fcb->Entry] = NULL;
    Fcb->Entry = GONE;
    Fcb->Dirty = FALSE;
}

NTSTATUS
LabFsCleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    VCB *Vcb = VcbOf(Device);
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    FCB *Fcb = File->FsContext;
    CCB *Ccb = File->FsContext2;

    if (Fcb == NULL) {
        return LabFsComplete(Irp, STATUS_SUCCESS, 0);
    }
    ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
    if (!IsRoot(Fcb)) {
        FsRtlFastUnlockAll(&Fcb->Locks, File, IoGetRequestorProcess(Irp), NULL);
        Fcb->DeletePending = Fcb->DeletePending || Ccb->DeleteOnClose;
    }
    IoRemoveShareAccess(File, &Fcb->Share);
    if (--Fcb->Handles == 0 && !IsRoot(Fcb)) {
        if (Fcb->DeletePending) {
            Delete(Fcb);
        } else if (Fcb->Dirty) {
            LabFsFlushFile(Fcb);
        }
        LabFsWriteTable(Vcb);
    }
    File->Flags |= FO_CLEANUP_COMPLETE;
    ExReleaseResourceLite(&Vcb->Lock);
    return LabFsComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS
LabFsClose(PDEVICE_OBJECT Device, PIRP Irp)
{
    VCB *Vcb = VcbOf(Device);
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    CCB *Ccb = File->FsContext2;

    if (File->FsContext != NULL) {
        ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
        if (Ccb->Pattern.Buffer != NULL) {
            RtlFreeUnicodeString(&Ccb->Pattern);
        }
        ExFreePoolWithTag(Ccb, LABFS_TAG);
        DereferenceFile(File->FsContext);
        ExReleaseResourceLite(&Vcb->Lock);
    }
    return LabFsComplete(Irp, STATUS_SUCCESS, 0);
}
