"""Drivers of the kernel's own: DRIVER_OBJECTs whose routines are Python behind guest addresses."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from harness.reference.windows.io.fast_io import ROUTINES
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.structures.device_objects import (
    IO_TYPE_DRIVER,
    MAJOR_FUNCTIONS,
    DriverExtension,
    DriverObject,
)
from harness.reference.windows.structures.fast_io_tables import FastIoDispatch

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager

Dispatch = Callable[[int, int], Code]
"""A dispatch routine: device and IRP; the NTSTATUS."""
FastIo = Callable[[int, Request], Code]
"""Fast I/O for a device: whether it was done. The request then has status and Information."""
Detach = Callable[[int, int], Code]
"""FastIoDetachDevice: a device of the driver's, and the one below it, which is being deleted."""
Pass = Callable[[], Code]
FsFilter = Callable[[int, Request, Pass], Code]
"""An FSFilter operation for a device; the last argument passes it on to the devices below."""


def _no_fast_io(device: int, request: Request) -> Code:
    del device, request
    yield from ()
    return False


class NativeDriver:
    """One such driver. `fs_filter` stands for its FS_FILTER_CALLBACKS."""

    def __init__(
        self,
        io: "IoManager",
        path: str,
        dispatch: Mapping[int, Dispatch],
        *,
        fast_io: FastIo | None = None,
        fs_filter: FsFilter | None = None,
        detach: Detach | None = None,
    ) -> None:
        self._io = io
        kernel = io.kernel
        memory, heap = kernel.memory, kernel.heap
        self.name = path
        address = kernel.shields.allocate(DriverObject.SIZE, lambda _: f"the DRIVER_OBJECT {path}", DriverObject)
        self.object = DriverObject(memory, address)
        view = self.object
        view.type, view.size = IO_TYPE_DRIVER, DriverObject.SIZE
        extension = DriverExtension(memory, heap.allocate(DriverExtension.SIZE))
        extension.driver_object = view.address
        view.driver_extension = extension.address
        text = path.encode("utf-16-le")
        buffer = heap.allocate(len(text) + 2)
        memory.write(buffer, text)
        memory.write_unicode_string(view.address + DriverObject.NAME, buffer, len(text), len(text) + 2)
        kernel.objects.register(Object("IoDriverObjectType", self, view.address))
        self._set_dispatch(dispatch)
        self.fast_io = fast_io or _no_fast_io
        self.fs_filter = fs_filter
        if fast_io is not None:
            view.fast_io_dispatch = self._make_table(fast_io, detach)
        io.native_drivers[view.address] = self

    def _set_dispatch(self, dispatch: Mapping[int, Dispatch]) -> None:
        io, memory = self._io, self._io.kernel.memory
        addresses: dict[Dispatch, int] = {}
        for major in range(MAJOR_FUNCTIONS):
            routine = dispatch.get(major, io.invalid_device_request)
            if routine not in addresses:
                addresses[routine] = io.dispatcher.add_native(f"{self.name} dispatch", routine, 2)
            memory.write_u64(self.object.address + DriverObject.MAJOR_FUNCTION + 8 * major, addresses[routine])

    def _make_table(self, fast_io: FastIo, detach: Detach | None) -> int:
        """The FAST_IO_DISPATCH that drivers above call through."""
        kernel = self._io.kernel
        memory = kernel.memory
        name = f"the FAST_IO_DISPATCH of {self.name}"
        table = FastIoDispatch(memory, kernel.shields.allocate(FastIoDispatch.SIZE, lambda _: name, FastIoDispatch))
        table.size_of_fast_io_dispatch = FastIoDispatch.SIZE
        for routine in ROUTINES:
            address = kernel.exports.add_routine(
                f"{self.name} {routine.name}", routine.for_guests(self._io, fast_io), routine.arguments
            )
            memory.write_u64(table.address + routine.field.offset, address)
        if detach is not None:
            table.fast_io_detach_device = self._io.dispatcher.add_native(f"{self.name} FastIoDetachDevice", detach, 2)
        return table.address
