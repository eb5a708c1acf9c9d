/* header.c: the header of a file, its size without it, and the cipher, which is a poor one: ../aescrypt has a real one. */

#include "headcrypt.h"

static VOID FLTAPI
HcStreamGone(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Type);
    ExDeleteResourceLite(&((PHC_STREAM)Context)->Lock);
}

const FLT_CONTEXT_REGISTRATION HcContexts[] = {
    {FLT_STREAM_CONTEXT, 0, HcStreamGone, sizeof(HC_STREAM), HC_TAG},
    {FLT_CONTEXT_END},
};

/* The context of a sealed file, referenced; NULL for any other. */
PHC_STREAM
HcStreamOf(_In_ PCFLT_RELATED_OBJECTS Objects)
{
    PHC_STREAM Stream = NULL;

    return NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, &Stream)) ? Stream : NULL;
}

VOID
HcLock(_In_ PHC_STREAM Stream)
{
    FltAcquireResourceExclusive(&Stream->Lock);
}

VOID
HcUnlock(_In_ PHC_STREAM Stream)
{
    FltReleaseResource(&Stream->Lock);
}

/* Each eight bytes by a number of their own, of which the file's key and their place in the content are the seed. */
VOID
HcScramble(_In_ PHC_STREAM Stream, _In_ LONG64 Offset, _Inout_updates_(Length) PUCHAR Data, _In_ SIZE_T Length)
{
    for (SIZE_T Index = 0; Index < Length; Index++, Offset++) {
        ULONG64 Word = Stream->Key + (ULONG64)(Offset / 8 + 1) * 0x9E3779B97F4A7C15ULL;

        Word = (Word ^ (Word >> 30)) * 0xBF58476D1CE4E5B9ULL;
        Word = (Word ^ (Word >> 27)) * 0x94D049BB133111EBULL;
        Data[Index] ^= (UCHAR)(Word >> (8 * (Offset % 8)));
    }
}

/* Transfers below this filter that neither see the cache nor move the file's end: paging I/O. */
static NTSTATUS
HcTransfer(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ BOOLEAN Write, _In_ LONG64 At, _In_ PVOID Buffer, _In_ ULONG Length)
{
    FLT_IO_OPERATION_FLAGS Flags = FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_PAGING |
                                   FLTFL_IO_OPERATION_SYNCHRONOUS_PAGING | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET;
    LARGE_INTEGER Offset = {.QuadPart = At};
    ULONG Done = 0;
    NTSTATUS Status;

    Status =
        Write ? FltWriteFile(Objects->Instance, Objects->FileObject, &Offset, Length, Buffer, Flags, &Done, NULL, NULL)
              : FltReadFile(Objects->Instance, Objects->FileObject, &Offset, Length, Buffer, Flags, &Done, NULL, NULL);
    return NT_SUCCESS(Status) && Done < Length ? STATUS_FILE_CORRUPT_ERROR : Status;
}

static NTSTATUS
HcSetEnd(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ LONG64 Size)
{
    FILE_END_OF_FILE_INFORMATION End = {.EndOfFile.QuadPart = Size};

    return FltSetInformationFile(Objects->Instance, Objects->FileObject, &End, sizeof(End), FileEndOfFileInformation);
}

/*
 * Give the content another size; its lock is held. What is new is scrambled zeros at once, from the sector on that the
 * end was in: a hole would be read as zeros, and not be unscrambled to any.
 */
