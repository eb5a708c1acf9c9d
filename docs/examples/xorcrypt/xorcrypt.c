/*++

Module Name:

    xorcrypt.c

Abstract:

    Files are plain for whoever opens them and scrambled on the disk: what is read and written without the cache is
    done in a buffer of our own. There is no header, and no key to speak of.

Environment:

    Kernel mode

--*/

#include "xorcrypt.h"

//  What lies there is not scrambled, so that no program of it would start.
static const UNICODE_STRING SystemVolume = RTL_CONSTANT_STRING(L"C:");

PFLT_FILTER gFilterHandle;
NPAGED_LOOKASIDE_LIST Pre2PostContextList;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(PAGE, XcInstanceSetup)
#pragma alloc_text(PAGE, XcCleanupVolumeContext)
#pragma alloc_text(PAGE, XcInstanceQueryTeardown)
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, XcFilterUnload)
#endif

CONST FLT_OPERATION_REGISTRATION Callbacks[] = {{IRP_MJ_READ, 0, XcPreReadBuffers, XcPostReadBuffers},

                                                {IRP_MJ_WRITE, 0, XcPreWriteBuffers, XcPostWriteBuffers},

                                                {IRP_MJ_OPERATION_END}};

CONST FLT_CONTEXT_REGISTRATION ContextNotifications[] = {
    {FLT_VOLUME_CONTEXT, 0, XcCleanupVolumeContext, sizeof(VOLUME_CONTEXT), CONTEXT_TAG},

    {FLT_CONTEXT_END}};

CONST FLT_REGISTRATION FilterRegistration = {
    sizeof(FLT_REGISTRATION), //  Size
    FLT_REGISTRATION_VERSION, //  Version
    0,                        //  Flags

    ContextNotifications, //  Context
    Callbacks,            //  Operation callbacks

    XcFilterUnload, //  MiniFilterUnload

    XcInstanceSetup,         //  InstanceSetup
    XcInstanceQueryTeardown, //  InstanceQueryTeardown
    NULL,                    //  InstanceTeardownStart
    NULL,                    //  InstanceTeardownComplete

    NULL, //  GenerateFileName
    NULL, //  GenerateDestinationFileName
    NULL  //  NormalizeNameComponent
};

NTSTATUS
XcInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                _In_ DEVICE_TYPE VolumeDeviceType, _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType)
/*++

Routine Description:

    Keeps what the transfers need to know of the volume in a volume context; leaves the system's own volume alone.

--*/
{
    PDEVICE_OBJECT devObj = NULL;
    PVOLUME_CONTEXT ctx = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG retLen;
    UCHAR volPropBuffer[sizeof(FLT_VOLUME_PROPERTIES) + 512];
    PFLT_VOLUME_PROPERTIES volProp = (PFLT_VOLUME_PROPERTIES)volPropBuffer;

    PAGED_CODE();

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(VolumeDeviceType);
    UNREFERENCED_PARAMETER(VolumeFilesystemType);

    try {
        status = FltAllocateContext(FltObjects->Filter, FLT_VOLUME_CONTEXT, sizeof(VOLUME_CONTEXT), NonPagedPool, &ctx);
        if (!NT_SUCCESS(status)) {
            leave;
        }

        status = FltGetVolumeProperties(FltObjects->Volume, volProp, sizeof(volPropBuffer), &retLen);
        if (!NT_SUCCESS(status)) {
            leave;
        }

        FLT_ASSERT((volProp->SectorSize == 0) || (volProp->SectorSize >= MIN_SECTOR_SIZE));

        ctx->SectorSize = max(volProp->SectorSize, MIN_SECTOR_SIZE);
        RtlInitEmptyUnicodeString(&ctx->Name, NULL, 0);

        status = FltGetDiskDeviceObject(FltObjects->Volume, &devObj);
        if (NT_SUCCESS(status)) {
            status = IoVolumeDeviceToDosName(devObj, &ctx->Name);
        }

        if (!NT_SUCCESS(status)) {
            ctx->Name.Length = 0;
        } else if (RtlEqualUnicodeString(&ctx->Name, &SystemVolume, TRUE)) {
            status = STATUS_FLT_DO_NOT_ATTACH;
            leave;
        }

        status = FltSetVolumeContext(FltObjects->Volume, FLT_SET_CONTEXT_KEEP_IF_EXISTS, ctx, NULL);
        if (status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
            status = STATUS_SUCCESS;
        }
    } finally {
        if (ctx) {
            FltReleaseContext(ctx);
        }

        if (devObj) {
            ObDereferenceObject(devObj);
        }
    }

    return status;
}

VOID
XcCleanupVolumeContext(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType)
{
    PVOLUME_CONTEXT ctx = Context;

    PAGED_CODE();

    UNREFERENCED_PARAMETER(ContextType);

    FLT_ASSERT(ContextType == FLT_VOLUME_CONTEXT);
    if (ctx->Name.Buffer != NULL) {
        ExFreePool(ctx->Name.Buffer);
        ctx->Name.Buffer = NULL;
    }
}

NTSTATUS
XcInstanceQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    PAGED_CODE();

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);

    ExInitializeDriverRuntime(DrvRtPoolNxOptIn);

    ExInitializeNPagedLookasideList(&Pre2PostContextList, NULL, NULL, POOL_NX_ALLOCATION, sizeof(PRE_2_POST_CONTEXT),
                                    PRE_2_POST_TAG, 0);

    status = FltRegisterFilter(DriverObject, &FilterRegistration, &gFilterHandle);
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(gFilterHandle);
        if (!NT_SUCCESS(status)) {
            FltUnregisterFilter(gFilterHandle);
        }
    }

    if (!NT_SUCCESS(status)) {
        ExDeleteNPagedLookasideList(&Pre2PostContextList);
    }

    return status;
}

NTSTATUS
XcFilterUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    PAGED_CODE();

    UNREFERENCED_PARAMETER(Flags);

    FltUnregisterFilter(gFilterHandle);

    ExDeleteNPagedLookasideList(&Pre2PostContextList);
    return STATUS_SUCCESS;
}
