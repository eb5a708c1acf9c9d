/* create.c: opening *.vault files below, and the file objects that are this filter's own from create to close. */

#include "isolation.h"

static BOOLEAN
IsVault(PCUNICODE_STRING Name)
{
    static const UNICODE_STRING suffix = RTL_CONSTANT_STRING(L".vault");
    static const UNICODE_STRING data = RTL_CONSTANT_STRING(L".vault::$DATA");

    return RtlSuffixUnicodeString(&suffix, Name, TRUE) || RtlSuffixUnicodeString(&data, Name, TRUE);
}

/* Not ours: directories and volumes, targets of renames, paging files, streams. What an id names is seen once it is open. */
static BOOLEAN
MayBeOurs(PFLT_CALLBACK_DATA Data)
{
    ULONG options = Data->Iopb->Parameters.Create.Options;

    return !FlagOn(options, FILE_DIRECTORY_FILE) &&
           !FlagOn(Data->Iopb->OperationFlags, SL_OPEN_TARGET_DIRECTORY | SL_OPEN_PAGING_FILE) &&
           (FlagOn(options, FILE_OPEN_BY_FILE_ID) || IsVault(&Data->Iopb->TargetFileObject->FileName));
}

/* With what the create brings along, and the rights of who asks; nobody but us shares the file below. */
static NTSTATUS
OpenAsAsked(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PUNICODE_STRING Name, ULONG Disposition, PISO_CCB Ccb,
            PIO_STATUS_BLOCK Iosb)
{
    PIO_SECURITY_CONTEXT security = Data->Iopb->Parameters.Create.SecurityContext;
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               security->AccessState->SecurityDescriptor);
    return FltCreateFileEx(
        IsoFilter, o->Instance, &Ccb->LowerHandle, &Ccb->Lower,
        security->DesiredAccess | FILE_READ_ATTRIBUTES | SYNCHRONIZE, &attributes, Iosb,
        &Data->Iopb->Parameters.Create.AllocationSize, Data->Iopb->Parameters.Create.FileAttributes,
        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, Disposition,
        (Data->Iopb->Parameters.Create.Options &
         (FILE_DELETE_ON_CLOSE | FILE_OPEN_REPARSE_POINT | FILE_OPEN_BY_FILE_ID | FILE_COMPLETE_IF_OPLOCKED)) |
            FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT,
        Data->Iopb->Parameters.Create.EaBuffer, Data->Iopb->Parameters.Create.EaLength,
        IO_IGNORE_SHARE_ACCESS_CHECK | (Data->RequestorMode == UserMode ? IO_FORCE_ACCESS_CHECK : 0));
}

/* With the list locked: the FCB of an open below, shared as this create wants it, and cut if that is what it does. */
static NTSTATUS
Join(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PISO_CCB Ccb, PUNICODE_STRING Name, BOOLEAN Cut, PISO_FCB *Out)
{
    ACCESS_MASK access = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;
    ULONG share = Data->Iopb->Parameters.Create.ShareAccess;
    PISO_FCB fcb = NULL;
    NTSTATUS status = IsoFindFcb(o, Ccb->Lower, &fcb);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    fcb->Opens++;
    *Out = fcb;
    if (fcb->Handles > 0) {
        status = IoCheckShareAccess(access, share, o->FileObject, &fcb->Share, FALSE);
    }
    if (NT_SUCCESS(status)) {
        status = IsoOpenForPaging(o, fcb, Name, Data->Iopb->Parameters.Create.Options & FILE_OPEN_BY_FILE_ID);
    }
    if (NT_SUCCESS(status) && Cut) {
        status = IsoResize(fcb, NULL, 0);
    }
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (fcb->Handles++ > 0) {
        IoUpdateShareAccess(o->FileObject, &fcb->Share);
    } else {
        IoSetShareAccess(access, share, o->FileObject, &fcb->Share);
    }
    return STATUS_SUCCESS;
}

/* The whole name of the file; of an id, the volume's with the id behind it. The caller frees its buffer. */
static NTSTATUS
NameOf(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PUNICODE_STRING Name)
{
    BOOLEAN id = BooleanFlagOn(Data->Iopb->Parameters.Create.Options, FILE_OPEN_BY_FILE_ID);
    PUNICODE_STRING given = &o->FileObject->FileName;
    PFLT_FILE_NAME_INFORMATION known = NULL;
    UNICODE_STRING volume = {0};
    ULONG length = 0;
    NTSTATUS status;

    if (id) {
        FltGetVolumeName(o->Volume, NULL, &length);
        length += sizeof(WCHAR) + given->Length;
    } else {
        status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &known);
        if (!NT_SUCCESS(status)) {
            return status;
        }
        length = known->Name.Length;
    }
    Name->Length = 0;
    Name->MaximumLength = (USHORT)length;
    Name->Buffer = ExAllocatePoolZero(PagedPool, length, ISO_TAG);
    status = Name->Buffer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
    if (NT_SUCCESS(status) && id) {
        volume.Buffer = Name->Buffer;
        volume.MaximumLength = Name->MaximumLength;
        status = FltGetVolumeName(o->Volume, &volume, NULL);
        Name->Length = volume.Length;
        if (given->Length > 0 && given->Buffer[0] != L'\\') {
            RtlAppendUnicodeToString(Name, L"\\");
        }
        RtlAppendUnicodeStringToString(Name, given);
    } else if (NT_SUCCESS(status)) {
        RtlCopyUnicodeString(Name, &known->Name);
    }
    if (known != NULL) {
        FltReleaseFileNameInformation(known);
    }
    return status;
}

