/*
 * mount.c: recognising a disk, and the volume that is made of it.
 */

#include "labfs.h"

/* Read or write whole sectors and wait for them. Called at PASSIVE_LEVEL. */
NTSTATUS
LabFsSectors(PDEVICE_OBJECT Disk, ULONG Major, ULONG Sector, PVOID Buffer, ULONG Length)
{
    LARGE_INTEGER Offset;
    IO_STATUS_BLOCK IoStatus;
    KEVENT Done;
    NTSTATUS Status;
    PIRP Irp;

    Offset.QuadPart = (LONGLONG)Sector * SECTOR;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    Irp = IoBuildSynchronousFsdRequest(Major, Disk, Buffer, Length, &Offset, &Done, &IoStatus);
    if (Irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = IoCallDriver(Disk, Irp);
    if (Status == STATUS_PENDING) {
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
        Status = IoStatus.Status;
    }
    return Status;
}

NTSTATUS
LabFsWriteTable(VCB *Vcb)
{
    return LabFsSectors(Vcb->Disk, IRP_MJ_WRITE, TABLE_SECTOR, Vcb->Table, TABLE_SIZE);
}

static NTSTATUS
ReadVolume(VCB *Vcb)
{
    PVOID Sector = ExAllocatePoolWithTag(NonPagedPoolNx, SECTOR, LABFS_TAG);
    NTSTATUS Status;

    if (Sector == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = LabFsSectors(Vcb->Disk, IRP_MJ_READ, 0, Sector, SECTOR);
    if (NT_SUCCESS(Status)) {
        RtlCopyMemory(&Vcb->Superblock, Sector, sizeof(Vcb->Superblock));
        if (Vcb->Superblock.Magic != LABFS_MAGIC) {
            Status = STATUS_UNRECOGNIZED_VOLUME;
        }
    }
    ExFreePoolWithTag(Sector, LABFS_TAG);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Vcb->Table = ExAllocatePoolWithTag(NonPagedPoolNx, TABLE_SIZE, LABFS_TAG);
    if (Vcb->Table == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = LabFsSectors(Vcb->Disk, IRP_MJ_READ, TABLE_SECTOR, Vcb->Table, TABLE_SIZE);
    if (!NT_SUCCESS(Status)) {
        ExFreePoolWithTag(Vcb->Table, LABFS_TAG);
    }
    return Status;
}

static NTSTATUS
Mount(PDEVICE_OBJECT ControlDevice, PIO_STACK_LOCATION Location)
{
    PDEVICE_OBJECT Disk = Location->Parameters.MountVolume.DeviceObject, Device;
    PVPB Vpb = Location->Parameters.MountVolume.Vpb;
    NTSTATUS Status;
    VCB *Vcb;

    Status =
        IoCreateDevice(ControlDevice->DriverObject, sizeof(VCB), NULL, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE, &Device);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Vcb = VcbOf(Device);
    RtlZeroMemory(Vcb, sizeof(*Vcb));
    Vcb->Device = Device;
    Vcb->Disk = Disk;
    Vcb->Vpb = Vpb;
    Status = ReadVolume(Vcb);
    if (!NT_SUCCESS(Status)) {
        IoDeleteDevice(Device);
        return Status;
    }
    ExInitializeResourceLite(&Vcb->Lock);
    Vpb->SerialNumber = Vcb->Superblock.Serial;
    RtlCopyMemory(Vpb->VolumeLabel, Vcb->Superblock.Label, sizeof(Vcb->Superblock.Label));
    Vpb->VolumeLabelLength = sizeof(Vcb->Superblock.Label);
    Vpb->DeviceObject = Device;
    /* Our IRPs go to the disk too. */
    Device->StackSize = Disk->StackSize + 1;
    Device->SectorSize = SECTOR;
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

NTSTATUS
LabFsFileSystemControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION Location = IoGetCurrentIrpStackLocation(Irp);

    if (Location->MinorFunction == IRP_MN_MOUNT_VOLUME && Device == LabFsControlDevice) {
        return LabFsComplete(Irp, Mount(Device, Location), 0);
    }
    return LabFsComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}