NTSTATUS
HcResize(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PHC_STREAM Stream, _In_ LONG64 Size)
{
    PSECTION_OBJECT_POINTERS Sections = Objects->FileObject->SectionObjectPointer;
    LONG64 At = Stream->Size & ~(LONG64)(PAGE_SIZE - 1);
    IO_STATUS_BLOCK Iosb;
    NTSTATUS Status;
    PUCHAR Page;

    CcFlushCache(Sections, NULL, 0, &Iosb);
    if (Size < Stream->Size && !CcPurgeCacheSection(Sections, NULL, 0, FALSE)) {
        return STATUS_USER_MAPPED_FILE;
    }
    Status = HcSetEnd(Objects, Size + HC_HEADER);
    if (!NT_SUCCESS(Status) || Size <= Stream->Size) {
        if (NT_SUCCESS(Status)) {
            Stream->Size = Size;
        }
        return Status;
    }
    Page = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, PAGE_SIZE, HC_TAG);
    if (Page == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (; At < Size && NT_SUCCESS(Status); At += PAGE_SIZE) {
        ULONG Kept = At < Stream->Size ? (ULONG)(Stream->Size - At) : 0;

        RtlZeroMemory(Page, PAGE_SIZE);
        if (Kept != 0) {
            Status = HcTransfer(Objects, FALSE, At + HC_HEADER, Page, Kept);
            HcScramble(Stream, At, Page, Kept);
            RtlZeroMemory(Page + Kept, PAGE_SIZE - Kept);
        }
        HcScramble(Stream, At, Page, PAGE_SIZE);
        if (NT_SUCCESS(Status)) {
            Status = HcTransfer(Objects, TRUE, At + HC_HEADER, Page, (ULONG)min(PAGE_SIZE, Size - At));
        }
    }
    FltFreePoolAlignedWithTag(Objects->Instance, Page, HC_TAG);
    if (NT_SUCCESS(Status)) {
        Stream->Size = Size;
    } else {
        HcSetEnd(Objects, Stream->Size + HC_HEADER);
    }
    return Status;
}

/* A *.sealed file has been opened: it gets its context, and if it is new (or empty) a header. */
NTSTATUS
HcOpenStream(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ BOOLEAN Fresh)
{
    FILE_STANDARD_INFORMATION Standard;
    PHC_STREAM Stream = HcStreamOf(Objects), New = NULL;
    PHC_HEADER_PAGE Page = NULL;
    NTSTATUS Status;

    if (Stream != NULL && !Fresh) {
        FltReleaseContext(Stream);
        return STATUS_SUCCESS;
    }
    Status = FltQueryInformationFile(Objects->Instance, Objects->FileObject, &Standard, sizeof(Standard),
                                     FileStandardInformation, NULL);
    if (NT_SUCCESS(Status)) {
        Page = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, HC_HEADER, HC_TAG);
        Status = Page != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    if (Fresh || Standard.EndOfFile.QuadPart == 0) {
        LARGE_INTEGER Now;

        KeQuerySystemTime(&Now);
        RtlZeroMemory(Page, HC_HEADER);
        Page->Magic = HC_MAGIC;
        Page->Nonce = (ULONG64)Now.QuadPart ^ (ULONG64)(ULONG_PTR)Page << 32;
        Status = HcSetEnd(Objects, HC_HEADER);
        if (NT_SUCCESS(Status)) {
            Status = HcTransfer(Objects, TRUE, 0, Page, HC_HEADER);
        }
        Standard.EndOfFile.QuadPart = HC_HEADER;
    } else if (Standard.EndOfFile.QuadPart >= HC_HEADER) {
        Status = HcTransfer(Objects, FALSE, 0, Page, HC_HEADER);
    }
    if (!NT_SUCCESS(Status)) {
        goto Exit;
    }
    if (Standard.EndOfFile.QuadPart < HC_HEADER || Page->Magic != HC_MAGIC) {
        goto Exit; /* it was called so when this filter was not there: nothing is hidden of it */
    }
    if (Stream != NULL) { /* overwritten while others have it open */
        HcLock(Stream);
        Stream->Key = Page->Nonce ^ HcMasterKey;
        Stream->Size = 0;
        HcUnlock(Stream);
        goto Exit;
    }
    Status = FltAllocateContext(HcFilter, FLT_STREAM_CONTEXT, sizeof(*New), NonPagedPoolNx, (PFLT_CONTEXT *)&New);
    if (NT_SUCCESS(Status)) {
        ExInitializeResourceLite(&New->Lock);
        New->Key = Page->Nonce ^ HcMasterKey;
        New->Size = Standard.EndOfFile.QuadPart - HC_HEADER;
        Status = FltSetStreamContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, New, NULL);
        FltReleaseContext(New);
        Status = Status == STATUS_FLT_CONTEXT_ALREADY_DEFINED ? STATUS_SUCCESS : Status;
    }

Exit:
    if (Page != NULL) {
        FltFreePoolAlignedWithTag(Objects->Instance, Page, HC_TAG);
    }
    if (Stream != NULL) {
        FltReleaseContext(Stream);
    }
    return Status;
}
