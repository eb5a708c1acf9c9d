"""NtUnloadDriver: how the service controller stops a driver's service."""

from typing import TYPE_CHECKING

from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.user.system_thread import in_system_thread

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@service("UnloadDriver")
def unload_driver(k: "Kernel", mode: int, name: int) -> Code:
    """NtUnloadDriver: `name` is the key of a driver's service; a minifilter is unloaded mandatorily (UNL-02)."""
    del mode
    driver = k.memory.read_unicode_string(name).rpartition("\\")[2]
    return int((yield from in_system_thread(k, k.filter_services.unload(driver, mandatory=True), f"stop {driver}")))
