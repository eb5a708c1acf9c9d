"""FSFilter operations: through the FS_FILTER_CALLBACKS of the drivers of a stack, from the top down."""

from functools import partial
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.memory.structure import Field
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.device_objects import DriverExtension
from harness.reference.windows.structures.fast_io_tables import FsFilterCallbackData, FsFilterCallbacks

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager

_C = FsFilterCallbacks
_PRE: dict[int, Field] = {
    IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION: _C.pre_acquire_for_section_synchronization,
    IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION: _C.pre_release_for_section_synchronization,
    IrpMajor.ACQUIRE_FOR_CC_FLUSH: _C.pre_acquire_for_cc_flush,
    IrpMajor.RELEASE_FOR_CC_FLUSH: _C.pre_release_for_cc_flush,
    IrpMajor.ACQUIRE_FOR_MOD_WRITE: _C.pre_acquire_for_modified_page_writer,
    IrpMajor.RELEASE_FOR_MOD_WRITE: _C.pre_release_for_modified_page_writer,
    IrpMajor.QUERY_OPEN: _C.pre_query_open,
}
_SKIPPED = int(NtStatus.FSFILTER_OP_COMPLETED_SUCCESSFULLY)


def fs_filter(io: "IoManager", device: int, request: Request) -> Code:
    """Send an FSFilter operation to `device` and those below; its status, which the request has too."""
    yield from _pass(io, list(io.devices.downwards(device)), request)
    return request.status


def _pass(io: "IoManager", devices: list[int], request: Request) -> Code:
    """The rest of the way: the next device that has callbacks."""
    memory = io.kernel.memory
    while devices:
        device, devices = devices[0], devices[1:]
        driver = memory.read_u64(device + 0x08)
        native = io.native_drivers.get(driver)
        if native is not None:
            if native.fs_filter is not None:
                yield from native.fs_filter(device, request, partial(_pass, io, devices, request))
                return
            continue
        table = memory.read_u64(memory.read_u64(driver + 0x30) + DriverExtension.FS_FILTER_CALLBACKS)
        field = _PRE.get(request.major)
        if table and field is not None and memory.read_u32(table) >= field.offset + 16:
            pre, post = memory.read_u64(table + field.offset), memory.read_u64(table + field.offset + 8)
            if pre or post:
                yield from _call(io, device, pre, post, devices, request)
                return
    request.status = int(NtStatus.FLT_DISALLOW_FAST_IO if request.major == IrpMajor.QUERY_OPEN else NtStatus.SUCCESS)


def _call(io: "IoManager", device: int, pre: int, post: int, below: list[int], request: Request) -> Code:
    """A driver from outside: its callback before, the devices below, its callback after."""
    memory = io.kernel.memory
    address = io.kernel.heap.allocate(FsFilterCallbackData.SIZE + 8)
    context = address + FsFilterCallbackData.SIZE
    data = FsFilterCallbackData(memory, address)
    data.size_of_fs_filter_callback_data, data.operation = FsFilterCallbackData.SIZE, request.major
    data.device_object = device
    data.file_object = request.file.address if request.file is not None else 0
    memory.write(address + 0x18, request.parameters[:40])
    status = 0
    if pre:
        status = (yield Call(pre, address, context)) & 0xFFFF_FFFF
    if status == _SKIPPED or status & 0x8000_0000:
        request.status = status if status != _SKIPPED else 0
    else:
        yield from _pass(io, below, request)
    if post:
        yield Call(post, address, request.status, memory.read_u64(context))
    io.kernel.heap.free(address)
