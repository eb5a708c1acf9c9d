/*
 * upper.c
 *
 * A transformer: text files (*.txt) are read in capitals, by whatever way they are read, and stay on the disk as they
 * are. Paging and non-cached reads are changed where the data comes from the disk, so that the cache and views hold
 * capitals; cached reads need nothing. Written for the first DDK that had minifilters, and kept alive since.
 */

#include <ntifs.h>
#include <fltKernel.h>

PFLT_FILTER FilterHandle = NULL;

NTSTATUS DriverEntry(IN PDRIVER_OBJECT DriverObject, IN PUNICODE_STRING RegistryPath);
NTSTATUS FLTAPI UpUnload(IN FLT_FILTER_UNLOAD_FLAGS Flags);
NTSTATUS FLTAPI UpQueryTeardown(IN PCFLT_RELATED_OBJECTS FltObjects, IN FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags);
FLT_PREOP_CALLBACK_STATUS FLTAPI UpPreRead(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects,
                                           OUT PVOID *CompletionContext);
FLT_POSTOP_CALLBACK_STATUS FLTAPI UpPostRead(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects,
                                             IN PVOID CompletionContext, IN FLT_POST_OPERATION_FLAGS Flags);
FLT_POSTOP_CALLBACK_STATUS FLTAPI UpPostReadSafe(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects,
                                                 IN PVOID CompletionContext, IN FLT_POST_OPERATION_FLAGS Flags);

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, UpUnload, UpQueryTeardown)
#endif

FLT_OPERATION_REGISTRATION Callbacks[] = {{IRP_MJ_READ, 0, UpPreRead, UpPostRead}, {IRP_MJ_OPERATION_END}};

FLT_REGISTRATION FilterRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Callbacks, UpUnload, NULL, UpQueryTeardown};

static BOOLEAN
EndsWithTxt(IN PUNICODE_STRING Name)
{
    UNICODE_STRING Txt, Tail;

    RtlInitUnicodeString(&Txt, L".txt");
    if (Name->Length < Txt.Length) {
        return FALSE;
    }
    Tail.Length = Tail.MaximumLength = Txt.Length;
    Tail.Buffer = Name->Buffer + (Name->Length - Txt.Length) / sizeof(WCHAR);
    return RtlCompareUnicodeString(&Tail, &Txt, TRUE) == 0;
}

static void
Capitals(IN OUT PUCHAR Text, IN ULONG_PTR Length)
{
    while (Length--) {
        if (*Text >= 'a' && *Text <= 'z') {
            *Text -= 'a' - 'A';
        }
        Text++;
    }
}

// Once the buffer is mapped any IRQL will do.
static void
Change(IN OUT PFLT_CALLBACK_DATA Data)
{
    PFLT_PARAMETERS p = &Data->Iopb->Parameters;
    PVOID Buffer =
        p->Read.MdlAddress ? MmGetSystemAddressForMdlSafe(p->Read.MdlAddress, NormalPagePriority) : p->Read.ReadBuffer;

    if (Buffer == NULL) {
        Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
        Data->IoStatus.Information = 0;
        return;
    }
    try {
        Capitals(Buffer, Data->IoStatus.Information);
    }
    except(EXCEPTION_EXECUTE_HANDLER)
    {
        Data->IoStatus.Status = GetExceptionCode();
        Data->IoStatus.Information = 0;
    }
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
UpPreRead(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects, OUT PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(CompletionContext);

    if (!FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE) || !EndsWithTxt(&FltObjects->FileObject->FileName)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
UpPostRead(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects, IN PVOID CompletionContext,
           IN FLT_POST_OPERATION_FLAGS Flags)
{
    FLT_POSTOP_CALLBACK_STATUS Result;

    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        Data->IoStatus.Information == 0) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }

    if (Data->Iopb->Parameters.Read.MdlAddress != NULL) {
        Change(Data);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (FltDoCompletionProcessingWhenSafe(Data, FltObjects, CompletionContext, Flags, UpPostReadSafe, &Result)) {
        return Result;
    }

    // Nobody may be asked to wait for it here: who reads text is told that it is not to be had.
    Data->IoStatus.Status = STATUS_UNSUCCESSFUL;
    Data->IoStatus.Information = 0;
    return FLT_POSTOP_FINISHED_PROCESSING;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
UpPostReadSafe(IN OUT PFLT_CALLBACK_DATA Data, IN PCFLT_RELATED_OBJECTS FltObjects, IN PVOID CompletionContext,
               IN FLT_POST_OPERATION_FLAGS Flags)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    UNREFERENCED_PARAMETER(Flags);

    Status = FltLockUserBuffer(Data);
    if (NT_SUCCESS(Status)) {
        Change(Data);
    } else {
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

NTSTATUS FLTAPI
UpQueryTeardown(IN PCFLT_RELATED_OBJECTS FltObjects, IN FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    return STATUS_SUCCESS;
}

NTSTATUS FLTAPI
UpUnload(IN FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(FilterHandle);
    return STATUS_SUCCESS;
}

NTSTATUS
DriverEntry(IN PDRIVER_OBJECT DriverObject, IN PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &FilterRegistration, &FilterHandle);
    ASSERT(NT_SUCCESS(Status));
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(FilterHandle);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(FilterHandle);
        }
    }
    return Status;
}
