"""IoCreateStreamFileObject and its kin: file objects without a create, of a file system or filter."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.create import make_handle
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

_OPTIONS_SIZE = 16
"""Of IO_CREATE_STREAM_FILE_OPTIONS: Size, Flags, TargetDeviceObject."""
_LITE = 2
"""IO_CREATE_STREAM_FILE_LITE."""


def _volume_of(k: "Kernel", device: int) -> "Volume | None":
    found = k.io.devices.by_address.get(device)
    return k.io.volume_of_device(device) or (k.io.target_of(found) if found is not None else None)


def _make(k: "Kernel", file_object: int, device: int) -> "FileObject":
    """A file object for the device that another's is, or for a device; close is sent with its last reference."""
    of = k.io.file_at(file_object) if file_object else None
    volume = of.volume if of is not None else _volume_of(k, device)
    if volume is None:
        at = device or file_object
        k.bugcheck(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, 0, at,
            message=f"a stream file object is made for {at:#x}, which is neither a file object nor a device",
        )  # fmt: skip
    flags = int(FileObjectFlags.STREAM_FILE)
    made = k.io.make_file_object(volume, "", flags, vpb=of.view.vpb if of is not None else None)
    made.view.device_object = of.view.device_object if of is not None else device
    made.is_open = True
    return made


def _give(k: "Kernel", file: "FileObject") -> int:
    """The caller owes a reference to it."""
    k.objects.take(file.object)
    k.objects.dereference(file.object)
    return file.address


@export(NTOSKRNL, "IoCreateStreamFileObject", max_irql=Irql.PASSIVE)
def io_create_stream_file_object(k: "Kernel", file_object: int, device: int) -> Code:
    """IoCreateStreamFileObject: its handle is closed at once, and the file system is sent a cleanup."""
    file = _make(k, file_object, device)
    yield from k.io.cleanup(file)
    return _give(k, file)


@export(NTOSKRNL, "IoCreateStreamFileObjectEx", max_irql=Irql.PASSIVE)
def io_create_stream_file_object_ex(k: "Kernel", file_object: int, device: int, handle_out: int) -> Code:
    """IoCreateStreamFileObjectEx: cleanup comes with the close of the handle, if the caller takes one."""
    file = _make(k, file_object, device)
    if not handle_out:
        yield from k.io.cleanup(file)
        return _give(k, file)
    k.objects.take(file.object)
    k.memory.write_u64(handle_out, make_handle(k.io, file, kernel=True, access=0))
    return file.address


@export(NTOSKRNL, "IoCreateStreamFileObjectLite", max_irql=Irql.PASSIVE)
def io_create_stream_file_object_lite(k: "Kernel", file_object: int, device: int) -> int:
    """IoCreateStreamFileObjectLite: without a handle, and so without a cleanup."""
    return _give(k, _make(k, file_object, device))


@export(NTOSKRNL, "IoCreateStreamFileObjectEx2", max_irql=Irql.PASSIVE)
def io_create_stream_file_object_ex2(
    k: "Kernel", options: int, file_object: int, device: int, stream_out: int, handle_out: int
) -> Code:
    """IoCreateStreamFileObjectEx2: by options, of which the size must be right; NTSTATUS."""
    if k.memory.read_u16(options) != _OPTIONS_SIZE:
        return int(NtStatus.INVALID_PARAMETER)
    lite = k.memory.read_u16(options + 2) & _LITE
    device = k.memory.read_u64(options + 8) or device
    if lite:
        address = io_create_stream_file_object_lite(k, file_object, device)
    else:
        address = yield from io_create_stream_file_object_ex(k, file_object, device, handle_out)
    k.memory.write_u64(stream_out, address)
    return int(NtStatus.SUCCESS)
