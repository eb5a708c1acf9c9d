/*
 * aescrypt.c: files called *.aes are encrypted on the disk, each by a key stream of its own. A read is decrypted where
 * it lies, in the requester's locked buffer; a write goes to the disk from a buffer of ours.
 */

#include "aescrypt.h"

static PFLT_FILTER Filter;

DRIVER_INITIALIZE DriverEntry;

static BOOLEAN
AcIsOurs(_In_ PFLT_CALLBACK_DATA Data)
{
    static const UNICODE_STRING Extension = RTL_CONSTANT_STRING(L"aes");
    PFLT_FILE_NAME_INFORMATION Name;
    BOOLEAN Ours = FALSE;

    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        Ours = NT_SUCCESS(FltParseFileNameInformation(Name)) && Name->Stream.Length == 0 &&
               RtlEqualUnicodeString(&Name->Extension, &Extension, TRUE);
        FltReleaseFileNameInformation(Name);
    }
    return Ours;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AcPostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
             FLT_POST_OPERATION_FLAGS Flags)
{
    PAC_STREAM_CONTEXT Context = NULL;
    FILE_INTERNAL_INFORMATION Internal;
    BOOLEAN Directory;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || Data->IoStatus.Status != STATUS_SUCCESS ||
        !NT_SUCCESS(FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory)) || Directory ||
        !AcIsOurs(Data)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Status = FltQueryInformationFile(Objects->Instance, Objects->FileObject, &Internal, sizeof(Internal),
                                     FileInternalInformation, NULL);
    if (NT_SUCCESS(Status)) {
        Status =
            FltAllocateContext(Filter, FLT_STREAM_CONTEXT, sizeof(*Context), NonPagedPoolNx, (PFLT_CONTEXT *)&Context);
    }
    if (NT_SUCCESS(Status)) {
        Context->FileId = Internal.IndexNumber;
        Status =
            FltSetStreamContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
        FltReleaseContext(Context);
    }
    if (!NT_SUCCESS(Status) && Status != STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
        FltCancelFileOpen(Objects->Instance, Objects->FileObject); /* nobody is to see it as it is */
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static VOID
AcFree(_In_ PFLT_INSTANCE Instance, _In_ PAC_TRANSFER Transfer)
{
    if (Transfer->KeyStream != NULL) {
        ExFreePoolWithTag(Transfer->KeyStream, AC_TAG);
    }
    if (Transfer->Swapped != NULL) {
        FltFreePoolAlignedWithTag(Instance, Transfer->Swapped, AC_TAG);
    }
    ExFreePoolWithTag(Transfer, AC_TAG);
}

/* The transfer of a non-cached operation on a *.aes file; STATUS_NOT_FOUND for any other. */
static NTSTATUS
AcPrepare(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects, _In_ LARGE_INTEGER Offset,
          _In_ ULONG Length, _Out_ PAC_TRANSFER *Prepared)
{
    ULONG Whole = (ULONG)ROUND_TO_SIZE(Length, AC_BLOCK);
    PAC_STREAM_CONTEXT Context;
    PAC_TRANSFER Transfer;
    NTSTATUS Status;

    if (Length == 0 || !FlagOn(Data->Iopb->IrpFlags, IRP_NOCACHE) ||
        !NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, (PFLT_CONTEXT *)&Context))) {
        return STATUS_NOT_FOUND;
    }
    Status = STATUS_INSUFFICIENT_RESOURCES;
    Transfer = ExAllocatePoolZero(NonPagedPoolNx, sizeof(*Transfer), AC_TAG);
    if (Transfer != NULL) {
        Transfer->KeyStream = ExAllocatePoolUninitialized(NonPagedPoolNx, Whole, AC_TAG);
        if (Transfer->KeyStream != NULL) {
            Status = Offset.QuadPart % AC_BLOCK != 0
                         ? STATUS_INVALID_PARAMETER
                         : AcKeyStream(Context, Offset.QuadPart, Transfer->KeyStream, Whole);
        }
        if (!NT_SUCCESS(Status)) {
            AcFree(Objects->Instance, Transfer);
        }
    }
    FltReleaseContext(Context);
    *Prepared = Transfer;
    return Status;
}

