/* fcb.c: the FCBs of the files that are open, and the files below that their paging I/O goes to. */

#include "isolation.h"

ERESOURCE IsoFcbsLock;

static LIST_ENTRY Fcbs;
static KEVENT NoFcbs;

VOID
IsoCloseBelow(PHANDLE Handle, PFILE_OBJECT *File)
{
    if (*Handle != NULL) {
        FltClose(*Handle);
        *Handle = NULL;
    }
    if (*File != NULL) {
        ObDereferenceObject(*File);
        *File = NULL;
    }
}

static VOID
FreeFcb(PISO_FCB Fcb)
{
    FsRtlTeardownPerStreamContexts(&Fcb->Header);
    IsoCloseBelow(&Fcb->LowerHandle, &Fcb->Lower);
    FltUninitializeFileLock(&Fcb->Locks);
    ExDeleteResourceLite(&Fcb->Main);
    ExDeleteResourceLite(&Fcb->Paging);
    ExFreePoolWithTag(Fcb, ISO_TAG);
}

VOID
IsoInitialize(VOID)
{
    InitializeListHead(&Fcbs);
    ExInitializeResourceLite(&IsoFcbsLock);
    KeInitializeEvent(&NoFcbs, NotificationEvent, TRUE);
}

VOID
IsoUninitialize(VOID)
{
    ExDeleteResourceLite(&IsoFcbsLock);
}

/* FsContext is one of ours only if its header says so: other file objects have FCBs of their file systems there. */
PISO_FCB
IsoFcbOf(PFILE_OBJECT FileObject)
{
    PFSRTL_COMMON_FCB_HEADER header = FileObject == NULL ? NULL : FileObject->FsContext;

    return header != NULL && header->NodeTypeCode == (CSHORT)0x1505 && header->NodeByteSize == sizeof(ISO_FCB)
               ? (PISO_FCB)header
               : NULL;
}

BOOLEAN
IsoHasHandles(PFLT_INSTANCE Instance)
{
    BOOLEAN found = FALSE;

    IsoLock(&IsoFcbsLock, FALSE);
    for (PLIST_ENTRY e = Fcbs.Flink; e != &Fcbs; e = e->Flink) {
        PISO_FCB fcb = CONTAINING_RECORD(e, ISO_FCB, Links);
        found |= fcb->Handles > 0 && (Instance == NULL || fcb->Instance == Instance);
    }
    IsoUnlock(&IsoFcbsLock);
    return found;
}

VOID
IsoLeave(PISO_FCB Fcb)
{
    if (--Fcb->Opens == 0) {
        RemoveEntryList(&Fcb->Links);
        if (IsListEmpty(&Fcbs)) {
            KeSetEvent(&NoFcbs, IO_NO_INCREMENT, FALSE);
        }
        FreeFcb(Fcb);
    }
}

/* What nobody has open any more is kept by its sections: they are closed, and with them the file objects. */
VOID
IsoWaitForFiles(VOID)
{
    IsoLock(&IsoFcbsLock, TRUE);
    for (PLIST_ENTRY e = Fcbs.Flink; e != &Fcbs;) {
        PISO_FCB fcb = CONTAINING_RECORD(e, ISO_FCB, Links);
        fcb->Opens++; /* it stays in the list meanwhile */
        IsoUnlock(&IsoFcbsLock);
        MmForceSectionClosed(&fcb->Sections, TRUE);
        IsoLock(&IsoFcbsLock, TRUE);
        e = e->Flink;
        IsoLeave(fcb);
    }
    IsoUnlock(&IsoFcbsLock);
    KeWaitForSingleObject(&NoFcbs, Executive, KernelMode, FALSE, NULL);
}

static NTSTATUS
MakeFcb(PCFLT_RELATED_OBJECTS o, ULONGLONG FileId, PISO_FCB *Out)
{
    PISO_FCB fcb = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*fcb), ISO_TAG);

    if (fcb == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    ExInitializeResourceLite(&fcb->Main);
    ExInitializeResourceLite(&fcb->Paging);
    ExInitializeFastMutex(&fcb->HeaderMutex);
    FsRtlSetupAdvancedHeader(&fcb->Header, &fcb->HeaderMutex);
    fcb->Header.NodeTypeCode = 0x1505;
    fcb->Header.NodeByteSize = sizeof(*fcb);
    fcb->Header.IsFastIoPossible = FastIoIsNotPossible;
    fcb->Header.Resource = &fcb->Main;
    fcb->Header.PagingIoResource = &fcb->Paging;
    FltInitializeFileLock(&fcb->Locks);
    fcb->FileId = FileId;
    fcb->Instance = o->Instance;
    InsertTailList(&Fcbs, &fcb->Links);
    KeClearEvent(&NoFcbs);
    *Out = fcb;
    return STATUS_SUCCESS;
}

NTSTATUS
IsoFindFcb(PCFLT_RELATED_OBJECTS o, PFILE_OBJECT Lower, PISO_FCB *Out)
{
    FILE_INTERNAL_INFORMATION id;
    NTSTATUS status = FltQueryInformationFile(o->Instance, Lower, &id, sizeof(id), FileInternalInformation, NULL);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    for (PLIST_ENTRY e = Fcbs.Flink; e != &Fcbs; e = e->Flink) {
        PISO_FCB fcb = CONTAINING_RECORD(e, ISO_FCB, Links);
        if (fcb->Instance == o->Instance && fcb->FileId == (ULONGLONG)id.IndexNumber.QuadPart) {
            *Out = fcb;
            return STATUS_SUCCESS;
        }
    }
    return MakeFcb(o, id.IndexNumber.QuadPart, Out);
}

static NTSTATUS
OpenForPagingAs(PCFLT_RELATED_OBJECTS o, PUNICODE_STRING Name, ACCESS_MASK Access, ULONG Options, PISO_FCB Fcb)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;

    InitializeObjectAttributes(&attributes, Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return FltCreateFileEx(IsoFilter, o->Instance, &Fcb->LowerHandle, &Fcb->Lower, Access | SYNCHRONIZE, &attributes,
                           &iosb, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                           Options | FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT |
                               FILE_NO_INTERMEDIATE_BUFFERING,
                           NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK);
}

/* The file that paging I/O goes to is open as long as there are handles; its sizes are those that the disk has. */
NTSTATUS
IsoOpenForPaging(PCFLT_RELATED_OBJECTS o, PISO_FCB Fcb, PUNICODE_STRING Name, ULONG Options)
{
    FILE_STANDARD_INFORMATION standard;
    NTSTATUS status;

    if (Fcb->LowerHandle != NULL) {
        return STATUS_SUCCESS;
    }
    IsoCloseBelow(&Fcb->LowerHandle, &Fcb->Lower);
    status = OpenForPagingAs(o, Name, FILE_READ_DATA | FILE_WRITE_DATA, Options, Fcb);
    if (!NT_SUCCESS(status)) { /* a read-only file is never written */
        status = OpenForPagingAs(o, Name, FILE_READ_DATA, Options, Fcb);
    }
    if (NT_SUCCESS(status)) {
        status = FltQueryInformationFile(o->Instance, Fcb->Lower, &standard, sizeof(standard), FileStandardInformation,
                                         NULL);
    }
    if (NT_SUCCESS(status) && Fcb->Sections.SharedCacheMap == NULL && Fcb->Sections.DataSectionObject == NULL) {
        Fcb->Header.FileSize = Fcb->Header.ValidDataLength = standard.EndOfFile;
        Fcb->Header.AllocationSize = standard.AllocationSize;
    }
    return status;
}
