/*
 * watcher.c: prints what the filter manager tells it of volumes: mounts, dismounts, its instances and their contexts.
 *
 * One line an event: "watcher <what> <numbers>".
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static PFLT_VOLUME Kept; /* the volume that was mounted first, with a reference */

#define TELL(...) DbgPrint("watcher " __VA_ARGS__)

static VOID FLTAPI
ContextGone(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE Type)
{
    UNREFERENCED_PARAMETER(Context);
    TELL("context-gone %u\n", Type);
}

static const FLT_CONTEXT_REGISTRATION Contexts[] = {{FLT_VOLUME_CONTEXT, 0, ContextGone, 16, 'hctW'},
                                                    {FLT_INSTANCE_CONTEXT, 0, ContextGone, 16, 'hctW'},
                                                    {FLT_STREAMHANDLE_CONTEXT, 0, ContextGone, 16, 'hctW'},
                                                    {FLT_CONTEXT_END}};

static void
SetContexts(PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_CONTEXT Context;

    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_VOLUME_CONTEXT, 16, NonPagedPoolNx, &Context))) {
        FltSetVolumeContext(Objects->Volume, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
        FltReleaseContext(Context);
    }
    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_INSTANCE_CONTEXT, 16, PagedPool, &Context))) {
        FltSetInstanceContext(Objects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
        FltReleaseContext(Context);
    }
}

static NTSTATUS FLTAPI
Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Device, FLT_FILESYSTEM_TYPE System)
{
    static const UNICODE_STRING Refused = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume99");
    WCHAR Text[64];
    UNICODE_STRING Name;

    RtlInitEmptyUnicodeString(&Name, Text, sizeof(Text));
    if (!NT_SUCCESS(FltGetVolumeName(Objects->Volume, &Name, NULL)) || RtlEqualUnicodeString(&Name, &Refused, TRUE)) {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    TELL("setup %x %x %u %wZ\n", Flags, Device, System, &Name);
    SetContexts(Objects);
    if (Kept == NULL && NT_SUCCESS(FltObjectReference(Objects->Volume))) {
        Kept = Objects->Volume;
    }
    return STATUS_SUCCESS;
}

static VOID FLTAPI
TeardownStart(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PFLT_INSTANCE Again = NULL;

    TELL("teardown-start %x\n", Reason);
    if (Objects->Volume == Kept && Reason == FLTFL_INSTANCE_TEARDOWN_VOLUME_DISMOUNT) {
        TELL("reference %08x\n", FltObjectReference(Kept));
        TELL("attach %08x\n", FltAttachVolume(Filter, Kept, NULL, &Again));
    }
}

static VOID FLTAPI
TeardownComplete(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(Objects);
    TELL("teardown-complete %x\n", Reason);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreVolume(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    TELL("%s %u %u %u\n", Data->Iopb->MajorFunction == IRP_MJ_VOLUME_MOUNT ? "mount" : "dismount",
         FLT_IS_FASTIO_OPERATION(Data) ? 1 : 0, Objects->FileObject != NULL,
         Data->Iopb->MajorFunction == IRP_MJ_VOLUME_MOUNT ? Data->Iopb->Parameters.MountVolume.DeviceType : 0);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreControl(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    TELL("%s %x\n", Data->Iopb->MajorFunction == IRP_MJ_PNP ? "pnp" : "control", Data->Iopb->MinorFunction);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreEnd(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Context);
    TELL("%s %wZ\n", Data->Iopb->MajorFunction == IRP_MJ_CLEANUP ? "cleanup" : "close", &Objects->FileObject->FileName);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID Slot, FLT_POST_OPERATION_FLAGS Flags)
{
    PFLT_CONTEXT Context;

    UNREFERENCED_PARAMETER(Slot);
    if (!NT_SUCCESS(Data->IoStatus.Status) || FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    TELL("create %wZ\n", &Objects->FileObject->FileName);
    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAMHANDLE_CONTEXT, 16, PagedPool, &Context))) {
        FltSetStreamHandleContext(Objects->Instance, Objects->FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context,
                                  NULL);
        FltReleaseContext(Context);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    if (Kept != NULL) {
        FltObjectDereference(Kept);
    }
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, NULL, PostCreate},
                                                            {IRP_MJ_CLEANUP, 0, PreEnd, NULL},
                                                            {IRP_MJ_CLOSE, 0, PreEnd, NULL},
                                                            {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreControl, NULL},
                                                            {IRP_MJ_PNP, 0, PreControl, NULL},
                                                            {IRP_MJ_VOLUME_MOUNT, 0, PreVolume, NULL},
                                                            {IRP_MJ_VOLUME_DISMOUNT, 0, PreVolume, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, Contexts, Operations, Unload, Setup, NULL, TeardownStart,
        TeardownComplete};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
