/*
 * fastio.c: the fast I/O table: every call is handed to the device below.
 *
 * Where the device below has no routine for a call the answer is FALSE, and the I/O manager sends an IRP instead. What the memory manager and the cache manager
 * call for file systems only (AcquireFileForNtCreateSection and its kin) is not for filters.
 */

#include "legacy.h"

/* The table of the driver below, if it has a routine at Offset; NULL if not. */
static PFAST_IO_DISPATCH
TableBelow(PDEVICE_OBJECT Device, ULONG Offset)
{
    PFAST_IO_DISPATCH Table;

    if (LegacyBelow(Device) == NULL || (LegacyOptions & LEGACY_NO_FAST_IO) != 0) {
        return NULL;
    }
    Table = LegacyBelow(Device)->DriverObject->FastIoDispatch;
    if (Table == NULL || Table->SizeOfFastIoDispatch < Offset + sizeof(PVOID) ||
        *(PVOID *)((PUCHAR)Table + Offset) == NULL) {
        return NULL;
    }
    return Table;
}

#define BELOW(Device, Routine) TableBelow(Device, FIELD_OFFSET(FAST_IO_DISPATCH, Routine))

static BOOLEAN NTAPI
CheckIfPossible(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait, ULONG Key, BOOLEAN ForRead,
                PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoCheckIfPossible);

    return Below != NULL &&
           Below->FastIoCheckIfPossible(File, Offset, Length, Wait, Key, ForRead, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
Read(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait, ULONG Key, PVOID Buffer,
     PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoRead);

    return Below != NULL && Below->FastIoRead(File, Offset, Length, Wait, Key, Buffer, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
Write(PFILE_OBJECT File, PLARGE_INTEGER Offset, ULONG Length, BOOLEAN Wait, ULONG Key, PVOID Buffer,
      PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoWrite);

    return Below != NULL && Below->FastIoWrite(File, Offset, Length, Wait, Key, Buffer, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
QueryBasicInfo(PFILE_OBJECT File, BOOLEAN Wait, PFILE_BASIC_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
               PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoQueryBasicInfo);

    return Below != NULL && Below->FastIoQueryBasicInfo(File, Wait, Buffer, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
QueryStandardInfo(PFILE_OBJECT File, BOOLEAN Wait, PFILE_STANDARD_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
                  PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoQueryStandardInfo);

    return Below != NULL && Below->FastIoQueryStandardInfo(File, Wait, Buffer, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
QueryNetworkOpenInfo(PFILE_OBJECT File, BOOLEAN Wait, PFILE_NETWORK_OPEN_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
                     PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoQueryNetworkOpenInfo);

    return Below != NULL && Below->FastIoQueryNetworkOpenInfo(File, Wait, Buffer, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
Lock(PFILE_OBJECT File, PLARGE_INTEGER Offset, PLARGE_INTEGER Length, PEPROCESS Process, ULONG Key, BOOLEAN Fail,
     BOOLEAN Exclusive, PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoLock);

    return Below != NULL &&
           Below->FastIoLock(File, Offset, Length, Process, Key, Fail, Exclusive, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
UnlockSingle(PFILE_OBJECT File, PLARGE_INTEGER Offset, PLARGE_INTEGER Length, PEPROCESS Process, ULONG Key,
             PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoUnlockSingle);

    return Below != NULL &&
           Below->FastIoUnlockSingle(File, Offset, Length, Process, Key, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
UnlockAll(PFILE_OBJECT File, PEPROCESS Process, PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoUnlockAll);

    return Below != NULL && Below->FastIoUnlockAll(File, Process, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
UnlockAllByKey(PFILE_OBJECT File, PVOID Process, ULONG Key, PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoUnlockAllByKey);

    return Below != NULL && Below->FastIoUnlockAllByKey(File, Process, Key, IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
DeviceControl(PFILE_OBJECT File, BOOLEAN Wait, PVOID Input, ULONG InputLength, PVOID Output, ULONG OutputLength,
              ULONG Code, PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoDeviceControl);

    return Below != NULL && Below->FastIoDeviceControl(File, Wait, Input, InputLength, Output, OutputLength, Code,
                                                       IoStatus, LegacyBelow(Device));
}

static BOOLEAN NTAPI
QueryOpen(PIRP Irp, PFILE_NETWORK_OPEN_INFORMATION Information, PDEVICE_OBJECT Device)
{
    PFAST_IO_DISPATCH Below = BELOW(Device, FastIoQueryOpen);
    BOOLEAN Done;

    if (Below == NULL) {
        return FALSE;
    }
    /* This routine is given an IRP whose location names the device that is called. */
    IoGetCurrentIrpStackLocation(Irp)->DeviceObject = LegacyBelow(Device);
    Done = Below->FastIoQueryOpen(Irp, Information, LegacyBelow(Device));
    IoGetCurrentIrpStackLocation(Irp)->DeviceObject = Device;
    return Done;
}

/* The device below goes, a volume that is dismounted: ours goes with it. */
static void NTAPI
DetachDevice(PDEVICE_OBJECT Source, PDEVICE_OBJECT Target)
{
    IoDetachDevice(Target);
    IoDeleteDevice(Source);
}

FAST_IO_DISPATCH LegacyFastIo = {
    .SizeOfFastIoDispatch = sizeof(FAST_IO_DISPATCH),
    .FastIoCheckIfPossible = CheckIfPossible,
    .FastIoRead = Read,
    .FastIoWrite = Write,
    .FastIoQueryBasicInfo = QueryBasicInfo,
    .FastIoQueryStandardInfo = QueryStandardInfo,
    .FastIoLock = Lock,
    .FastIoUnlockSingle = UnlockSingle,
    .FastIoUnlockAll = UnlockAll,
    .FastIoUnlockAllByKey = UnlockAllByKey,
    .FastIoDeviceControl = DeviceControl,
    .FastIoDetachDevice = DetachDevice,
    .FastIoQueryNetworkOpenInfo = QueryNetworkOpenInfo,
    .FastIoQueryOpen = QueryOpen,
};
