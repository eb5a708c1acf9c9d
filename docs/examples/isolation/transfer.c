/* transfer.c: reads and writes. Cached ones go through our cache, the others to the file below, scrambled. */

#include "isolation.h"

#define CLUSTER 0x10000

static CACHE_MANAGER_CALLBACKS Callbacks = {IsoAcquireForLazyWrite, IsoReleaseFromLazyWrite, IsoAcquireForLazyWrite,
                                            IsoReleaseFromLazyWrite};

BOOLEAN NTAPI
IsoAcquireForLazyWrite(PVOID Fcb, BOOLEAN Wait)
{
    FsRtlEnterFileSystem();
    if (!ExAcquireResourceSharedLite(&((PISO_FCB)Fcb)->Main, Wait)) {
        FsRtlExitFileSystem();
        return FALSE;
    }
    IoSetTopLevelIrp((PIRP)FSRTL_CACHE_TOP_LEVEL_IRP);
    return TRUE;
}

VOID NTAPI
IsoReleaseFromLazyWrite(PVOID Fcb)
{
    IoSetTopLevelIrp(NULL);
    ExReleaseResourceLite(&((PISO_FCB)Fcb)->Main);
    FsRtlExitFileSystem();
}

static VOID
Scramble(LONGLONG Offset, PUCHAR Data, ULONG Length)
{
    for (ULONG i = 0; i < Length; i++) {
        Data[i] ^= (UCHAR)(0x5A + (Offset + i) * 7);
    }
}

/* Whole sectors of the file below, as paging I/O: it never changes the size of the file, and is safe at APC_LEVEL. */
static NTSTATUS
Below(PISO_FCB Fcb, BOOLEAN Write, LONGLONG Offset, PUCHAR Buffer, ULONG Length, PULONG Done)
{
    FLT_IO_OPERATION_FLAGS flags = FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_PAGING |
                                   FLTFL_IO_OPERATION_SYNCHRONOUS_PAGING | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET;
    LARGE_INTEGER at = {.QuadPart = Offset};

    return Write ? FltWriteFile(Fcb->Instance, Fcb->Lower, &at, Length, Buffer, flags, Done, NULL, NULL)
                 : FltReadFile(Fcb->Instance, Fcb->Lower, &at, Length, Buffer, flags, Done, NULL, NULL);
}

static NTSTATUS
MoveUnlocked(PISO_FCB Fcb, BOOLEAN Write, LONGLONG Offset, PUCHAR Data, ULONG Length)
{
    ULONG room = min(Length, CLUSTER), done;
    PUCHAR buffer = ExAllocatePoolZero(NonPagedPoolNx, room, ISO_TAG);
    NTSTATUS status = buffer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;

    for (ULONG at = 0; at < Length && NT_SUCCESS(status); at += room) {
        ULONG count = min(room, Length - at);
        if (Write) {
            RtlCopyMemory(buffer, Data + at, count);
            Scramble(Offset + at, buffer, count);
            status = Below(Fcb, TRUE, Offset + at, buffer, count, &done);
        } else {
            RtlZeroMemory(buffer, count);
            done = 0;
            status = Below(Fcb, FALSE, Offset + at, buffer, count, &done);
            status = status == STATUS_END_OF_FILE ? STATUS_SUCCESS : status;
            Scramble(Offset + at, buffer, count);
            RtlCopyMemory(Data + at, buffer, count);
        }
    }
    if (buffer != NULL) {
        ExFreePoolWithTag(buffer, ISO_TAG);
    }
    return status;
}

static PUCHAR
BufferOf(PFLT_CALLBACK_DATA Data, PMDL Mdl, PVOID Buffer)
{
    UNREFERENCED_PARAMETER(Data);
    return Mdl != NULL ? MmGetSystemAddressForMdlSafe(Mdl, NormalPagePriority | MdlMappingNoExecute) : Buffer;
}

static VOID
MovePosition(PFILE_OBJECT File, LONGLONG Offset, ULONG_PTR Count, BOOLEAN Paging)
{
    if (FlagOn(File->Flags, FO_SYNCHRONOUS_IO) && !Paging) {
        File->CurrentByteOffset.QuadPart = Offset + (LONGLONG)Count;
    }
}

