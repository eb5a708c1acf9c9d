"""Buffers of reads and writes as the device wants them: a system buffer (DO_BUFFERED_IO) or an MDL (DO_DIRECT_IO)."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor
from harness.reference.windows.io.constants import DeviceFlags, IrpFlags
from harness.reference.windows.io.parameters import Transfer
from harness.reference.windows.io.request import Request
from harness.reference.windows.ntos.mm.mdl import allocate_mdl, lock_pages
from harness.reference.windows.structures.irp import Irp

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_TAG = "IoBf"
_TRANSFERS = frozenset({IrpMajor.READ, IrpMajor.WRITE})


def describe_buffer(k: "Executive", request: Request, irp: int, device_flags: int) -> None:
    """Give the IRP of a read or write what the flags of the device ask for; a file system's device asks for neither."""
    if request.major not in _TRANSFERS or not device_flags & (DeviceFlags.BUFFERED_IO | DeviceFlags.DIRECT_IO):
        return
    transfer = Transfer.unpack(request.parameters)
    if not transfer.length or transfer.mdl:
        return
    view, read = Irp(k.memory, irp), request.major == IrpMajor.READ
    if device_flags & DeviceFlags.BUFFERED_IO:
        buffer = k.pool.allocate(transfer.length, _TAG)
        if not read:
            k.memory.write(buffer, k.memory.read(transfer.buffer, transfer.length))
        view.system_buffer = buffer
        view.flags |= int(IrpFlags.BUFFERED_IO | IrpFlags.DEALLOCATE_BUFFER) | (IrpFlags.INPUT_OPERATION if read else 0)
    else:
        mdl = allocate_mdl(k, transfer.buffer, transfer.length)
        lock_pages(k, mdl, write=read)
        view.mdl_address = mdl
