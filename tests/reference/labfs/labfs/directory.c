/*
 * directory.c: enumerating the root directory.
 */

#include "labfs.h"

/* How long an entry of a class is without its name, and where what is special about it stands. */
static ULONG
HeaderOf(FILE_INFORMATION_CLASS Class)
{
    switch (Class) {
    case FileDirectoryInformation:
        return FIELD_OFFSET(FILE_DIRECTORY_INFORMATION, FileName);
    case FileFullDirectoryInformation:
        return FIELD_OFFSET(FILE_FULL_DIR_INFORMATION, FileName);
    case FileBothDirectoryInformation:
        return FIELD_OFFSET(FILE_BOTH_DIR_INFORMATION, FileName);
    case FileIdBothDirectoryInformation:
        return FIELD_OFFSET(FILE_ID_BOTH_DIR_INFORMATION, FileName);
    case FileNamesInformation:
        return FIELD_OFFSET(FILE_NAMES_INFORMATION, FileName);
    default:
        return 0;
    }
}

/* All classes but the names' begin alike. */
static void
FillEntry(FILE_INFORMATION_CLASS Class, PUCHAR At, ULONG Index, const LABFS_ENTRY *Entry)
{
    FILE_DIRECTORY_INFORMATION *Common = (FILE_DIRECTORY_INFORMATION *)At;
    ULONG Header = HeaderOf(Class);

    RtlZeroMemory(At, Header);
    Common->FileIndex = Index;
    if (Class == FileNamesInformation) {
        ((FILE_NAMES_INFORMATION *)At)->FileNameLength = Entry->NameLength;
    } else {
        Common->CreationTime.QuadPart = Entry->CreationTime;
        Common->LastAccessTime.QuadPart = Common->LastWriteTime.QuadPart = Common->ChangeTime.QuadPart =
            Entry->LastWriteTime;
        Common->EndOfFile.QuadPart = Entry->Size;
        Common->AllocationSize.QuadPart = SLOT_SIZE;
        Common->FileAttributes = Entry->Attributes;
        Common->FileNameLength = Entry->NameLength;
    }
    if (Class == FileIdBothDirectoryInformation) {
        ((FILE_ID_BOTH_DIR_INFORMATION *)At)->FileId.QuadPart = Index + 1;
    }
    RtlCopyMemory(At + Header, Entry->Name, Entry->NameLength);
}

static BOOLEAN
Matches(CCB *Ccb, const LABFS_ENTRY *Entry)
{
    UNICODE_STRING Name;

    if (Entry->NameLength == 0) {
        return FALSE;
    }
    Name.Buffer = (PWCH)Entry->Name;
    Name.Length = Name.MaximumLength = Entry->NameLength;
    return Ccb->Pattern.Length == 0 || FsRtlIsNameInExpression(&Ccb->Pattern, &Name, TRUE, NULL);
}

/* The first call on a handle says what is looked for. */
static NTSTATUS
Begin(CCB *Ccb, PIO_STACK_LOCATION Location)
{
    PUNICODE_STRING Given = (PUNICODE_STRING)Location->Parameters.QueryDirectory.FileName;

    if ((Location->Flags & SL_RESTART_SCAN) != 0) {
        Ccb->NextEntry = 0;
    }
    if (Ccb->Searching) {
        return STATUS_SUCCESS;
    }
    Ccb->Searching = TRUE;
    if (Given == NULL || Given->Length == 0) {
        return STATUS_SUCCESS;
    }
    return RtlUpcaseUnicodeString(&Ccb->Pattern, Given, TRUE); /* freed at close, by its pool */
}

static NTSTATUS
QueryDirectory(VCB *Vcb, CCB *Ccb, PIO_STACK_LOCATION Location, PUCHAR Buffer, ULONG *Used)
{
    FILE_INFORMATION_CLASS Class = Location->Parameters.QueryDirectory.FileInformationClass;
    ULONG Length = Location->Parameters.QueryDirectory.Length, Header = HeaderOf(Class), At = 0, *Previous = NULL;
    BOOLEAN First = !Ccb->Searching;
    NTSTATUS Status;

    if (Header == 0) {
        return STATUS_INVALID_INFO_CLASS;
    }
    Status = Begin(Ccb, Location);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    for (; Ccb->NextEntry < ENTRIES; Ccb->NextEntry++) {
        LABFS_ENTRY *Entry = &Vcb->Table[Ccb->NextEntry];

        if (!Matches(Ccb, Entry)) {
            continue;
        }
        if (At + Header + Entry->NameLength > Length) {
            return Previous == NULL ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
        }
        FillEntry(Class, Buffer + At, Ccb->NextEntry, Entry);
        if (Previous != NULL) {
            *Previous = (ULONG)(Buffer + At - (PUCHAR)Previous);
        }
        Previous = (ULONG *)(Buffer + At);
        *Used = At + Header + Entry->NameLength;
        At = (*Used + 7) & ~7UL;
        if (Location->Flags & SL_RETURN_SINGLE_ENTRY) {
            Ccb->NextEntry++;
            return STATUS_SUCCESS;
        }
    }
    if (Previous != NULL) {
        return STATUS_SUCCESS;
    }
    return First ? STATUS_NO_SUCH_FILE : STATUS_NO_MORE_FILES;
}

NTSTATUS
LabFsDirectoryControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    FCB *Fcb = Location->FileObject->FsContext;
    VCB *Vcb = VcbOf(Device);
    PUCHAR Buffer;
    ULONG Used = 0;
    NTSTATUS Status;

    if (Fcb == NULL || !IsRoot(Fcb) || Location->MinorFunction != IRP_MN_QUERY_DIRECTORY) {
        return LabFsComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    Buffer = LabFsUserBuffer(Irp);
    if (Buffer == NULL) {
        return LabFsComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    ExAcquireResourceExclusiveLite(&Vcb->Lock, TRUE);
    __try {
        Status = QueryDirectory(Vcb, Location->FileObject->FsContext2, Location, Buffer, &Used);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = STATUS_INVALID_USER_BUFFER;
    }
    ExReleaseResourceLite(&Vcb->Lock);
    return LabFsComplete(Irp, Status, NT_SUCCESS(Status) ? Used : 0);
}
