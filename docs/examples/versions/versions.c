/*
 * versions.c: before a *.cfg is superseded or overwritten by an open, its content is copied to <name>.<n>.old beside it,
 * with I/O below this filter: FltCreateFileEx2, FltReadFile and FltWriteFile in chunks.
 */

#include <fltKernel.h>
#include <ntstrsafe.h>

#define VER_TAG 'sreV'
#define CHUNK (16 * 1024)
#define MOST_VERSIONS 9

static PFLT_FILTER gFilter;

static NTSTATUS
Open(PCFLT_RELATED_OBJECTS Objects, PUNICODE_STRING Name, ACCESS_MASK Access, ULONG Disposition, PHANDLE Handle,
     PFILE_OBJECT *File)
{
    IO_DRIVER_CREATE_CONTEXT Context;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;

    IoInitializeDriverCreateContext(&Context);
    InitializeObjectAttributes(&Attributes, Name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return FltCreateFileEx2(gFilter, Objects->Instance, Handle, File, Access | SYNCHRONIZE, &Attributes, &Iosb, NULL,
                            FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, Disposition,
                            FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE | FILE_COMPLETE_IF_OPLOCKED, NULL, 0,
                            IO_IGNORE_SHARE_ACCESS_CHECK, &Context);
}

static NTSTATUS
Copy(PCFLT_RELATED_OBJECTS Objects, PFILE_OBJECT From, PFILE_OBJECT To)
{
    PVOID Buffer = FltAllocatePoolAlignedWithTag(Objects->Instance, NonPagedPoolNx, CHUNK, VER_TAG);
    LARGE_INTEGER Offset = {.QuadPart = 0};
    ULONG Bytes;
    NTSTATUS Status;

    if (Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (;;) {
        Status = FltReadFile(Objects->Instance, From, &Offset, CHUNK, Buffer,
                             FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Bytes, NULL, NULL);
        if (!NT_SUCCESS(Status)) {
            break;
        }
        Status = FltWriteFile(Objects->Instance, To, &Offset, Bytes, Buffer,
                              FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &Bytes, NULL, NULL);
        if (!NT_SUCCESS(Status)) {
            break;
        }
        Offset.QuadPart += Bytes;
    }
    FltFreePoolAlignedWithTag(Objects->Instance, Buffer, VER_TAG);
    return Status == STATUS_END_OF_FILE ? STATUS_SUCCESS : Status;
}

/* The first <name>.<n>.old that is free is made; FILE_CREATE says whether it is. */
static NTSTATUS
MakeVersion(PCFLT_RELATED_OBJECTS Objects, PUNICODE_STRING Name, PHANDLE Handle, PFILE_OBJECT *File)
{
    UNICODE_STRING Version;
    NTSTATUS Status = STATUS_OBJECT_NAME_COLLISION;

    Version.Length = 0;
    Version.MaximumLength = Name->Length + 16 * sizeof(WCHAR);
    Version.Buffer = ExAllocatePool2(POOL_FLAG_PAGED, Version.MaximumLength, VER_TAG);
    if (Version.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (ULONG n = 1; n <= MOST_VERSIONS && Status == STATUS_OBJECT_NAME_COLLISION; n++) {
        Status = RtlUnicodeStringPrintf(&Version, L"%wZ.%lu.old", Name, n);
        if (NT_SUCCESS(Status)) {
            Status = Open(Objects, &Version, FILE_WRITE_DATA, FILE_CREATE, Handle, File);
        }
    }
    ExFreePoolWithTag(Version.Buffer, VER_TAG);
    return Status;
}

static VOID
Keep(PCFLT_RELATED_OBJECTS Objects, PUNICODE_STRING Name)
{
    PFILE_OBJECT Source, Target;
    HANDLE SourceHandle, TargetHandle;
    NTSTATUS Status = Open(Objects, Name, FILE_READ_DATA, FILE_OPEN, &SourceHandle, &Source);

    if (!NT_SUCCESS(Status)) {
        return; /* there is nothing to keep */
    }
    Status = MakeVersion(Objects, Name, &TargetHandle, &Target);
    if (NT_SUCCESS(Status)) {
        Status = Copy(Objects, Source, Target);
        ObDereferenceObject(Target);
        FltClose(TargetHandle);
    }
    ObDereferenceObject(Source);
    FltClose(SourceHandle);
    if (!NT_SUCCESS(Status)) {
        DbgPrint("versions: %wZ is not kept, 0x%08x\n", Name, Status);
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *CompletionContext)
{
    static const UNICODE_STRING Extension = RTL_CONSTANT_STRING(L"cfg");
    UCHAR Disposition = (UCHAR)(Data->Iopb->Parameters.Create.Options >> 24);
    PFLT_FILE_NAME_INFORMATION Name;

    UNREFERENCED_PARAMETER(CompletionContext);
    PAGED_CODE();
    if (Disposition != FILE_SUPERSEDE && Disposition != FILE_OVERWRITE && Disposition != FILE_OVERWRITE_IF) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        if (NT_SUCCESS(FltParseFileNameInformation(Name)) && Name->Stream.Length == 0 &&
            RtlEqualUnicodeString(&Name->Extension, &Extension, TRUE)) {
            Keep(Objects, &Name->Name);
        }
        FltReleaseFileNameInformation(Name);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION gOperations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL}, {IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION gRegistration = {.Size = sizeof(FLT_REGISTRATION),
                                               .Version = FLT_REGISTRATION_VERSION,
                                               .OperationRegistration = gOperations,
                                               .FilterUnloadCallback = Unload};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);

    UNREFERENCED_PARAMETER(RegistryPath);
    if (NT_SUCCESS(Status) && !NT_SUCCESS(Status = FltStartFiltering(gFilter))) {
        FltUnregisterFilter(gFilter);
    }
    return Status;
}
