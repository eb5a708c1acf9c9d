/*
 * twofold.c: the upper of two instances opens files with an extra create parameter, which the lower one finds and
 * acknowledges; another parameter is put into the callback data of the create itself.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static PFLT_INSTANCE Upper;
static const GUID Kind = {0xECECECEC, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};

static void
OpenWithParameter(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\other.bin");
    IO_DRIVER_CREATE_CONTEXT Context;
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    PFILE_OBJECT File = NULL;
    HANDLE Handle = NULL;
    PULONG Parameter = NULL;
    PECP_LIST List = NULL;
    NTSTATUS Status;

    FltAllocateExtraCreateParameterList(Filter, 0, &List);
    FsRtlAllocateExtraCreateParameter(&Kind, sizeof(ULONG), 0, NULL, 'pceT', (PVOID *)&Parameter);
    *Parameter = 42;
    FsRtlInsertExtraCreateParameter(List, Parameter);
    IoInitializeDriverCreateContext(&Context);
    Context.ExtraCreateParameter = List;
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = FltCreateFileEx2(Filter, Objects->Instance, &Handle, &File, FILE_GENERIC_WRITE, &Attributes, &Iosb, NULL,
                              0, 0, FILE_OPEN_IF, 0, NULL, 0, 0, &Context);
    DbgPrint("twofold upper %08x acknowledged %d\n", Status, FltIsEcpAcknowledged(Filter, Parameter));
    if (NT_SUCCESS(Status)) {
        ObDereferenceObject(File);
        FltClose(Handle);
    }
    FltFreeExtraCreateParameterList(Filter, List);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Completion)
{
    PECP_LIST List = NULL;
    PULONG Parameter = NULL;
    ULONG Size = 0;

    UNREFERENCED_PARAMETER(Completion);
    FltGetEcpListFromCallbackData(Filter, Data, &List);
    if (Objects->Instance == Upper && List == NULL &&
        Objects->FileObject->FileName.Length == sizeof(L"\\first.bin") - 2) {
        OpenWithParameter(Objects);
    } else if (Objects->Instance != Upper && List != NULL) {
        NTSTATUS Status = FltFindExtraCreateParameter(Filter, List, &Kind, (PVOID *)&Parameter, &Size);

        DbgPrint("twofold lower %wZ %08x %u of %u\n", &Objects->FileObject->FileName, Status,
                 Parameter != NULL ? *Parameter : 0, Size);
        if (NT_SUCCESS(Status)) {
            FltAcknowledgeEcp(Filter, Parameter);
        }
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
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
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreCreate, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload, Setup};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
