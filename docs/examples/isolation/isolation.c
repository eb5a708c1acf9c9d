/*
 * isolation.c: what the filter registers for, and its end, which is not before that of its files: their file objects are
 * nobody else's. (Who sells one leaves the unload routine away.)
 */

#include "isolation.h"

PFLT_FILTER IsoFilter;

static NTSTATUS FLTAPI
QueryTeardown(PCFLT_RELATED_OBJECTS o, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    return IsoHasHandles(o->Instance) ? STATUS_FLT_DO_NOT_DETACH : STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    if (!FlagOn(Flags, FLTFL_FILTER_UNLOAD_MANDATORY) && IsoHasHandles(NULL)) {
        return STATUS_FLT_DO_NOT_DETACH;
    }
    IsoWaitForFiles();
    FltUnregisterFilter(IsoFilter);
    IsoUninitialize();
    return STATUS_SUCCESS;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = IsoPreCreate},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = IsoPreCleanup},
    {.MajorFunction = IRP_MJ_CLOSE, .PreOperation = IsoPreClose},
    {.MajorFunction = IRP_MJ_READ, .PreOperation = IsoPreRead},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = IsoPreWrite},
    {.MajorFunction = IRP_MJ_FLUSH_BUFFERS, .PreOperation = IsoPreFlush},
    {.MajorFunction = IRP_MJ_SET_INFORMATION, .PreOperation = IsoPreSetInformation},
    {.MajorFunction = IRP_MJ_LOCK_CONTROL, .PreOperation = IsoPreLock},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_MOD_WRITE, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_RELEASE_FOR_MOD_WRITE, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_CC_FLUSH, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_RELEASE_FOR_CC_FLUSH, .PreOperation = IsoPreSection},
    {.MajorFunction = IRP_MJ_QUERY_INFORMATION,
     .PreOperation = IsoPreQueryInformation,
     .PostOperation = IsoPostQueryInformation},
    {.MajorFunction = IRP_MJ_QUERY_EA, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_SET_EA, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_QUERY_SECURITY, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_SET_SECURITY, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_QUERY_VOLUME_INFORMATION, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_SET_VOLUME_INFORMATION, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_DEVICE_CONTROL, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_DIRECTORY_CONTROL, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_QUERY_QUOTA, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_SET_QUOTA, .PreOperation = IsoPreOther},
    {.MajorFunction = IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE, .PreOperation = IsoPreOther},
    {IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceQueryTeardownCallback = QueryTeardown,
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Path);
    IsoInitialize();
    status = FltRegisterFilter(Driver, &Registration, &IsoFilter);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(IsoFilter);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(IsoFilter);
        }
    }
    if (!NT_SUCCESS(status)) {
        IsoUninitialize();
    }
    return status;
}
