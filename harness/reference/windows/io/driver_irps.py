"""IRPs that drivers have built for them: transfers and control requests, with buffers as the target wants them."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.constants import DeviceFlags, IrpFlags
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.mm.mdl import allocate_mdl, lock_pages
from harness.reference.windows.structures.device_objects import DeviceObject
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_BUFFERED, _IN_DIRECT, _OUT_DIRECT, _NEITHER = range(4)
_TAG = "IoBf"


def _allocate(io: "IoManager", device: int) -> tuple[Irp, int]:
    k = io.kernel
    irp = io.irps.allocate(DeviceObject(k.memory, device).stack_size, owner=k.blame.current().driver)
    view = Irp(k.memory, irp)
    view.thread = k.current.kthread
    return view, io.irps.next(irp)


def belongs_to_thread(io: "IoManager", irp: int) -> None:
    """The I/O manager frees this one as it completes."""
    record = io.irps.record(irp)
    assert record is not None
    record.synchronous = True


def build_transfer(
    io: "IoManager", major: IrpMajor, device: int, buffer: int, length: int, offset_at: int, iosb: int
) -> int:
    """IoBuild(A)synchronousFsdRequest: IRP_MJ_READ, _WRITE, _FLUSH_BUFFERS, _SHUTDOWN or _PNP; the IRP."""
    k = io.kernel
    view, at = _allocate(io, device)
    view.user_iosb = iosb
    parameters = bytes(32)
    if major in (IrpMajor.READ, IrpMajor.WRITE):
        read = major is IrpMajor.READ
        offset = k.memory.read_u64(offset_at) if offset_at else 0
        parameters = length.to_bytes(16, "little") + offset.to_bytes(16, "little")
        flags = DeviceObject(k.memory, device).flags
        if flags & DeviceFlags.BUFFERED_IO:
            _give_system_buffer(k, view, 0 if read else buffer, 0 if read else length, length, buffer if read else 0)
        elif flags & DeviceFlags.DIRECT_IO:
            if length:
                view.mdl_address = _locked_mdl(k, buffer, length, write=read)
        else:
            view.user_buffer = buffer
    io.irps.write_location(at, major, 0, 0, parameters, device, 0)
    return view.address


def build_control(
    io: "IoManager",
    major: IrpMajor,
    device: int,
    code: int,
    source: int,
    source_length: int,
    target: int,
    target_length: int,
) -> int:
    """IoBuildDeviceIoControlRequest; the IRP."""
    k = io.kernel
    view, at = _allocate(io, device)
    method = code & 3
    type3 = 0
    if method == _BUFFERED:
        _give_system_buffer(k, view, source, source_length, max(source_length, target_length), target)
    elif method == _NEITHER:
        type3, view.user_buffer = source, target
    else:
        _give_system_buffer(k, view, source, source_length, source_length, 0)
        if target_length:
            view.mdl_address = _locked_mdl(k, target, target_length, write=method == _OUT_DIRECT)
    packed = Control(target_length, source_length, code, type3, 0, 0).pack()[:32]
    io.irps.write_location(at, major, 0, 0, packed, device, 0)
    return view.address


def _give_system_buffer(k: "Executive", view: Irp, source: int, source_length: int, size: int, target: int) -> None:
    """A system buffer with a copy of the input; what comes back is copied to `target` when the IRP is over."""
    if not size:
        return
    buffer = k.pool.allocate(size, _TAG)
    if source and source_length:
        k.memory.write(buffer, k.memory.read(source, source_length))
    view.system_buffer = buffer
    view.user_buffer = target
    view.flags |= int(IrpFlags.BUFFERED_IO | IrpFlags.DEALLOCATE_BUFFER)
    if target:
        view.flags |= int(IrpFlags.INPUT_OPERATION)


def _locked_mdl(k: "Executive", buffer: int, length: int, *, write: bool) -> int:
    mdl = allocate_mdl(k, buffer, length)
    lock_pages(k, mdl, write=write)
    return mdl


def send_and_wait(io: "IoManager", device: int, irp: int) -> Code:
    """Send an IRP, whose next location is filled in, to a lower driver, and have it back."""
    done = Event("a lower driver to complete an IRP")
    io.irps.set_completion_routine(irp, io.catch_routine, io.caught(done))
    yield from io.dispatcher.call_driver(device, irp)
    if not done.state:
        yield Wait([done], reason=done.name)
