/*
 * hasty.c: ends what is not over: of scan.bin it deletes the section context of a scan; of the directory \watched it
 * frees callback data whose operation is pending; and it asks about operations that are being drained.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static UCHAR Changes[256];

static void
DeleteContext(PCFLT_RELATED_OBJECTS Objects)
{
    static UCHAR Data[16] = "scanned";
    LARGE_INTEGER Start = {{0, 0}};
    PFLT_CONTEXT Context = NULL;
    HANDLE Handle = NULL;
    PVOID Section = NULL;

    FltWriteFile(Objects->Instance, Objects->FileObject, &Start, sizeof(Data), Data, 0, NULL, NULL, NULL);
    if (!NT_SUCCESS(FltAllocateContext(Filter, FLT_SECTION_CONTEXT, 16, PagedPool, &Context))) {
        return;
    }
    if (NT_SUCCESS(FltCreateSectionForDataScan(Objects->Instance, Objects->FileObject, Context, SECTION_MAP_READ, NULL,
                                               NULL, PAGE_READONLY, SEC_COMMIT, 0, &Handle, &Section, NULL))) {
        ZwClose(Handle);
        ObDereferenceObject(Section);
        FltDeleteContext(Context);
    }
    FltReleaseContext(Context);
}

static VOID FLTAPI
Changed(PFLT_CALLBACK_DATA Data, PFLT_CONTEXT Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
}

static void
FreePending(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_CALLBACK_DATA Data = NULL;

    if (!NT_SUCCESS(FltAllocateCallbackData(Objects->Instance, Objects->FileObject, &Data))) {
        return;
    }
    Data->Iopb->MajorFunction = IRP_MJ_DIRECTORY_CONTROL;
    Data->Iopb->MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY;
    Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.Length = sizeof(Changes);
    Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.CompletionFilter = FILE_NOTIFY_CHANGE_FILE_NAME;
    Data->Iopb->Parameters.DirectoryControl.NotifyDirectory.DirectoryBuffer = Changes;
    FltPerformAsynchronousIo(Data, Changed, NULL);
    FltFreeCallbackData(Data);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNICODE_STRING Scanned = RTL_CONSTANT_STRING(L"\\scan.bin"), Watched = RTL_CONSTANT_STRING(L"\\watched");

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status) && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Scanned, TRUE)) {
        DeleteContext(Objects);
    }
    if (NT_SUCCESS(Data->IoStatus.Status) && RtlEqualUnicodeString(&Objects->FileObject->FileName, &Watched, TRUE)) {
        FreePending(Objects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostDirectory(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) && FltGetRequestorProcessId(Data) != 0 &&
        NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        FltReleaseFileNameInformation(Name);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Type, FLT_FILESYSTEM_TYPE FileSystem)
{
    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(Type);
    UNREFERENCED_PARAMETER(FileSystem);
    return FltRegisterForDataScan(Objects->Instance);
}

static NTSTATUS FLTAPI
MayGo(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_SECTION_CONTEXT, 0, NULL, 16, 'tsaH'}, {FLT_CONTEXT_END}};
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate},
                                                            {IRP_MJ_DIRECTORY_CONTROL, 0, NULL, PostDirectory},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload, Setup, MayGo};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
