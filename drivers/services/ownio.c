/*
 * ownio.c: creates and reads of our own, further instances, and an operation that is sent once more.
 */

#include "services.h"

static VOID
Create(PFLT_INSTANCE Instance, PCWSTR Path)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;
    UNICODE_STRING Name;
    NTSTATUS Status;
    HANDLE Handle;

    RtlInitUnicodeString(&Name, Path);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = FltCreateFile(Filter, Instance, &Handle, FILE_READ_DATA | SYNCHRONIZE, &Attributes, &IoStatus, NULL,
                           FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                           FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0);
    Say("created: 0x%08x\n", Status);
    if (NT_SUCCESS(Status)) {
        FltClose(Handle);
    }
}

VOID
CreateOwn(PCFLT_RELATED_OBJECTS FltObjects)
{
    Create(NULL, L"\\??\\V:\\own-all.bin");
    Create(FltObjects->Instance, L"\\??\\V:\\own-below.bin");
}

static VOID FLTAPI
Completed(PFLT_CALLBACK_DATA Data, PFLT_CONTEXT Context)
{
    Say("read with a callback: 0x%08x, IRQL %s\n", Data->IoStatus.Status,
        KeGetCurrentIrql() <= DISPATCH_LEVEL ? "at most DISPATCH_LEVEL" : "too high");
    KeSetEvent((PKEVENT)Context, IO_NO_INCREMENT, FALSE);
}

/* The file is opened for overlapped I/O. */
VOID
ReadOwn(PCFLT_RELATED_OBJECTS FltObjects)
{
    FLT_IO_OPERATION_FLAGS Flags = FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET;
    LARGE_INTEGER Offset = {.QuadPart = 0};
    ULONG Length = 4096, BytesRead = 0;
    NTSTATUS Status;
    KEVENT Done;
    PVOID Buffer;

    Buffer = FltAllocatePoolAlignedWithTag(FltObjects->Instance, NonPagedPoolNx, Length, SERVICES_TAG);
    if (Buffer == NULL) {
        return;
    }
    Status = FltReadFile(FltObjects->Instance, FltObjects->FileObject, &Offset, Length, Buffer, Flags, &BytesRead, NULL,
                         NULL);
    Say("read without a callback: 0x%08x, %u bytes\n", Status, BytesRead);
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    Status = FltReadFile(FltObjects->Instance, FltObjects->FileObject, &Offset, Length, Buffer, Flags, NULL, Completed,
                         &Done);
    if (NT_SUCCESS(Status)) {
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    }
    FltFreePoolAlignedWithTag(FltObjects->Instance, Buffer, SERVICES_TAG);
}

/* A synchronized read in its postoperation callback: once more, from 4096 bytes further on (IO-05). */
VOID
Reissue(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects)
{
    Data->Iopb->Parameters.Read.ByteOffset.QuadPart += 4096;
    FltSetCallbackDataDirty(Data);
    FltReissueSynchronousIo(FltObjects->Instance, Data);
    Say("reissued: 0x%08x\n", Data->IoStatus.Status);
}

static VOID
TryAttach(PCFLT_RELATED_OBJECTS FltObjects, PCWSTR Altitude, PCWSTR Name)
{
    UNICODE_STRING AltitudeText, NameText;

    RtlInitUnicodeString(&AltitudeText, Altitude);
    RtlInitUnicodeString(&NameText, Name);
    Say("attach %ws at %ws: 0x%08x\n", Name, Altitude,
        FltAttachVolumeAtAltitude(Filter, FltObjects->Volume, &AltitudeText, &NameText, NULL));
}

VOID
AskAttach(PCFLT_RELATED_OBJECTS FltObjects)
{
    UNICODE_STRING Name;

    TryAttach(FltObjects, L"123456.7", L"second");
    TryAttach(FltObjects, L"123456.8", L"second");
    TryAttach(FltObjects, L"123456.7", L"third");
    RtlInitUnicodeString(&Name, L"second");
    FltDetachVolume(Filter, FltObjects->Volume, &Name);
}
