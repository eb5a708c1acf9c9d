r"""NtLoadDriver and NtUnloadDriver: by the registry path of a service, as the service controller uses them."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.request import Code
from harness.reference.windows.io.system_services import service
from harness.reference.windows.user.system_thread import in_system_thread

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SERVICES = r"\registry\machine\system\currentcontrolset\services" "\\"


def _service_of(k: "Kernel", name: int) -> str | None:
    """The service that a registry path names, or None."""
    path = k.memory.read_unicode_string(name)
    found = path[len(_SERVICES) :] if path.lower().startswith(_SERVICES) else ""
    return found if found and "\\" not in found else None


@service("LoadDriver")
def load_driver(k: "Kernel", mode: int, name: int) -> Code:
    """NtLoadDriver: in a system thread, whoever asks."""
    del mode
    found = _service_of(k, name)
    if found is None:
        return int(NtStatus.OBJECT_NAME_INVALID)
    if found.lower() in k.drivers.loaded:
        return int(NtStatus.IMAGE_ALREADY_LOADED)
    status, _ = yield from in_system_thread(k, k.filter_services.load(found), f"load {found}")
    return int(status)


@service("UnloadDriver")
def unload_driver(k: "Kernel", mode: int, name: int) -> Code:
    """NtUnloadDriver: a minifilter is unloaded mandatorily (UNL-02)."""
    del mode
    found = _service_of(k, name)
    if found is None:
        return int(NtStatus.OBJECT_NAME_INVALID)
    if found.lower() not in k.drivers.loaded:
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    return int((yield from in_system_thread(k, k.filter_services.unload(found, mandatory=True), f"stop {found}")))