static VOID
SetUpCache(PISO_FCB Fcb, PFILE_OBJECT File)
{
    if (File->PrivateCacheMap == NULL) {
        CcInitializeCacheMap(File, (PCC_FILE_SIZES)&Fcb->Header.AllocationSize, FALSE, &Callbacks, Fcb);
    }
}

/* What a file has grown by is zeros as we scramble them: the zeros that the file system makes would be none above. */
VOID
IsoZero(PISO_FCB Fcb, PFILE_OBJECT File, LONGLONG From, LONGLONG To)
{
    LARGE_INTEGER from = {.QuadPart = From}, to = {.QuadPart = To};

    SetUpCache(Fcb, File);
    CcZeroData(File, &from, &to, TRUE);
}

/* What is before the end of the file; behind it, zeros for the memory manager. With Main or Paging held. */
static NTSTATUS
ReadUncached(PISO_FCB Fcb, LONGLONG Offset, PUCHAR Data, ULONG Wanted, ULONG Length)
{
    NTSTATUS status = MoveUnlocked(Fcb, FALSE, Offset, Data, Length);

    if (NT_SUCCESS(status) && Offset + Wanted > Fcb->Header.FileSize.QuadPart) {
        LONGLONG end = max(Fcb->Header.FileSize.QuadPart - Offset, 0);
        RtlZeroMemory(Data + end, Wanted - (ULONG)end);
    }
    return status;
}

static NTSTATUS
Read(PFLT_CALLBACK_DATA Data, PISO_FCB Fcb, PFILE_OBJECT File, BOOLEAN Paging, PULONG Count)
{
    LARGE_INTEGER offset = Data->Iopb->Parameters.Read.ByteOffset;
    ULONG length = Data->Iopb->Parameters.Read.Length;
    LONGLONG size = Fcb->Header.FileSize.QuadPart;
    PUCHAR buffer = BufferOf(Data, Data->Iopb->Parameters.Read.MdlAddress, Data->Iopb->Parameters.Read.ReadBuffer);
    IO_STATUS_BLOCK iosb = {.Status = STATUS_SUCCESS};

    if (offset.QuadPart >= size) {
        return STATUS_END_OF_FILE;
    }
    *Count = (ULONG)min((LONGLONG)length, size - offset.QuadPart);
    if (Paging) {
        return ReadUncached(Fcb, offset.QuadPart, buffer, length, length);
    }
    if (!FltCheckLockForReadAccess(&Fcb->Locks, Data)) {
        return STATUS_FILE_LOCK_CONFLICT;
    }
    if (FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE)) {
        CcFlushCache(&Fcb->Sections, &offset, length, &iosb);
        return NT_SUCCESS(iosb.Status) ? ReadUncached(Fcb, offset.QuadPart, buffer, *Count, length) : iosb.Status;
    }
    SetUpCache(Fcb, File);
    CcCopyRead(File, &offset, *Count, TRUE, buffer, &iosb);
    return iosb.Status;
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    BOOLEAN paging = BooleanFlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO);
    PERESOURCE lock;
    NTSTATUS status;
    ULONG count = 0;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    if (Data->Iopb->Parameters.Read.Length == 0) {
        return IsoComplete(Data, STATUS_SUCCESS, 0);
    }
    lock = paging ? &fcb->Paging : &fcb->Main;
    IsoLock(lock, FALSE);
    try {
        status = Read(Data, fcb, o->FileObject, paging, &count);
    }
    except(EXCEPTION_EXECUTE_HANDLER)
    {
        status = GetExceptionCode();
    }
    IsoUnlock(lock);
    count = NT_SUCCESS(status) ? count : 0;
    MovePosition(o->FileObject, Data->Iopb->Parameters.Read.ByteOffset.QuadPart, count, paging);
    return IsoComplete(Data, status, count);
}

