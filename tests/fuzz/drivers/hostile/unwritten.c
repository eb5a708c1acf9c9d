/*
 * unwritten.c: memory that was never written, handed on.
 */

#include "hostile.h"

#define LENGTH 512
#define DO(What, ...)                                                                                                  \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        PUCHAR Block = ExAllocatePoolWithTag(NonPagedPoolNx, LENGTH, TAG);                                             \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(FltObjects);                                                                            \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        ExFreePoolWithTag(Block, TAG);                                                                                 \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

static VOID
Fill(PFLT_CALLBACK_DATA Data, PVOID From, ULONG Length)
{
    RtlCopyMemory(Data->Iopb->Parameters.Read.ReadBuffer, From, Length);
    Data->IoStatus.Status = STATUS_SUCCESS;
    Data->IoStatus.Information = Length;
}

static VOID
WriteFirst(PCFLT_RELATED_OBJECTS FltObjects, PVOID Sector)
{
    LARGE_INTEGER Start = {.QuadPart = 0};

    if (KeGetCurrentIrql() == PASSIVE_LEVEL) { /* the paging reads that come of it are higher */
        FltWriteFile(FltObjects->Instance, FltObjects->FileObject, &Start, LENGTH, Sector,
                     FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, NULL, NULL, NULL);
    }
}

/* A name that is longer than what was put into it. */
static VOID
Open(PFLT_INSTANCE Instance, PWCH Text)
{
    static const WCHAR Begin[] = L"\\??\\V:\\x";
    UNICODE_STRING Name = {.Length = sizeof(Begin) + 16, .MaximumLength = sizeof(Begin) + 16, .Buffer = Text};
    OBJECT_ATTRIBUTES Attributes;
    HANDLE Handle;
    PFILE_OBJECT File;
    IO_STATUS_BLOCK Result;

    RtlCopyMemory(Text, Begin, sizeof(Begin) - sizeof(WCHAR));
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(FltCreateFileEx(Filter, Instance, &Handle, &File, FILE_READ_DATA, &Attributes, &Result, NULL, 0,
                                   FILE_SHARE_READ, FILE_OPEN, 0, NULL, 0, 0))) {
        FltClose(Handle);
        ObDereferenceObject(File);
    }
}

DO(unwritten_read, Fill(Data, Block, LENGTH); ExFreePoolWithTag(Block, TAG); return FLT_PREOP_COMPLETE)
DO(unwritten_tail_read, RtlZeroMemory(Block, LENGTH - 8); Fill(Data, Block, LENGTH); ExFreePoolWithTag(Block, TAG);
   return FLT_PREOP_COMPLETE)
DO(unwritten_aligned_read, PVOID Aligned = FltAllocatePoolAlignedWithTag(FltObjects->Instance, PagedPool, 64, TAG);
   Fill(Data, Aligned, 64); FltFreePoolAlignedWithTag(FltObjects->Instance, Aligned, TAG);
   ExFreePoolWithTag(Block, TAG); return FLT_PREOP_COMPLETE)
DO(unwritten_context_read, PFLT_CONTEXT Context = NULL;
   FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, 64, PagedPool, &Context); Fill(Data, Context, 64);
   FltReleaseContext(Context); ExFreePoolWithTag(Block, TAG); return FLT_PREOP_COMPLETE)
DO(unwritten_file, WriteFirst(FltObjects, Block))
DO(unwritten_times, FltSetInformationFile(FltObjects->Instance, FltObjects->FileObject, Block,
                                          sizeof(FILE_BASIC_INFORMATION), FileBasicInformation))
DO(unwritten_control, FltFsControlFile(FltObjects->Instance, FltObjects->FileObject, FSCTL_SET_ZERO_DATA, Block,
                                       sizeof(FILE_ZERO_DATA_INFORMATION), NULL, 0, NULL))
DO(unwritten_message, LARGE_INTEGER Moment = {.QuadPart = -10000};
   FltSendMessage(Filter, &Client, Block, 64, NULL, NULL, &Moment))
DO(unwritten_value, RtlWriteRegistryValue(RTL_REGISTRY_SERVICES, L"hostile", L"Value", REG_BINARY, Block, 64))
DO(unwritten_name, Open(FltObjects->Instance, (PWCH)Block))
DO(unwritten_pointer, **(volatile UCHAR **)Block)
DO(unwritten_list, RemoveHeadList((PLIST_ENTRY)Block))
DO(unwritten_pointer_given, ObDereferenceObject(*(PVOID *)Block))
DO(unwritten_answer, NOTHING)
