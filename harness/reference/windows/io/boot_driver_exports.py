"""Callbacks for boot-start drivers, which a driver for early launch registers.

The drivers here are loaded into a system that runs: all of its boot-start drivers are initialized, and no callback is
ever made. What is registered is owed back before the driver is unloaded.
"""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_REGISTRATION = Kind("boot driver callback", "IoUnregisterBootDriverCallback")
_HANDLE_SIZE = 32


@export(NTOSKRNL, "IoRegisterBootDriverCallback", max_irql=Irql.HIGH)
def io_register_boot_driver_callback(k: "Kernel", routine: int, context: int) -> int:
    """IoRegisterBootDriverCallback: a handle."""
    if not k.blame.is_code(routine):
        driver = k.blame.current().driver
        k.verifier.report(None, driver, f"registers {routine:#x} as a boot driver callback: no code")
    handle = k.heap.allocate(_HANDLE_SIZE)
    k.memory.write_u64(handle, routine)
    k.memory.write_u64(handle + 8, context)
    k.holdings.take(_REGISTRATION, handle)
    return handle


@export(NTOSKRNL, "IoUnregisterBootDriverCallback", max_irql=Irql.HIGH)
def io_unregister_boot_driver_callback(k: "Kernel", handle: int) -> None:
    """IoUnregisterBootDriverCallback."""
    if k.holdings.give_back(_REGISTRATION, handle):
        k.heap.free(handle)
