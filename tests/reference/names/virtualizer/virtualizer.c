/*
 * virtualizer.c: shows the directory \real as \virtual. Creates are sent to \real; whoever above wants a name is told
 * \virtual, by the name provider callbacks.
 */

#include <fltKernel.h>

#define TAG 'triV'

static PFLT_FILTER Filter;
static const UNICODE_STRING Real = RTL_CONSTANT_STRING(L"\\real");
static const UNICODE_STRING Virtual = RTL_CONSTANT_STRING(L"\\virtual");

/* Whether Path is Directory or begins with it and a backslash. */
static BOOLEAN
IsBelow(PCUNICODE_STRING Path, PCUNICODE_STRING Directory)
{
    return RtlPrefixUnicodeString(Directory, Path, TRUE) &&
           (Path->Length == Directory->Length || Path->Buffer[Directory->Length / sizeof(WCHAR)] == L'\\');
}

/* Head, then New, then what of Path lies behind Old. The caller frees the buffer. */
static NTSTATUS
Replace(USHORT HeadLength, PCUNICODE_STRING Path, PCUNICODE_STRING Old, PCUNICODE_STRING New, PUNICODE_STRING Result)
{
    USHORT Behind = HeadLength + Old->Length;

    Result->Length = 0;
    Result->MaximumLength = Path->Length - Old->Length + New->Length;
    Result->Buffer = ExAllocatePoolWithTag(PagedPool, Result->MaximumLength, TAG);
    if (Result->Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyMemory(Result->Buffer, Path->Buffer, HeadLength);
    Result->Length = HeadLength;
    RtlAppendUnicodeStringToString(Result, New);
    RtlCopyMemory((PUCHAR)Result->Buffer + Result->Length, (PUCHAR)Path->Buffer + Behind, Path->Length - Behind);
    Result->Length += Path->Length - Behind;
    return STATUS_SUCCESS;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNICODE_STRING Name;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    if (IsBelow(&Objects->FileObject->FileName, &Virtual) &&
        NT_SUCCESS(Replace(0, &Objects->FileObject->FileName, &Virtual, &Real, &Name))) {
        IoReplaceFileObjectName(Objects->FileObject, Name.Buffer, Name.Length);
        ExFreePoolWithTag(Name.Buffer, TAG);
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static NTSTATUS FLTAPI
GenerateFileName(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PFLT_CALLBACK_DATA Data,
                 FLT_FILE_NAME_OPTIONS Options, PBOOLEAN Cache, PFLT_NAME_CONTROL FileName)
{
    UNICODE_STRING Inside, NoCache = RTL_CONSTANT_STRING(L"nocache.txt");
    PFLT_FILE_NAME_INFORMATION Below;
    NTSTATUS Status;

    DbgPrint("virtualizer generate %x %s\n", Options, Data != NULL ? "data" : "-");
    Options &= ~FLT_FILE_NAME_REQUEST_FROM_CURRENT_PROVIDER;
    Status = Data != NULL
                 ? FltGetFileNameInformation(Data, Options | FLT_FILE_NAME_DO_NOT_CACHE, &Below)
                 : FltGetFileNameInformationUnsafe(FileObject, Instance, Options | FLT_FILE_NAME_DO_NOT_CACHE, &Below);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    FltParseFileNameInformation(Below);
    Inside.Buffer = (PWCH)((PUCHAR)Below->Name.Buffer + Below->Volume.Length);
    Inside.Length = Inside.MaximumLength = Below->Name.Length - Below->Volume.Length;
    *Cache = !RtlEqualUnicodeString(&Below->FinalComponent, &NoCache, TRUE);
    Status = FltCheckAndGrowNameControl(FileName, Below->Name.Length + Virtual.Length - Real.Length);
    if (NT_SUCCESS(Status)) {
        RtlCopyUnicodeString(&FileName->Name, &Below->Name);
        if (IsBelow(&Inside, &Real)) {
            FileName->Name.Length = Below->Volume.Length;
            RtlAppendUnicodeStringToString(&FileName->Name, &Virtual);
            Inside.Buffer += Real.Length / sizeof(WCHAR);
            Inside.Length -= Real.Length;
            RtlAppendUnicodeStringToString(&FileName->Name, &Inside);
        }
    }
    FltReleaseFileNameInformation(Below);
    return Status;
}

/* The entry of a directory, opened below us. */
static NTSTATUS
LookUp(PFLT_INSTANCE Instance, PUNICODE_STRING Directory, PCUNICODE_STRING Component, PFILE_NAMES_INFORMATION Expanded,
       ULONG Length)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File;
    HANDLE Handle;
    NTSTATUS Status;

    InitializeObjectAttributes(&Attributes, Directory, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    Status = FltCreateFileEx2(Filter, Instance, &Handle, &File, FILE_LIST_DIRECTORY | SYNCHRONIZE, &Attributes, &Iosb,
                              NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                              FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0, NULL);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltQueryDirectoryFile(Instance, File, Expanded, Length, FileNamesInformation, TRUE,
                                   (PUNICODE_STRING)Component, TRUE, NULL);
    ObDereferenceObject(File);
    FltClose(Handle);
    return Status;
}

static NTSTATUS FLTAPI
NormalizeNameComponentEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PCUNICODE_STRING Parent,
                         USHORT VolumeNameLength, PCUNICODE_STRING Component, PFILE_NAMES_INFORMATION Expanded,
                         ULONG ExpandedLength, FLT_NORMALIZE_NAME_FLAGS Flags, PVOID *Context)
{
    UNICODE_STRING Inside = *Parent, Ours = Virtual, Directory;
    NTSTATUS Status;

    DbgPrint("virtualizer normalize %wZ in %wZ flags %x file %d\n", Component, Parent, Flags, FileObject != NULL);
    if (*Context == NULL) {
        *Context = ExAllocatePoolWithTag(PagedPool, 16, TAG);
    }
    Inside.Buffer += VolumeNameLength / sizeof(WCHAR);
    Inside.Length -= VolumeNameLength;
    Ours.Buffer++;
    Ours.Length -= sizeof(WCHAR);
    if (Inside.Length == sizeof(WCHAR) && RtlEqualUnicodeString(Component, &Ours, TRUE)) {
        Expanded->FileNameLength = Ours.Length;
        RtlCopyMemory(Expanded->FileName, Ours.Buffer, Ours.Length);
        return STATUS_SUCCESS;
    }
    if (!IsBelow(&Inside, &Virtual)) {
        Directory = *Parent;
        return LookUp(Instance, &Directory, Component, Expanded, ExpandedLength);
    }
    Status = Replace(VolumeNameLength, Parent, &Virtual, &Real, &Directory);
    if (NT_SUCCESS(Status)) {
        Status = LookUp(Instance, &Directory, Component, Expanded, ExpandedLength);
        ExFreePoolWithTag(Directory.Buffer, TAG);
    }
    return Status;
}

/* Registered too, as for systems that do not know the other: never called here. */
static NTSTATUS FLTAPI
NormalizeNameComponent(PFLT_INSTANCE Instance, PCUNICODE_STRING Parent, USHORT VolumeNameLength,
                       PCUNICODE_STRING Component, PFILE_NAMES_INFORMATION Expanded, ULONG ExpandedLength,
                       FLT_NORMALIZE_NAME_FLAGS Flags, PVOID *Context)
{
    return NormalizeNameComponentEx(Instance, NULL, Parent, VolumeNameLength, Component, Expanded, ExpandedLength,
                                    Flags, Context);
}

static VOID FLTAPI
CleanUp(PVOID *Context)
{
    DbgPrint("virtualizer cleanup\n");
    ExFreePoolWithTag(*Context, TAG);
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
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {sizeof(FLT_REGISTRATION),
                                                  FLT_REGISTRATION_VERSION,
                                                  0,
                                                  NULL,
                                                  Operations,
                                                  Unload,
                                                  NULL,
                                                  NULL,
                                                  NULL,
                                                  NULL,
                                                  GenerateFileName,
                                                  NormalizeNameComponent,
                                                  CleanUp,
                                                  NULL,
                                                  NormalizeNameComponentEx};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