static FLT_PREOP_CALLBACK_STATUS
AcFail(_In_ PFLT_CALLBACK_DATA Data, _In_ NTSTATUS Status)
{
    if (Status == STATUS_NOT_FOUND) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
AcPreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    PAC_TRANSFER Transfer;
    NTSTATUS Status = AcPrepare(Data, Objects, Parameters->Read.ByteOffset, Parameters->Read.Length, &Transfer);

    if (!NT_SUCCESS(Status)) {
        return AcFail(Data, Status);
    }
    Status = FltLockUserBuffer(Data);
    if (NT_SUCCESS(Status)) {
        Transfer->Plain =
            MmGetSystemAddressForMdlSafe(Parameters->Read.MdlAddress, NormalPagePriority | MdlMappingNoExecute);
        Status = Transfer->Plain != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(Status)) {
        AcFree(Objects->Instance, Transfer);
        return AcFail(Data, Status);
    }
    *CompletionContext = Transfer;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AcPostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
           FLT_POST_OPERATION_FLAGS Flags)
{
    PAC_TRANSFER Transfer = CompletionContext;

    if (!FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status)) {
        AcXor(Transfer->Plain, Transfer->Plain, Transfer->KeyStream, Data->IoStatus.Information);
    }
    AcFree(Objects->Instance, Transfer);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
AcPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;
    ULONG Length = Parameters->Write.Length;
    PAC_TRANSFER Transfer;
    PUCHAR Plain;
    PMDL Mdl = NULL;
    NTSTATUS Status = AcPrepare(Data, Objects, Parameters->Write.ByteOffset, Length, &Transfer);

    if (!NT_SUCCESS(Status)) {
        return AcFail(Data, Status);
    }
    Status = STATUS_INSUFFICIENT_RESOURCES;
    Plain = Parameters->Write.MdlAddress != NULL
                ? MmGetSystemAddressForMdlSafe(Parameters->Write.MdlAddress, NormalPagePriority | MdlMappingNoExecute)
                : Parameters->Write.WriteBuffer;
    Transfer->Swapped = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, Length, AC_TAG);
    if (Plain == NULL || Transfer->Swapped == NULL) {
        goto Failed;
    }
    if (FLT_IS_IRP_OPERATION(Data) && !FLT_IS_SYSTEM_BUFFER(Data)) {
        Mdl = IoAllocateMdl(Transfer->Swapped, Length, FALSE, FALSE, NULL);
        if (Mdl == NULL) {
            goto Failed;
        }
        MmBuildMdlForNonPagedPool(Mdl);
    }
    __try {
        AcXor(Transfer->Swapped, Plain, Transfer->KeyStream, Length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Status = GetExceptionCode();
        goto Failed;
    }
    Parameters->Write.WriteBuffer = Transfer->Swapped;
    Parameters->Write.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    *CompletionContext = Transfer;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;

Failed:
    if (Mdl != NULL) {
        IoFreeMdl(Mdl);
    }
    AcFree(Objects->Instance, Transfer);
    return AcFail(Data, Status);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
AcPostWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID CompletionContext,
            FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Flags);
    AcFree(Objects->Instance, CompletionContext);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
AcUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    FltUnregisterFilter(Filter);
    AcCloseCipher();
    return STATUS_SUCCESS;
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    {FLT_STREAM_CONTEXT, 0, NULL, sizeof(AC_STREAM_CONTEXT), AC_TAG},
    {FLT_CONTEXT_END},
};

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {IRP_MJ_CREATE, 0, NULL, AcPostCreate},
    {IRP_MJ_READ, FLTFL_OPERATION_REGISTRATION_SKIP_CACHED_IO, AcPreRead, AcPostRead},
    {IRP_MJ_WRITE, FLTFL_OPERATION_REGISTRATION_SKIP_CACHED_IO, AcPreWrite, AcPostWrite},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = AcUnload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = AcOpenCipher(RegistryPath);

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    if (!NT_SUCCESS(Status)) {
        AcCloseCipher();
    }
    return Status;
}
