/*
 * vandal: the name of the file that is read says which of the structures that go back to the system it destroys.
 */

#include <fltKernel.h>

#define TAG 'dnaV'
#define WILD ((PVOID)0xFFFFC1234567F000ull)
#define DESTROY(Place) RtlFillMemory((PVOID)(Place), sizeof(*(Place)), 0xFF)

static PFLT_FILTER Filter;

static BOOLEAN
IsNamed(_In_ PFILE_OBJECT File, _In_ PCWSTR Wanted)
{
    UNICODE_STRING Suffix;
    UNICODE_STRING Tail = File->FileName;

    RtlInitUnicodeString(&Suffix, Wanted);
    if (Tail.Length < Suffix.Length) {
        return FALSE;
    }
    Tail.Buffer += (Tail.Length - Suffix.Length) / sizeof(WCHAR);
    Tail.Length = Suffix.Length;
    return RtlEqualUnicodeString(&Suffix, &Tail, TRUE);
}

/* Swaps the buffer properly, but for the MDL. */
static FLT_PREOP_CALLBACK_STATUS
SwapWithBadMdl(PFLT_CALLBACK_DATA Data, PFILE_OBJECT File, PVOID *CompletionContext)
{
    PVOID Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, TAG);
    PMDL Mdl = Buffer != NULL ? IoAllocateMdl(Buffer, PAGE_SIZE, FALSE, FALSE, NULL) : NULL;

    if (Mdl == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    MmBuildMdlForNonPagedPool(Mdl);
    if (IsNamed(File, L"\\mdl-destroyed")) {
        DESTROY(Mdl);
    } else if (IsNamed(File, L"\\mdl-overrun")) {
        RtlFillMemory(Mdl + 1, 2 * sizeof(PFN_NUMBER), 0xFF); /* it has one page */
    } else {
        IoFreeMdl(Mdl);
    }
    Data->Iopb->Parameters.Read.ReadBuffer = Buffer;
    Data->Iopb->Parameters.Read.MdlAddress = Mdl;
    FltSetCallbackDataDirty(Data);
    *CompletionContext = Buffer;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFILE_OBJECT File = FltObjects->FileObject;

    *CompletionContext = NULL;
    if (IsNamed(File, L"\\data")) {
        DESTROY(Data);
    } else if (IsNamed(File, L"\\iopb-pointer")) {
        *(PVOID *)&Data->Iopb = WILD;
    } else if (IsNamed(File, L"\\iopb")) {
        DESTROY(Data->Iopb);
        FltSetCallbackDataDirty(Data);
    } else if (IsNamed(File, L"\\file-wild")) {
        Data->Iopb->TargetFileObject = WILD;
        FltSetCallbackDataDirty(Data);
    } else if (IsNamed(File, L"\\related")) {
        DESTROY((PFLT_RELATED_OBJECTS)FltObjects);
    } else if (IsNamed(File, L"\\in-post")) {
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    } else if (IsNamed(File, L"\\mdl-destroyed") || IsNamed(File, L"\\mdl-overrun") || IsNamed(File, L"\\mdl-freed")) {
        return SwapWithBadMdl(Data, File, CompletionContext);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    if (CompletionContext != NULL) {
        ExFreePoolWithTag(CompletionContext, TAG);
    } else {
        DESTROY(Data);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_READ, 0, PreRead, PostRead}, {IRP_MJ_OPERATION_END}};

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
};

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(Status)) {
            FltUnregisterFilter(Filter);
        }
    }
    return Status;
}
