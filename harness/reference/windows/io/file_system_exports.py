"""The exports for file systems and those who watch them: registration, FSFilter callbacks, volume parameter blocks."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.request import Code
from harness.reference.windows.structures.device_objects import DeviceObject, DriverExtension, DriverObject
from harness.reference.windows.structures.fast_io_tables import FsFilterCallbacks
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "IoRegisterFileSystem", max_irql=Irql.PASSIVE)
def io_register_file_system(k: "Kernel", device: int) -> Code:
    """IoRegisterFileSystem: `device` is the file system's control device."""
    view = DeviceObject(k.memory, device)
    view.flags &= ~0x80
    yield from k.io.file_systems.register(device)


@export(NTOSKRNL, "IoUnregisterFileSystem", max_irql=Irql.PASSIVE)
def io_unregister_file_system(k: "Kernel", device: int) -> Code:
    """IoUnregisterFileSystem."""
    yield from k.io.file_systems.unregister(device)


@export(NTOSKRNL, "IoVerifyVolume", max_irql=Irql.PASSIVE)
def io_verify_volume(k: "Kernel", device: int, raw: bool) -> Code:
    """IoVerifyVolume: `device` is a storage device; nothing is ever mounted raw."""
    del raw
    volume = k.io.volume_of_device(device)
    return int(NtStatus.NO_SUCH_DEVICE) if volume is None else (yield from k.io.file_systems.verify(volume))


_FS_CHANGE = Kind("notification of file systems", "IoUnregisterFsRegistrationChange", plural="notifications")


def _notify(routine: int, device: int, active: bool) -> Code:
    yield Call(routine, device, int(active))


@export(NTOSKRNL, "IoRegisterFsRegistrationChange", "IoRegisterFsRegistrationChangeMountAware", max_irql=Irql.PASSIVE)
def io_register_fs_registration_change(k: "Kernel", driver: int, routine: int) -> Code:
    """IoRegisterFsRegistrationChange: called at once for the file systems that are there."""
    key = (driver, routine)
    if key in k.io.file_systems.notify:
        return int(NtStatus.DEVICE_ALREADY_ATTACHED)
    k.holdings.take(_FS_CHANGE, key)
    yield from k.io.file_systems.watch(key, partial(_notify, routine))
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "IoUnregisterFsRegistrationChange", max_irql=Irql.PASSIVE)
def io_unregister_fs_registration_change(k: "Kernel", driver: int, routine: int) -> None:
    """IoUnregisterFsRegistrationChange."""
    if k.io.file_systems.notify.pop((driver, routine), None) is None:
        text = "IoUnregisterFsRegistrationChange was called for a routine that is not registered"
        k.verifier.report(None, k.blame.current().driver, text)
    k.holdings.give_back(_FS_CHANGE, (driver, routine))


@export(NTOSKRNL, "FsRtlRegisterFileSystemFilterCallbacks", max_irql=Irql.APC)
def fs_rtl_register_file_system_filter_callbacks(k: "Kernel", driver: int, callbacks: int) -> int:
    """FsRtlRegisterFileSystemFilterCallbacks: the table is copied."""
    size = min(k.memory.read_u32(callbacks), FsFilterCallbacks.SIZE)
    if size < 16:
        return NtStatus.INVALID_PARAMETER
    table = k.heap.allocate(FsFilterCallbacks.SIZE)
    k.memory.write(table, k.memory.read(callbacks, size))
    extension = DriverObject(k.memory, driver).driver_extension
    k.memory.write_u64(extension + DriverExtension.FS_FILTER_CALLBACKS, table)
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoAllocateDriverObjectExtension", max_irql=Irql.APC)
def io_allocate_driver_object_extension(k: "Kernel", driver: int, identification: int, size: U32, out: int) -> int:
    """IoAllocateDriverObjectExtension: one block for each identification."""
    known = k.io.driver_extensions
    if (driver, identification) in known:
        return NtStatus.OBJECT_NAME_COLLISION
    known[driver, identification] = k.heap.allocate(size)
    k.memory.write_u64(out, known[driver, identification])
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoGetDriverObjectExtension", max_irql=Irql.APC)
def io_get_driver_object_extension(k: "Kernel", driver: int, identification: int) -> int:
    """IoGetDriverObjectExtension."""
    return k.io.driver_extensions.get((driver, identification), 0)
