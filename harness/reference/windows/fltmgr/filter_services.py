"""Loading and unloading minifilters by their services: what FilterLoad, fltmc and the service controller ask for."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.nt import FilterUnloadFlags, NtStatus, RegistrationFlags
from harness.reference.machine.loader.loader import LoadError
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.io.request import Code
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.io.driver_table import Driver, DriverTable


class FilterServices:
    """The services whose drivers are minifilters."""

    def __init__(self, flt: "FilterManager", drivers: "DriverTable", images: Mapping[str, Path]) -> None:
        """`images` are the files of the host that services' images are, by lower-case name."""
        self._flt = flt
        self._kernel = flt.kernel
        self._drivers = drivers
        self._images = images
        drivers.on_remove.append(self._driver_gone)

    def load(self, service: str) -> Code:
        """Load the driver of a service that is registered; (NTSTATUS, why it was refused or "")."""
        image = self._images.get(service.lower())
        if image is None:
            return int(NtStatus.OBJECT_NAME_NOT_FOUND), f"no service with an image is called {service}"
        try:
            status = yield from self._drivers.load(service, image.read_bytes())
        except LoadError as error:
            return int(error.status), error.message
        return int(status), "" if not status & 0x8000_0000 else f"DriverEntry of {service} returned {status:#010x}"

    def unload(self, service: str, *, mandatory: bool) -> Code:
        """Unload a minifilter; NTSTATUS (UNL-01 to UNL-03). Stopping its service unloads a driver that is none, too."""
        found = self._flt.filter_named(service)
        driver = self._drivers.loaded.get(service.lower())
        if found is None:
            if driver is None or not mandatory:
                return int(NtStatus.FLT_FILTER_NOT_FOUND)
            if not driver.object.driver_unload:
                return int(NtStatus.INVALID_DEVICE_REQUEST)
            yield from self._flt.io.unload_driver(driver)
            return int(NtStatus.SUCCESS)
        registered = found.registration
        if mandatory and registered.flags & RegistrationFlags.DO_NOT_SUPPORT_SERVICE_STOP:
            return int(NtStatus.INVALID_DEVICE_REQUEST)
        if not registered.unload:
            return int(NtStatus.FLT_DO_NOT_DETACH)
        if found.unloading:
            return int(NtStatus.FLT_DELETING_OBJECT)
        flags = int(FilterUnloadFlags.MANDATORY) if mandatory else 0
        kept = self._kernel.kept
        answer = (yield from kept.call("its FilterUnloadCallback", registered.unload, flags)) & 0xFFFF_FFFF
        self._flt.callbacks.lived(found, 0, Phase.UNLOAD, answer)
        gone = found.address not in self._flt.filters
        if not gone and not mandatory and self.vetoes(answer):
            return int(answer)
        if not gone:
            self._kernel.verifier.report(
                "UNL-03", found.name, "its unload callback returned without FltUnregisterFilter"
            )
            yield from self.unregister(found)
        if driver is not None:
            yield from self._flt.io.unload_driver(driver)
        return int(NtStatus.SUCCESS)

    def _driver_gone(self, driver: "Driver") -> None:
        """A driver is taken away: with its filter registered only if its DriverEntry has failed (REG-16)."""
        found = self._flt.filter_named(driver.name)
        if found is None:
            return
        text = "its DriverEntry has failed and left the filter registered: FltUnregisterFilter"
        self._kernel.verifier.report("REG-16", found.name, text)
        self._flt.attachments.abandon(found)
        del self._flt.filters[found.address]
        self._flt.heap.free(found.address)

    def vetoes(self, answer: int) -> bool:
        """Whether a FilterUnloadCallback refuses."""
        return bool(answer & 0x8000_0000)

    def start(self, found: Filter) -> Code:
        """FltStartFiltering: attach to the volumes that are there, as the instances' registry keys say (OQ-23)."""
        if self.is_started(found):
            return int(NtStatus.INVALID_PARAMETER)
        if found.unloading:
            return int(NtStatus.FLT_DELETING_OBJECT)
        found.started = True
        self._kernel.probes.happened((f"FltStartFiltering {found.name}",))
        yield from self._flt.attachments.attach_automatically(found)
        return int(NtStatus.SUCCESS)

    def is_started(self, found: Filter) -> bool:
        """Whether a filter has been started, which is done once (REG-15)."""
        return found.started

    def wait_for_work(self, found: Filter) -> Code:
        """Wait for the work items that a filter has queued."""
        yield Wait([found.work.idle], reason=f"queued work items of {found.name} to finish")

    def unregister(self, found: Filter) -> Code:
        """Take a filter away: every instance, then whatever still uses it is waited for (UNL-04)."""
        flt, kernel = self._flt, self._kernel
        found.unloading = True
        for instance in list(found.instances):
            yield from flt.attachments.tear_down(instance, found.teardown_reason)
        yield from flt.port_clients.disconnect_all(found)
        for port in flt.port_clients.servers_of(found):
            opened = f", opened at {port.opened_at}" if port.opened_at else ""
            text = f"unregistered with its communication server port open{opened}"
            kernel.verifier.report("UNL-03", found.name, text, chain=(port.opened_at,) if port.opened_at else None)
        yield from self.wait_for_work(found)
        yield from flt.contexts.filter_gone(found)
        flt.references.settle(found)
        del flt.filters[found.address]
        flt.heap.free(found.address)
        flt.frames.filter_gone()
        kernel.probes.happened((f"FltUnregisterFilter {found.name}",))
