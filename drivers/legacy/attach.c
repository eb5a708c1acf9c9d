/*
 * attach.c: attaching to file systems as they register, and to their volumes as they are mounted.
 *
 * Only volumes whose DOS name is V: are attached to: the system's own volumes are none of our business.
 */

#include "legacy.h"

static const UNICODE_STRING DataVolume = RTL_CONSTANT_STRING(L"V:");

static BOOLEAN
IsOurs(PDEVICE_OBJECT Device)
{
    return Device->DriverObject == LegacyDriver;
}

static BOOLEAN
IsAttached(PDEVICE_OBJECT Device)
{
    PDEVICE_OBJECT At = IoGetAttachedDeviceReference(Device);
    BOOLEAN Found = FALSE;

    while (At != NULL) {
        PDEVICE_OBJECT Lower = IoGetLowerDeviceObject(At);

        Found = Found || IsOurs(At);
        ObDereferenceObject(At);
        At = Lower;
    }
    return Found;
}

/* Attach a new device of ours above whatever is attached to Target already. */
static NTSTATUS
Attach(PDEVICE_OBJECT Target, PDEVICE_OBJECT Disk)
{
    PLEGACY_EXTENSION Extension;
    PDEVICE_OBJECT Device;
    NTSTATUS Status;

    Status = IoCreateDevice(LegacyDriver, sizeof(LEGACY_EXTENSION), NULL, Target->DeviceType, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Extension = Device->DeviceExtension;
    Extension->Disk = Disk;
    Device->Flags |= Target->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO);
    Status = IoAttachDeviceToDeviceStackSafe(Device, Target, &Extension->Below);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Device);
        return Status;
    }
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static BOOLEAN
IsDataVolume(PDEVICE_OBJECT Disk)
{
    UNICODE_STRING Name;
    BOOLEAN Same;

    if (!NT_SUCCESS(IoVolumeDeviceToDosName(Disk, &Name))) {
        return FALSE;
    }
    Same = RtlEqualUnicodeString(&Name, &DataVolume, TRUE);
    ExFreePool(Name.Buffer);
    return Same;
}

static NTSTATUS
AttachToVolume(PDEVICE_OBJECT Volume, PDEVICE_OBJECT Disk)
{
    if (!IsDataVolume(Disk) || IsAttached(Volume)) {
        return STATUS_SUCCESS;
    }
    return Attach(Volume, Disk);
}

/* The volumes that a file system has mounted before we came. */
static void
AttachToMountedVolumes(PDEVICE_OBJECT FileSystem)
{
    PDEVICE_OBJECT *Devices;
    ULONG Count, Room, At;

    if (IoEnumerateDeviceObjectList(FileSystem->DriverObject, NULL, 0, &Count) != STATUS_BUFFER_TOO_SMALL) {
        return;
    }
    Room = Count + 8; /* more may be made meanwhile */
    Devices = ExAllocatePoolWithTag(NonPagedPoolNx, Room * sizeof(PDEVICE_OBJECT), LEGACY_TAG);
    if (Devices == NULL) {
        return;
    }
    if (!NT_SUCCESS(
            IoEnumerateDeviceObjectList(FileSystem->DriverObject, Devices, Room * sizeof(PDEVICE_OBJECT), &Count))) {
        ExFreePoolWithTag(Devices, LEGACY_TAG);
        return;
    }
    for (At = 0; At < Count; At++) {
        PDEVICE_OBJECT Disk;

        /* Only volume devices have a storage device. */
        if (Devices[At]->DeviceType == FileSystem->DeviceType &&
            NT_SUCCESS(IoGetDiskDeviceObject(Devices[At], &Disk))) {
            AttachToVolume(Devices[At], Disk);
            ObDereferenceObject(Disk);
        }
        ObDereferenceObject(Devices[At]);
    }
    ExFreePoolWithTag(Devices, LEGACY_TAG);
}

/* A file system has registered (or is there already), or goes: DeviceObject is its control device. */
void NTAPI
LegacyFileSystemChanged(PDEVICE_OBJECT DeviceObject, BOOLEAN FsActive)
{
    if (!FsActive || DeviceObject->DeviceType != FILE_DEVICE_DISK_FILE_SYSTEM || IsAttached(DeviceObject)) {
        return;
    }
    if (NT_SUCCESS(Attach(DeviceObject, NULL))) {
        AttachToMountedVolumes(DeviceObject);
    }
}

static NTSTATUS NTAPI
MountCompleted(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* A control device of ours sees a volume being mounted: the new volume's device is known when that has succeeded. */
NTSTATUS NTAPI
LegacyFileSystemControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);
    PDEVICE_OBJECT Disk;
    KEVENT Done;
    NTSTATUS Status;
    PVPB Vpb;

    if (Location->MinorFunction != IRP_MN_MOUNT_VOLUME) {
        return LegacyEnds(Irp) ? LegacyComplete(Irp, STATUS_ACCESS_DENIED) : LegacyPassDown(Device, Irp);
    }
    Disk = Location->Parameters.MountVolume.Vpb->RealDevice; /* the VPB itself may be another one afterwards */
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, MountCompleted, &Done, TRUE, TRUE, TRUE);
    Status = IoCallDriver(LegacyBelow(Device), Irp);
    if (Status == STATUS_PENDING) {
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    }
    Status = Irp->IoStatus.Status;
    Vpb = Disk->Vpb;
    if (NT_SUCCESS(Status) && Vpb != NULL && Vpb->DeviceObject != NULL) {
        AttachToVolume(Vpb->DeviceObject, Disk);
    }
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

void
LegacyDetachAll(void)
{
    PDEVICE_OBJECT Device;

    while ((Device = LegacyDriver->DeviceObject) != NULL) {
        PDEVICE_OBJECT Below = LegacyBelow(Device);

        if (Below != NULL) {
            IoDetachDevice(Below);
        }
        IoDeleteDevice(Device);
    }
}
