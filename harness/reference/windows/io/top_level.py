"""What of the I/O manager needs no devices: top-level IRPs, requests' processes, shutdown notification."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.kd.debug_output import print_text
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SHUTDOWN = Kind("registration for shutdown", "IoUnregisterShutdownNotification", plural="registrations for shutdown")
_WORKER_ROUTINE = 0x10
"""Offset of WorkerRoutine in WORK_QUEUE_ITEM."""


@export(NTOSKRNL, "IoGetTopLevelIrp")
def io_get_top_level_irp(k: "Kernel") -> int:
    return k.memory.read_u64(k.current.kthread + KTHREAD.TOP_LEVEL_IRP)


@export(NTOSKRNL, "IoSetTopLevelIrp")
def io_set_top_level_irp(k: "Kernel", irp: int) -> int:
    k.memory.write_u64(k.current.kthread + KTHREAD.TOP_LEVEL_IRP, irp)
    return 0


@export(NTOSKRNL, "IoRegisterShutdownNotification", "IoRegisterLastChanceShutdownNotification", max_irql=Irql.PASSIVE)
def io_register_shutdown_notification(k: "Kernel", device: int) -> int:
    """The machine is never shut down while drivers run."""
    k.memory.read(device, 1)
    k.holdings.take(_SHUTDOWN, device)
    return 0


@export(NTOSKRNL, "IoUnregisterShutdownNotification", max_irql=Irql.PASSIVE)
def io_unregister_shutdown_notification(k: "Kernel", device: int) -> int:
    k.memory.read(device, 1)
    k.holdings.give_back(_SHUTDOWN, device)
    return 0


@export(NTOSKRNL, "PoQueueShutdownWorkItem", max_irql=Irql.APC)
def po_queue_shutdown_work_item(k: "Kernel", item: int) -> int:
    """A WORK_QUEUE_ITEM for a shutdown, which does not come; a routine that is no code is reported."""
    routine = k.memory.read_u64(item + _WORKER_ROUTINE)
    if not k.blame.is_code(routine):
        text = f"PoQueueShutdownWorkItem was given an item whose WorkerRoutine is {routine:#x}: no code"
        k.verifier.report(None, k.blame.current().driver, text)
    return 0


@export(NTOSKRNL, "ExUuidCreate", max_irql=Irql.APC)
def ex_uuid_create(k: "Kernel", uuid: int) -> int:
    """A version 4 UUID of the seeded generator."""
    raw = bytearray(k.random.getrandbits(128).to_bytes(16, "little"))
    raw[7] = raw[7] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    k.memory.write(uuid, bytes(raw))
    return 0


@export(NTOSKRNL, "RtlGetVersion")
def rtl_get_version(k: "Kernel", information: int) -> int:
    """RTL_OSVERSIONINFOW and RTL_OSVERSIONINFOEXW of Windows 11 23H2."""
    for offset, value in ((4, 10), (8, 0), (12, 22631), (16, 2)):
        k.memory.write_u32(information + offset, value)
    if k.memory.read_u32(information) >= 0x11C:
        k.memory.write(information + 0x114, b"\0\0\0\0\0\1\1\0")
    return 0


@export(NTOSKRNL, "RtlAssert")
def rtl_assert(k: "Kernel", condition: int, file: int, line: int, message: int) -> KernelCode | int:
    """What ASSERT calls in checked drivers."""
    del message
    text = f"assertion {k.memory.read_cstring(condition).decode('latin-1')} failed"
    where = f"{k.memory.read_cstring(file).decode('latin-1')}({line & 0xFFFF_FFFF})"
    k.verifier.report(None, k.blame.current().driver, f"{text} at {where}")
    return print_text(k, f"*** {text}: {where}\n")
