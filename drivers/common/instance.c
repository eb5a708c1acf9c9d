/*
 * instance.c: attaching and detaching.
 *
 * What a driver keeps per instance is found by PFLT_INSTANCE in a small table rather than in an instance context: a
 * postoperation callback at DISPATCH_LEVEL must not fetch contexts.
 */

#include "common.h"

static KSPIN_LOCK InstancesLock;
static LAB_INSTANCE Instances[LAB_MAXIMUM_INSTANCES];

VOID
LabInitializeInstances(VOID)
{
    KeInitializeSpinLock(&InstancesLock);
}

/* NULL: not found, or for NULL: the table is full. The lock is held. */
static PLAB_INSTANCE
Lookup(PFLT_INSTANCE Instance)
{
    ULONG Index;

    for (Index = 0; Index < LAB_MAXIMUM_INSTANCES; Index++) {
        if (Instances[Index].Instance == Instance) {
            return &Instances[Index];
        }
    }
    return NULL;
}

PLAB_INSTANCE
LabFindInstance(PFLT_INSTANCE Instance)
{
    PLAB_INSTANCE Found;
    KIRQL Irql;

    KeAcquireSpinLock(&InstancesLock, &Irql);
    Found = Lookup(Instance);
    KeReleaseSpinLock(&InstancesLock, Irql);
    return Found;
}

PLAB_INSTANCE
LabInstanceAt(ULONG Index)
{
    return Instances[Index].Instance != NULL ? &Instances[Index] : NULL;
}

BOOLEAN
LabIsTearingDown(PFLT_INSTANCE Instance)
{
    PLAB_INSTANCE Found = LabFindInstance(Instance);

    return Found == NULL || Found->TearingDown;
}

ULONG
LabCountInstances(VOID)
{
    ULONG Index, Count = 0;

    for (Index = 0; Index < LAB_MAXIMUM_INSTANCES; Index++) {
        Count += Instances[Index].Instance != NULL;
    }
    return Count;
}

static NTSTATUS
AddInstance(PFLT_INSTANCE Instance, PLAB_INSTANCE *Added)
{
    PLAB_INSTANCE Free;
    KIRQL Irql;

    KeAcquireSpinLock(&InstancesLock, &Irql);
    Free = Lookup(NULL);
    if (Free != NULL) {
        RtlZeroMemory(Free, sizeof(*Free));
        Free->Instance = Instance;
    }
    KeReleaseSpinLock(&InstancesLock, Irql);
    *Added = Free;
    return Free != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static VOID
RemoveInstance(PFLT_INSTANCE Instance)
{
    PLAB_INSTANCE Found;
    KIRQL Irql;

    KeAcquireSpinLock(&InstancesLock, &Irql);
    Found = Lookup(Instance);
    if (Found != NULL) {
        Found->Instance = NULL;
    }
    KeReleaseSpinLock(&InstancesLock, Irql);
}

/* The system lives on C:. A volume without a drive letter is not it. */
static BOOLEAN
IsSystemVolume(PFLT_VOLUME Volume)
{
    PDEVICE_OBJECT Device;
    UNICODE_STRING DosName;
    BOOLEAN System = FALSE;

    if (!NT_SUCCESS(FltGetDiskDeviceObject(Volume, &Device))) {
        return FALSE;
    }
    if (NT_SUCCESS(IoVolumeDeviceToDosName(Device, &DosName))) {
        System = DosName.Length >= 2 * sizeof(WCHAR) && (DosName.Buffer[0] | 0x20) == L'c' && DosName.Buffer[1] == L':';
        ExFreePool(DosName.Buffer);
    }
    ObDereferenceObject(Device);
    return System;
}

/* Never by itself, and never to the system volume: a driver that pends would take Windows down with it. */
NTSTATUS FLTAPI
LabInstanceSetup(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE VolumeDeviceType,
                 FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    PLAB_INSTANCE Instance;
    NTSTATUS Status = STATUS_FLT_DO_NOT_ATTACH;

    UNREFERENCED_PARAMETER(VolumeDeviceType);
    UNREFERENCED_PARAMETER(VolumeFilesystemType);
    if (FlagOn(Flags, FLTFL_INSTANCE_SETUP_MANUAL_ATTACHMENT) && !IsSystemVolume(FltObjects->Volume)) {
        Status = AddInstance(FltObjects->Instance, &Instance);
        if (NT_SUCCESS(Status) && FltLabDriver.InstanceSetup != NULL) {
            Status = FltLabDriver.InstanceSetup(Instance);
            if (!NT_SUCCESS(Status)) {
                RemoveInstance(FltObjects->Instance);
            }
        }
    }
    LabRecordLifecycle(FLTLAB_PHASE_INSTANCE_SETUP, FltObjects->Instance, Status, Flags);
    return Status;
}

NTSTATUS FLTAPI
LabInstanceQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    NTSTATUS Status =
        FlagOn(LabConfiguration.Options, LAB_OPTION_REFUSE_QUERY_TEARDOWN) ? STATUS_FLT_DO_NOT_DETACH : STATUS_SUCCESS;

    LabRecordLifecycle(FLTLAB_PHASE_QUERY_TEARDOWN, FltObjects->Instance, Status, Flags);
    return Status;
}

/* From here on everything pended or held is let go, and nothing new is pended (TEAR-03). */
VOID FLTAPI
LabInstanceTeardownStart(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PLAB_INSTANCE Instance = LabFindInstance(FltObjects->Instance);

    LabRecordLifecycle(FLTLAB_PHASE_TEARDOWN_START, FltObjects->Instance, STATUS_SUCCESS, Reason);
    if (Instance == NULL) {
        return;
    }
    Instance->TearingDown = TRUE;
    if (FltLabDriver.InstanceTeardownStart != NULL) {
        FltLabDriver.InstanceTeardownStart(Instance);
    }
    LabRelease(0, FltObjects->Instance);
}

VOID FLTAPI
LabInstanceTeardownComplete(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PLAB_INSTANCE Instance = LabFindInstance(FltObjects->Instance);

    if (Instance != NULL && FltLabDriver.InstanceTeardownComplete != NULL) {
        FltLabDriver.InstanceTeardownComplete(Instance);
    }
    RemoveInstance(FltObjects->Instance);
    LabRecordLifecycle(FLTLAB_PHASE_TEARDOWN_COMPLETE, FltObjects->Instance, STATUS_SUCCESS, Reason);
}