/* Whether what an id has opened is called *.vault. */
static BOOLEAN
IsVaultBelow(PCFLT_RELATED_OBJECTS o, PFILE_OBJECT Lower)
{
    PFLT_FILE_NAME_INFORMATION name;
    BOOLEAN vault;

    if (!NT_SUCCESS(FltGetFileNameInformationUnsafe(Lower, o->Instance,
                                                    FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) {
        return FALSE;
    }
    vault = IsVault(&name->Name);
    FltReleaseFileNameInformation(name);
    return vault;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    ULONG disposition = Data->Iopb->Parameters.Create.Options >> 24;
    ULONG options = Data->Iopb->Parameters.Create.Options & FILE_VALID_OPTION_FLAGS;
    BOOLEAN overwrites =
        disposition == FILE_OVERWRITE || disposition == FILE_OVERWRITE_IF || disposition == FILE_SUPERSEDE;
    BOOLEAN cuts, ours = TRUE;
    UNICODE_STRING name = {0};
    IO_STATUS_BLOCK iosb = {0};
    PISO_FCB fcb = NULL;
    PISO_CCB ccb;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Context);
    if (!MayBeOurs(Data)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    status = NameOf(Data, o, &name);
    ccb = NT_SUCCESS(status) ? ExAllocatePoolZero(PagedPool, sizeof(*ccb), ISO_TAG) : NULL;
    if (ccb == NULL) {
        if (name.Buffer != NULL) {
            ExFreePoolWithTag(name.Buffer, ISO_TAG);
        }
        return IsoComplete(Data, NT_SUCCESS(status) ? STATUS_INSUFFICIENT_RESOURCES : status, 0);
    }
    /* An overwrite is an open that cuts: whether a view is in the way is for our sections to say. */
    status = OpenAsAsked(Data, o, &name,
                         !overwrites                     ? disposition
                         : disposition == FILE_OVERWRITE ? FILE_OPEN
                                                         : FILE_OPEN_IF,
                         ccb, &iosb);
    if (FlagOn(options, FILE_OPEN_BY_FILE_ID)) {
        ours = NT_SUCCESS(status) && IsVaultBelow(o, ccb->Lower);
    }
    cuts = overwrites && iosb.Information == FILE_OPENED;
    if (NT_SUCCESS(status) && ours) {
        IsoLock(&IsoFcbsLock, TRUE);
        status = Join(Data, o, ccb, &name, cuts, &fcb);
        if (!NT_SUCCESS(status) && fcb != NULL) {
            IsoLeave(fcb);
        }
        IsoUnlock(&IsoFcbsLock);
    }
    ExFreePoolWithTag(name.Buffer, ISO_TAG);
    if (!NT_SUCCESS(status) || !ours) {
        IsoCloseBelow(&ccb->LowerHandle, &ccb->Lower);
        ExFreePoolWithTag(ccb, ISO_TAG);
        return ours ? IsoComplete(Data, status, 0) : FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    o->FileObject->FsContext = fcb;
    o->FileObject->FsContext2 = ccb;
    o->FileObject->SectionObjectPointer = &fcb->Sections;
    o->FileObject->PrivateCacheMap = NULL;
    if (!FlagOn(options, FILE_NO_INTERMEDIATE_BUFFERING)) {
        SetFlag(o->FileObject->Flags, FO_CACHE_SUPPORTED);
    }
    if (cuts) {
        iosb.Information = disposition == FILE_SUPERSEDE ? FILE_SUPERSEDED : FILE_OVERWRITTEN;
    }
    return IsoComplete(Data, STATUS_SUCCESS, iosb.Information);
}

/*
 * The last handle takes what is cached to the disk, so that the file below can be closed, and deleted if it is to be.
 * What views that are left write afterwards still goes through its file object.
 */
FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    PISO_CCB ccb = o->FileObject->FsContext2;
    IO_STATUS_BLOCK iosb;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    FsRtlFastUnlockAll(&fcb->Locks, o->FileObject, FltGetRequestorProcess(Data), NULL);
    IsoLock(&IsoFcbsLock, TRUE);
    if (fcb->Handles == 1) {
        IsoLock(&fcb->Main, TRUE);
        CcFlushCache(&fcb->Sections, NULL, 0, &iosb);
        IsoUnlock(&fcb->Main);
    }
    IoRemoveShareAccess(o->FileObject, &fcb->Share);
    CcUninitializeCacheMap(o->FileObject, NULL, NULL);
    if (--fcb->Handles == 0) {
        FltClose(fcb->LowerHandle);
        fcb->LowerHandle = NULL;
    }
    FltClose(ccb->LowerHandle);
    ccb->LowerHandle = NULL;
    SetFlag(o->FileObject->Flags, FO_CLEANUP_COMPLETE);
    IsoUnlock(&IsoFcbsLock);
    return IsoComplete(Data, STATUS_SUCCESS, 0);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreClose(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    PISO_CCB ccb = o->FileObject->FsContext2;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    IsoCloseBelow(&ccb->LowerHandle, &ccb->Lower);
    ExFreePoolWithTag(ccb, ISO_TAG);
    IsoLock(&IsoFcbsLock, TRUE);
    IsoLeave(fcb);
    IsoUnlock(&IsoFcbsLock);
    return IsoComplete(Data, STATUS_SUCCESS, 0);
}