/* Main is held exclusively: the file may grow. The gap before what is written is zeroed through the cache. */
static NTSTATUS
Write(PFLT_CALLBACK_DATA Data, PISO_FCB Fcb, PFILE_OBJECT File, LARGE_INTEGER Offset)
{
    ULONG length = Data->Iopb->Parameters.Write.Length;
    PUCHAR buffer = BufferOf(Data, Data->Iopb->Parameters.Write.MdlAddress, Data->Iopb->Parameters.Write.WriteBuffer);
    LARGE_INTEGER end = {.QuadPart = Offset.QuadPart + length}, old = Fcb->Header.FileSize;
    IO_STATUS_BLOCK iosb = {.Status = STATUS_SUCCESS};
    NTSTATUS status = STATUS_SUCCESS;

    if (!FltCheckLockForWriteAccess(&Fcb->Locks, Data)) {
        return STATUS_FILE_LOCK_CONFLICT;
    }
    if (end.QuadPart > Fcb->Header.FileSize.QuadPart) {
        status = IsoResize(Fcb, File, end.QuadPart);
    }
    if (!NT_SUCCESS(status)) {
        return status;
    }
    if (Offset.QuadPart > old.QuadPart) {
        IsoZero(Fcb, File, old.QuadPart, Offset.QuadPart);
    }
    SetUpCache(Fcb, File);
    if (FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE)) {
        CcFlushCache(&Fcb->Sections, &Offset, length, &iosb);
        status = MoveUnlocked(Fcb, TRUE, Offset.QuadPart, buffer, length);
        CcPurgeCacheSection(&Fcb->Sections, &Offset, length, FALSE);
    } else {
        CcCopyWrite(File, &Offset, length, TRUE, buffer);
    }
    return status;
}

static NTSTATUS
WritePages(PFLT_CALLBACK_DATA Data, PISO_FCB Fcb)
{
    LONGLONG offset = Data->Iopb->Parameters.Write.ByteOffset.QuadPart;
    PUCHAR buffer = BufferOf(Data, Data->Iopb->Parameters.Write.MdlAddress, Data->Iopb->Parameters.Write.WriteBuffer);

    if (offset >= Fcb->Header.FileSize.QuadPart) {
        return STATUS_SUCCESS; /* cut meanwhile */
    }
    return MoveUnlocked(Fcb, TRUE, offset, buffer, Data->Iopb->Parameters.Write.Length);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    BOOLEAN paging = BooleanFlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO);
    LARGE_INTEGER offset = Data->Iopb->Parameters.Write.ByteOffset;
    PERESOURCE lock;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (FLT_IS_FASTIO_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    if (Data->Iopb->Parameters.Write.Length == 0) {
        return IsoComplete(Data, STATUS_SUCCESS, 0);
    }
    lock = paging ? &fcb->Paging : &fcb->Main;
    IsoLock(lock, !paging);
    if (offset.LowPart == FILE_WRITE_TO_END_OF_FILE && offset.HighPart == -1) {
        offset = fcb->Header.FileSize;
    }
    try {
        status = paging ? WritePages(Data, fcb) : Write(Data, fcb, o->FileObject, offset);
    }
    except(EXCEPTION_EXECUTE_HANDLER)
    {
        status = GetExceptionCode();
    }
    IsoUnlock(lock);
    if (NT_SUCCESS(status)) {
        MovePosition(o->FileObject, offset.QuadPart, Data->Iopb->Parameters.Write.Length, paging);
        if (!paging) {
            SetFlag(o->FileObject->Flags, FO_FILE_MODIFIED);
        }
    }
    return IsoComplete(Data, status, NT_SUCCESS(status) ? Data->Iopb->Parameters.Write.Length : 0);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
IsoPreFlush(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS o, PVOID *Context)
{
    PISO_FCB fcb = IsoFcbOf(o->FileObject);
    IO_STATUS_BLOCK iosb;

    UNREFERENCED_PARAMETER(Context);
    if (fcb == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    IsoLock(&fcb->Main, TRUE);
    CcFlushCache(&fcb->Sections, NULL, 0, &iosb);
    IsoUnlock(&fcb->Main);
    if (NT_SUCCESS(iosb.Status)) {
        iosb.Status = FltFlushBuffers(o->Instance, fcb->Lower);
    }
    return IsoComplete(Data, iosb.Status, 0);
}
