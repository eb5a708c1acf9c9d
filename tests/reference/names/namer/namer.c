/*
 * namer.c: asks for the names of the files whose last component ends in .txt and prints what it is told; by the name of
 * the stream handle's file it knows what to ask.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static PFLT_INSTANCE Upper;

static void
Tell(PCFLT_RELATED_OBJECTS Objects, PCSTR What, NTSTATUS Status, PFLT_FILE_NAME_INFORMATION Name)
{
    UNICODE_STRING Inside = {0, 0, NULL};

    if (NT_SUCCESS(Status)) {
        FltParseFileNameInformation(Name);
        Inside = Name->Name;
        Inside.Buffer += Name->Volume.Length / sizeof(WCHAR);
        Inside.Length -= Name->Volume.Length;
    }
    DbgPrint("namer %s %s %08x %wZ\n", Objects->Instance == Upper ? "upper" : "lower", What, Status, &Inside);
    if (NT_SUCCESS(Status)) {
        FltReleaseFileNameInformation(Name);
    }
}

#define ASK(What, Options)                                                                                             \
    do {                                                                                                               \
        PFLT_FILE_NAME_INFORMATION Name = NULL;                                                                        \
        NTSTATUS Answer = FltGetFileNameInformation(Data, (Options), &Name);                                           \
                                                                                                                       \
        Tell(Objects, What, Answer, Name);                                                                             \
    } while (0)

#define UNSAFE(What, Instance, Options)                                                                                \
    do {                                                                                                               \
        PFLT_FILE_NAME_INFORMATION Name = NULL;                                                                        \
        NTSTATUS Answer = FltGetFileNameInformationUnsafe(Objects->FileObject, (Instance), (Options), &Name);          \
                                                                                                                       \
        Tell(Objects, What, Answer, Name);                                                                             \
    } while (0)

static BOOLEAN
IsOurs(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Pattern = RTL_CONSTANT_STRING(L"*.TXT");

    return FsRtlIsNameInExpression(&Pattern, &Objects->FileObject->FileName, TRUE, NULL);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    if (!IsOurs(Objects)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    ASK("pre", FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT | FLT_FILE_NAME_DO_NOT_CACHE);
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (!NT_SUCCESS(Data->IoStatus.Status)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    ASK("opened", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);
    ASK("again", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_CACHE_ONLY);
    FltPurgeFileNameInformationCache(Objects->Instance, Objects->FileObject);
    ASK("purged-above", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_CACHE_ONLY);
    if (Objects->Instance == Upper) {
        ASK("fresh", FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_FILESYSTEM_ONLY);
        UNSAFE("unsafe", Objects->Instance, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT);
        UNSAFE("from-the-top", NULL, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    PFILE_RENAME_INFORMATION Rename = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
    FILE_INFORMATION_CLASS Kind = Data->Iopb->Parameters.SetFileInformation.FileInformationClass;
    PFLT_FILE_NAME_INFORMATION Name = NULL;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (Kind != FileRenameInformation && Kind != FileRenameInformationEx) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    Status = FltGetDestinationFileNameInformation(Objects->Instance, Objects->FileObject, Rename->RootDirectory,
                                                  Rename->FileName, Rename->FileNameLength,
                                                  FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &Name);
    Tell(Objects, "destination", Status, Name);
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    ASK("renamed", FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Type, FLT_FILESYSTEM_TYPE FileSystem)
{
    UCHAR Buffer[256];
    ULONG Size;
    PINSTANCE_BASIC_INFORMATION Basic = (PINSTANCE_BASIC_INFORMATION)Buffer;

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(Type);
    UNREFERENCED_PARAMETER(FileSystem);
    if (NT_SUCCESS(
            FltGetInstanceInformation(Objects->Instance, InstanceBasicInformation, Buffer, sizeof(Buffer), &Size)) &&
        *(PWCHAR)(Buffer + Basic->InstanceNameBufferOffset) == L'u') {
        Upper = Objects->Instance;
    }
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
    static const FLT_OPERATION_REGISTRATION Operations[] = {
        {IRP_MJ_CREATE, 0, PreCreate, PostCreate},
        {IRP_MJ_SET_INFORMATION, 0, PreSetInformation, PostSetInformation},
        {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload, Setup};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
