"""Loading and unloading minifilters by their services: what FilterLoad, fltmc and the service controller ask for."""

from typing import TYPE_CHECKING

from harness.nt import FilterUnloadFlags, NtStatus, RegistrationFlags
from harness.reference.machine.loader.loader import LoadError
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr import registration
from harness.reference.windows.io.request import Code
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def load(k: "Kernel", service: str) -> Code:
    """Load the driver of a service that is registered; (NTSTATUS, why it was refused or "")."""
    image = k.service_images.get(service.lower())
    if image is None:
        return int(NtStatus.OBJECT_NAME_NOT_FOUND), f"no service with an image is called {service}"
    try:
        status = yield from k.drivers.load(service, image.read_bytes())
    except LoadError as error:
        return int(error.status), error.message
    return int(status), "" if not status & 0x8000_0000 else f"DriverEntry of {service} returned {status:#010x}"


def unload(k: "Kernel", service: str, *, mandatory: bool) -> Code:
    """Unload a minifilter; NTSTATUS (UNL-01 to UNL-03). Stopping its service unloads a driver that is none, too."""
    found = k.flt.filter_named(service)
    driver = k.drivers.loaded.get(service.lower())
    if found is None:
        if driver is None or not mandatory:
            return int(NtStatus.FLT_FILTER_NOT_FOUND)
        if not driver.object.driver_unload:
            return int(NtStatus.INVALID_DEVICE_REQUEST)
        yield from k.drivers.unload(driver)
        return int(NtStatus.SUCCESS)
    registered = found.registration
    if mandatory and registered.flags & RegistrationFlags.DO_NOT_SUPPORT_SERVICE_STOP:
        return int(NtStatus.INVALID_DEVICE_REQUEST)
    if not registered.unload:
        return int(NtStatus.FLT_DO_NOT_DETACH)
    if found.unloading:
        return int(NtStatus.FLT_DELETING_OBJECT)
    flags = int(FilterUnloadFlags.MANDATORY) if mandatory else 0
    answer = (yield Call(registered.unload, flags)) & 0xFFFF_FFFF
    k.flt.callbacks.lived(found, 0, Phase.UNLOAD, answer)
    k.verifier.check_irql(0, found.name, "FilterUnloadCallback")
    gone = found.address not in k.flt.filters
    if answer & 0x8000_0000 and not mandatory and not gone and not k.mutant("unload-veto-ignored"):
        return int(answer)
    if not gone:
        k.verifier.report("UNL-03", found.name, "its unload callback returned without FltUnregisterFilter")
        yield from registration.unregister(k, found)
    if driver is not None:
        yield from k.drivers.unload(driver)
    return int(NtStatus.SUCCESS)
