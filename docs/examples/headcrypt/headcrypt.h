/*
 * headcrypt.h: what the parts of the driver have in common.
 *
 * On the disk a *.sealed file is a header of HC_HEADER bytes and then its content, scrambled. Above, there is no header:
 * sizes are smaller by it, and offsets begin behind it. The cache is the file's as it is seen above, so views need
 * nothing: it is paging I/O that is moved by the header and scrambled, and so is what a program reads and writes without
 * the cache, for which the cache is flushed and purged first. The file system's sizes count the header; a section that
 * a program makes without a size is larger by it, and its last page is of no use to anybody.
 */

#pragma once

#include <fltKernel.h>

#define HC_TAG 'tpcH'
#define HC_HEADER 4096
#define HC_MAGIC 0x64656c6165734348ULL /* HCsealed */

typedef struct _HC_HEADER_PAGE {
    ULONG64 Magic;
    ULONG64 Nonce;
    UCHAR Rest[HC_HEADER - 2 * sizeof(ULONG64)];
} HC_HEADER_PAGE, *PHC_HEADER_PAGE;

typedef struct _HC_STREAM {
    ERESOURCE Lock;       /* whoever changes Size has it exclusively; above the file system's own locks */
    volatile LONG64 Size; /* of the content */
    ULONG64 Key;
} HC_STREAM, *PHC_STREAM;

extern PFLT_FILTER HcFilter;
extern ULONG64 HcMasterKey;

/* header.c */
NTSTATUS HcOpenStream(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ BOOLEAN Fresh);
NTSTATUS HcResize(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PHC_STREAM Stream, _In_ LONG64 Size);
PHC_STREAM HcStreamOf(_In_ PCFLT_RELATED_OBJECTS Objects);
VOID HcLock(_In_ PHC_STREAM Stream);
VOID HcUnlock(_In_ PHC_STREAM Stream);
VOID HcScramble(_In_ PHC_STREAM Stream, _In_ LONG64 Offset, _Inout_updates_(Length) PUCHAR Data, _In_ SIZE_T Length);
extern const FLT_CONTEXT_REGISTRATION HcContexts[];

/* transfer.c */
FLT_PREOP_CALLBACK_STATUS FLTAPI HcPreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_POSTOP_CALLBACK_STATUS FLTAPI HcPostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context,
                                             FLT_POST_OPERATION_FLAGS Flags);
FLT_PREOP_CALLBACK_STATUS FLTAPI HcPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_POSTOP_CALLBACK_STATUS FLTAPI HcPostWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context,
                                              FLT_POST_OPERATION_FLAGS Flags);

FORCEINLINE FLT_PREOP_CALLBACK_STATUS
HcComplete(_In_ PFLT_CALLBACK_DATA Data, _In_ NTSTATUS Status)
{
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}
