"""Exports about volumes as devices, and about file objects."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "IoVolumeDeviceToDosName", "RtlVolumeDeviceToDosName", max_irql=Irql.APC)
def io_volume_device_to_dos_name(k: "Kernel", device: int, out: int) -> int:
    """IoVolumeDeviceToDosName: the caller frees the buffer with ExFreePool."""
    volume = k.io.volume_of_device(device)
    if volume is None:
        return NtStatus.INVALID_PARAMETER
    text = volume.dos_name.encode("utf-16-le")
    where = k.blame.current()
    buffer = k.pool.allocate(len(text) + 2, "Dosn", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(buffer, text + b"\0\0")
    k.memory.write_unicode_string(out, buffer, len(text), len(text) + 2)
    return NtStatus.SUCCESS


@export(NTOSKRNL, "IoGetRelatedDeviceObject", max_irql=Irql.DISPATCH)
def io_get_related_device_object(k: "Kernel", file_object: int) -> int:
    """IoGetRelatedDeviceObject: the top of the stack that the file object's requests go to."""
    file = k.io.file_at(file_object)
    return k.io.device_of(file) if file is not None else 0


@export(NTOSKRNL, "IoGetBaseFileSystemDeviceObject", max_irql=Irql.DISPATCH)
def io_get_base_file_system_device_object(k: "Kernel", file_object: int) -> int:
    """IoGetBaseFileSystemDeviceObject: the file system's own device."""
    file = k.io.file_at(file_object)
    return list(k.io.devices.downwards(k.io.device_of(file)))[-1] if file is not None else 0


@export(NTOSKRNL, "FsRtlIsPagingFile", max_irql=Irql.APC)
def fs_rtl_is_paging_file(k: "Kernel", file_object: int) -> bool:
    """FsRtlIsPagingFile: there is none."""
    k.memory.read(file_object, 1)
    return False


@export(NTOSKRNL, "IoReplaceFileObjectName", max_irql=Irql.PASSIVE)
def io_replace_file_object_name(k: "Kernel", file_object: int, name: int, length: U32) -> int:
    """IoReplaceFileObjectName, for filters that answer a create with STATUS_REPARSE."""
    file = k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    length &= 0xFFFF
    file.replace_name(k.memory.read(name, length).decode("utf-16-le", "surrogatepass"))
    return NtStatus.SUCCESS
