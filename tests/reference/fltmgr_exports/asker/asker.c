/*
 * asker.c: calls exports of the filter manager in the post-create of ask.bin and prints what they answer.
 *
 * One line a call: "<name> <status> <value>"; the test has what each must be.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;

/* {0BADF00D-...}: an extra create parameter of our own. */
static const GUID OurEcp = {0x0BADF00D, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}};

/* The call comes first: the value is looked at when it has returned. */
#define TELL(Name, Call, Value)                                                                                        \
    do {                                                                                                               \
        ULONG Answer = (ULONG)(Call);                                                                                  \
                                                                                                                       \
        DbgPrint("asker " Name " %08x %I64u\n", Answer, (ULONG64)(Value));                                             \
    } while (0)

static void
AskAboutObjects(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_FILTER Filters[8];
    PFLT_INSTANCE Instances[8], Instance = NULL;
    PFLT_VOLUME Volumes[8], Volume = NULL;
    PDEVICE_OBJECT Device;
    UCHAR Buffer[512];
    ULONG Count = 0, Index, Size = 0;
    NTSTATUS Status;

    Status = FltEnumerateFilters(Filters, 8, &Count);
    TELL("FltEnumerateFilters", Status, Count);
    for (Index = 0; NT_SUCCESS(Status) && Index < Count; Index++) {
        FltObjectDereference(Filters[Index]);
    }
    TELL("FltEnumerateFilters-small", FltEnumerateFilters(NULL, 0, &Count), Count);
    Status = FltEnumerateInstances(Objects->Volume, Objects->Filter, Instances, 8, &Count);
    TELL("FltEnumerateInstances", Status, Count == 1 && Instances[0] == Objects->Instance);
    for (Index = 0; NT_SUCCESS(Status) && Index < Count; Index++) {
        FltObjectDereference(Instances[Index]);
    }
    Status = FltEnumerateVolumes(Filter, Volumes, 8, &Count);
    TELL("FltEnumerateVolumes", Status, Count);
    for (Index = 0; NT_SUCCESS(Status) && Index < Count; Index++) {
        FltObjectDereference(Volumes[Index]);
    }
    Status = FltGetTopInstance(Objects->Volume, &Instance);
    TELL("FltGetTopInstance", Status, Instance == Objects->Instance);
    FltObjectDereference(Instance);
    Status = FltGetBottomInstance(Objects->Volume, &Instance);
    TELL("FltGetBottomInstance", Status, Instance == Objects->Instance);
    FltObjectDereference(Instance);
    Status = FltGetVolumeInstanceFromName(Filter, Objects->Volume, NULL, &Instance);
    TELL("FltGetVolumeInstanceFromName", Status, Instance == Objects->Instance);
    FltObjectDereference(Instance);
    if (NT_SUCCESS(FltGetDeviceObject(Objects->Volume, &Device))) {
        TELL("FltIsFltMgrVolumeDeviceObject", 0, FltIsFltMgrVolumeDeviceObject(Device));
        Status = FltGetVolumeFromDeviceObject(Filter, Device, &Volume);
        TELL("FltGetVolumeFromDeviceObject", Status, Volume == Objects->Volume);
        if (NT_SUCCESS(Status)) {
            FltObjectDereference(Volume);
        }
        ObDereferenceObject(Device);
    }
    Status = FltGetFilterInformation(Filter, FilterFullInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltGetFilterInformation", Status, ((PFILTER_FULL_INFORMATION)Buffer)->NumberOfInstances);
    Status = FltGetInstanceInformation(Objects->Instance, InstanceFullInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltGetInstanceInformation", Status, ((PINSTANCE_FULL_INFORMATION)Buffer)->FilterNameLength);
    TELL("FltGetInstanceInformation-small",
         FltGetInstanceInformation(Objects->Instance, InstanceFullInformation, Buffer, 4, &Size), 0);
    Status = FltEnumerateFilterInformation(99, FilterFullInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltEnumerateFilterInformation", Status, 0);
    Status =
        FltEnumerateInstanceInformationByFilter(Filter, 0, InstanceBasicInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltEnumerateInstanceInformationByFilter", Status, Size != 0);
    Status = FltEnumerateInstanceInformationByVolume(Objects->Volume, 0, InstanceBasicInformation, Buffer,
                                                     sizeof(Buffer), &Size);
    TELL("FltEnumerateInstanceInformationByVolume", Status, Size != 0);
    Status = FltGetVolumeInformation(Objects->Volume, FilterVolumeBasicInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltGetVolumeInformation", Status, Size != 0);
    Status = FltEnumerateVolumeInformation(Filter, 0, FilterVolumeStandardInformation, Buffer, sizeof(Buffer), &Size);
    TELL("FltEnumerateVolumeInformation", Status, Size != 0);
}

static void
AskAboutFile(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\dir\\name.ext:stream"), Extension, Stream, Final;
    FLT_NAME_CONTROL Control;
    GUID Activity = OurEcp;
    BOOLEAN Directory = TRUE;
    ULONG Session = 9, Needed = 0;
    UCHAR Buffer[64];
    NTSTATUS Status;

    Status = FltIsDirectory(Objects->FileObject, Objects->Instance, &Directory);
    TELL("FltIsDirectory", Status, Directory);
    Status = FltGetRequestorSessionId(Data, &Session);
    TELL("FltGetRequestorSessionId", Status, Session);
    TELL("FltIs32bitProcess", 0, FltIs32bitProcess(Data));
    TELL("FltGetIoPriorityHint", 0, FltGetIoPriorityHint(Data));
    TELL("FltSetIoPriorityHintIntoCallbackData", FltSetIoPriorityHintIntoCallbackData(Data, IoPriorityLow),
         FltGetIoPriorityHint(Data));
    TELL("FltGetActivityIdCallbackData", FltGetActivityIdCallbackData(Data, &Activity), 0);
    TELL("FltSetActivityIdCallbackData", FltSetActivityIdCallbackData(Data, &Activity),
         NT_SUCCESS(FltGetActivityIdCallbackData(Data, &Activity)));
    Status = FltParseFileName(&Name, &Extension, &Stream, &Final);
    TELL("FltParseFileName", Status, Extension.Length * 10000 + Stream.Length * 100 + Final.Length);
    RtlInitEmptyUnicodeString(&Control.Name, NULL, 0);
    TELL("FltCheckAndGrowNameControl", FltCheckAndGrowNameControl(&Control, 64), Control.Name.MaximumLength);
    TELL("FltPurgeFileNameInformationCache", FltPurgeFileNameInformationCache(Objects->Instance, NULL), 0);
    Status =
        FltQuerySecurityObject(Objects->Instance, Objects->FileObject, OWNER_SECURITY_INFORMATION, Buffer, 4, &Needed);
    TELL("FltQuerySecurityObject", Status, Needed > 4);
    Status = FltQueryEaFile(Objects->Instance, Objects->FileObject, Buffer, sizeof(Buffer), FALSE, NULL, 0, NULL, TRUE,
                            &Needed);
    TELL("FltQueryEaFile", Status, 0);
    TELL("FltFlushBuffers2", FltFlushBuffers2(Objects->Instance, Objects->FileObject, 0, Data), 0);
    TELL("FltEnlistInTransaction", FltEnlistInTransaction(Objects->Instance, NULL, NULL, 0), 0);
}

static void
AskByCallbackData(PCFLT_RELATED_OBJECTS Objects)
{
    FILE_STANDARD_INFORMATION Standard;
    PFLT_CALLBACK_DATA Own;
    NTSTATUS Status;

    Status = FltAllocateCallbackData(Objects->Instance, Objects->FileObject, &Own);
    TELL("FltAllocateCallbackData", Status, FLT_IS_IRP_OPERATION(Own));
    if (!NT_SUCCESS(Status)) {
        return;
    }
    Own->Iopb->MajorFunction = IRP_MJ_QUERY_INFORMATION;
    Own->Iopb->Parameters.QueryFileInformation.FileInformationClass = FileStandardInformation;
    Own->Iopb->Parameters.QueryFileInformation.Length = sizeof(Standard);
    Own->Iopb->Parameters.QueryFileInformation.InfoBuffer = &Standard;
    FltPerformSynchronousIo(Own);
    TELL("FltPerformSynchronousIo", Own->IoStatus.Status, Standard.EndOfFile.QuadPart);
    FltReuseCallbackData(Own);
    TELL("FltReuseCallbackData", 0, Own->Iopb->MajorFunction);
    FltFreeCallbackData(Own);
}

static VOID FLTAPI
EcpGone(PVOID Context, LPCGUID Kind)
{
    TELL("EcpGone", 0, *(PULONG)Context * 10 + (Kind->Data1 == OurEcp.Data1));
}

static void
AskAboutEcps(void)
{
    PECP_LIST List;
    PVOID Context, Found = NULL;
    ULONG Size = 0;
    NTSTATUS Status;

    Status = FltAllocateExtraCreateParameterList(Filter, 0, &List);
    TELL("FltAllocateExtraCreateParameterList", Status, 0);
    Status = FltAllocateExtraCreateParameter(Filter, &OurEcp, 16, 0, EcpGone, 'pceL', &Context);
    TELL("FltAllocateExtraCreateParameter", Status, *(PULONG)Context);
    *(PULONG)Context = 7;
    TELL("FltFindExtraCreateParameter-none", FltFindExtraCreateParameter(Filter, List, &OurEcp, &Found, &Size), 0);
    TELL("FltInsertExtraCreateParameter", FltInsertExtraCreateParameter(Filter, List, Context), 0);
    Status = FltFindExtraCreateParameter(Filter, List, &OurEcp, &Found, &Size);
    TELL("FltFindExtraCreateParameter", Status, Found == Context && Size == 16);
    Status = FltGetNextExtraCreateParameter(Filter, List, NULL, NULL, &Found, &Size);
    TELL("FltGetNextExtraCreateParameter", Status, Found == Context);
    FltAcknowledgeEcp(Filter, Context);
    TELL("FltIsEcpAcknowledged", 0, FltIsEcpAcknowledged(Filter, Context));
    FltPrepareToReuseEcp(Filter, Context);
    TELL("FltPrepareToReuseEcp", 0, FltIsEcpAcknowledged(Filter, Context));
    TELL("FltIsEcpFromUserMode", 0, FltIsEcpFromUserMode(Filter, Context));
    FltFreeExtraCreateParameterList(Filter, List);
}

static BOOLEAN
IsOurs(PCFLT_RELATED_OBJECTS Objects)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\ask.bin");

    return RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE);
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Context, FLT_POST_OPERATION_FLAGS Flags)
{
    PECP_LIST List = (PECP_LIST)1;

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Flags);
    if (NT_SUCCESS(Data->IoStatus.Status) && IsOurs(Objects)) {
        TELL("FltGetEcpListFromCallbackData", FltGetEcpListFromCallbackData(Filter, Data, &List), List != NULL);
        AskAboutObjects(Objects);
        AskAboutFile(Data, Objects);
        AskByCallbackData(Objects);
        AskAboutEcps();
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
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
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
