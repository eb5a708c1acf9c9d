"""NtCreateIoCompletion, NtSetIoCompletion and NtRemoveIoCompletion(Ex), as drivers and programs call them."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U8, U32
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.completion_ports import COMPLETION_TYPE, CompletionPort, Packet, completion_port_of
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ke.wait_arguments import timeout_at
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_INFORMATION = Struct("<QQI4xQ")
"""FILE_IO_COMPLETION_INFORMATION: KeyContext, ApcContext, IoStatusBlock."""


@service("CreateIoCompletion")
def create_io_completion(k: "Kernel", mode: int, out: int, access: U32, attributes: int, count: U32) -> int:
    """NtCreateIoCompletion; completion ports have no names here."""
    del attributes, count
    item = Object(COMPLETION_TYPE, CompletionPort(k), references=0)
    k.memory.write_u64(out, k.objects.open(item, kernel=mode == 0, access=access))
    return int(NtStatus.SUCCESS)


@service("SetIoCompletion")
def set_io_completion(
    k: "Kernel", mode: int, handle: int, key: int, context: int, status: U32, information: int
) -> int:
    """NtSetIoCompletion: a packet of the caller's own."""
    del mode
    completion_port_of(k, handle).post(Packet(key, context, status, information))
    return int(NtStatus.SUCCESS)


def _take(k: "Kernel", port: CompletionPort, timeout: int, mode: int) -> Code:
    """(NTSTATUS, packet or None)."""
    wait = Wait([port], timeout_at(k, timeout), reason="a completion port", idle=True, user=mode != 0)
    status = yield wait
    return (status, None) if status else (status, port.taken(k.current))


@service("RemoveIoCompletion")
def remove_io_completion(k: "Kernel", mode: int, handle: int, key: int, context: int, iosb: int, timeout: int) -> Code:
    """NtRemoveIoCompletion."""
    status, packet = yield from _take(k, completion_port_of(k, handle), timeout, mode)
    if packet is not None:
        k.memory.write_u64(key, packet.key)
        k.memory.write_u64(context, packet.context)
        block = IoStatusBlock(k.memory, iosb)
        block.status, block.information = packet.status, packet.information
    return int(status)


@service("RemoveIoCompletionEx")
def remove_io_completion_ex(
    k: "Kernel", mode: int, handle: int, entries: int, count: U32, removed: int, timeout: int, alertable: U8
) -> Code:
    """NtRemoveIoCompletionEx: one packet is waited for, and those that are there come with it."""
    del alertable
    port = completion_port_of(k, handle)
    k.memory.write_u32(removed, 0)
    status, first = yield from _take(k, port, timeout, mode)
    if first is None:
        return int(status)
    packets = [first]
    while len(packets) < count and port.packets:
        packets.append(port.packets.popleft())
    for index, packet in enumerate(packets):
        data = _INFORMATION.pack(packet.key, packet.context, packet.status & 0xFFFF_FFFF, packet.information)
        k.memory.write(entries + index * _INFORMATION.size, data)
    k.memory.write_u32(removed, len(packets))
    return int(NtStatus.SUCCESS)
