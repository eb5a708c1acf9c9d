"""The I/O manager: volumes, file objects, and the way of a request to the file system and back.

What drivers and programs ask for is in open.py, transfer.py and the other modules of this room; they make requests
and `issue` them here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from harness.nt import IrpMajor, Irql, OperationClass
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fs.driver import FileSystemDriver
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.guarded_heap import IO_OBJECTS, GuardedHeap
from harness.reference.windows.io.placement import Placement
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.volumes import Volume
from harness.reference.windows.ntos.mm.sections import Views
from harness.reference.windows.ntos.ob.objects import Handle, Object

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.kernel import Kernel

PORT_TYPE = "FilterConnectionPort"
"""Object type of a user's handle to a communication port."""


class Stream(Protocol):
    """What a standard handle leads to."""

    def read(self, k: "Kernel", buffer: int, length: int, iosb: int) -> Code:
        """NtReadFile."""

    def write(self, k: "Kernel", buffer: int, length: int, iosb: int) -> Code:
        """NtWriteFile."""


Completed = Callable[[Request, int, int], Code]
"""Goes on with a request that the file system has completed with a status and an Information."""


class IoManager:
    """Volumes and requests of one kernel."""

    def __init__(self, kernel: "Kernel") -> None:
        self.kernel = kernel
        self.heap = GuardedHeap(kernel.memory, IO_OBJECTS)
        self.volumes: list[Volume] = []
        self.placement = Placement(kernel)
        self.views = Views(kernel)
        self.streams: dict[int, Stream] = {}
        """Standard handles of programs, by handle."""
        self.pending: dict[Request, None] = {}
        """Sent and not finished, in the order of sending."""
        for kind in ("IoFileObjectType", PORT_TYPE):
            kernel.close_hooks[kind] = self._close_handle
        kernel.object_names["IoFileObjectType"] = self._name_of

    def _close_handle(self, handle: Handle) -> Code:
        """ZwClose of a handle whose last close takes more than a count."""
        yield from self.kernel.objects.close_handle(handle.value)
        return 0

    @staticmethod
    def _name_of(item: Object) -> str:
        file = item.body
        assert isinstance(file, FileObject)
        return file.volume.device_name + file.name

    # -- volumes

    def add_volume(self, dos_name: str, file_system: "FileSystem") -> Volume:
        """Mount a volume."""
        volume = Volume(self.kernel, self.heap, len(self.volumes) + 1, dos_name, file_system)
        volume.driver = FileSystemDriver(self.kernel, volume)
        self.volumes.append(volume)
        return volume

    def volume_of(self, path: str) -> tuple[Volume, str] | None:
        r"""The volume of an NT path such as \??\V:\a.txt, and the rest of the path."""
        for volume in self.volumes:
            for prefix in (rf"\??\{volume.dos_name}", rf"\DosDevices\{volume.dos_name}", volume.device_name):
                if path.lower().startswith(prefix.lower()):
                    rest = path[len(prefix) :]
                    if not rest or rest.startswith("\\"):
                        return volume, rest
        return None

    def volume_named(self, name: str) -> Volume | None:
        r"""A volume as fltmc and FilterAttach name it: `V:`, `V:\`, \Device\HarddiskVolume2."""
        name = name.rstrip("\\")
        for volume in self.volumes:
            if name.lower() in (volume.dos_name.lower(), volume.device_name.lower(), volume.guid_name.lower()):
                return volume
        found = self.volume_of(name)
        return found[0] if found is not None else None

    # -- file objects

    def make_file_object(self, volume: Volume, name: str, flags: int) -> FileObject:
        """A file object for a create that is about to be sent."""
        file = FileObject(self.kernel, self.heap, volume, name, flags)
        volume.files.add(file)
        return file

    def file_at(self, address: int) -> FileObject | None:
        """The file object at a guest address."""
        item = self.kernel.objects.at(address)
        return item.body if item is not None and isinstance(item.body, FileObject) else None

    def close(self, file: FileObject) -> Code:
        """The last reference to a file object is gone: IRP_MJ_CLOSE, if it was ever opened, and no file object."""
        file.volume.files.discard(file)
        if file.opened is None:
            file.free_memory()
            return
        request = Request(
            OperationClass.IRP,
            IrpMajor.CLOSE,
            file,
            self.kernel.current,
            irp_flags=int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API),
        )
        yield from self.issue(request)
        file.closed = True
        self.kernel.flt.file_object_gone(file)
        file.free_memory()

    def cleanup(self, file: FileObject) -> Code:
        """IRP_MJ_CLEANUP: the last handle is closed. Whatever comes back, the handle is gone."""
        request = Request(
            OperationClass.IRP,
            IrpMajor.CLEANUP,
            file,
            self.kernel.current,
            irp_flags=int(IrpFlags.CLOSE_OPERATION | IrpFlags.SYNCHRONOUS_API),
        )
        yield from self.issue(request)
        file.cleaned_up = True
        file.add_flags(FileObjectFlags.CLEANUP_COMPLETE)

    # -- requests

    def send(self, request: Request, *, below: "Instance | None" = None) -> Code:
        """Send a request through the minifilters (those below an instance, if given) to the file system.

        When this returns the request may be pending: see `request.finished`.
        """
        assert request.file is not None
        self.pending[request] = None
        yield from self.kernel.flt.pass_through(request.file.volume, request, below=below)

    def issue(self, request: Request, *, below: "Instance | None" = None) -> Code:
        """Send a request and wait for it; its status."""
        yield from self.send(request, below=below)
        if not request.finished:
            yield Wait([request.done], reason=f"{request.describe()} to be finished")
        return request.status

    def call_file_system(self, request: Request, completed: Completed) -> Code:
        """Hand a request to the file system, which completes it here, elsewhere or later."""
        file = request.file
        assert file is not None
        request.extra["completed"] = completed
        outcome = yield from file.volume.driver.dispatch(request)
        if outcome is None:
            return
        status, information = outcome
        yield from self.placement.complete(request, completed, int(status), information)

    def complete_later(self, request: Request, status: int, information: int) -> None:
        """The file system completes a request that it had kept: in a system thread."""
        if request.extra.get("completing"):
            return
        request.extra["completing"] = True
        request.cancel_routine = None
        completed: Completed = request.extra["completed"]
        self.kernel.queue_worker(completed(request, int(status), information))

    def finish(self, request: Request, status: int, information: int) -> None:
        """The request has come back from the top of the stack."""
        request.status = status & 0xFFFF_FFFF
        request.information = information
        request.finished = True
        request.cancel_routine = None
        self.pending.pop(request, None)
        for completion in request.completions:
            completion(request)
        request.done.state = True
        self.kernel.signal(request.done)

    def cancel(self, request: Request) -> Code:
        """IoCancelIrp: mark the request and call whoever holds it, if it can be cancelled there."""
        if request.finished or request.cancelled:
            return
        request.cancelled = True
        routine = request.cancel_routine
        request.cancel_routine = None
        if routine is not None:
            yield from routine(request)

    # -- IRQL

    def at_apc_level(self, code: Code) -> Code:
        """Run `code` at APC_LEVEL: how the memory manager and the cache enter the file system for paging I/O."""
        if self.kernel.irql >= Irql.APC:
            return (yield from code)
        old = self.kernel.raise_irql(Irql.APC)
        result = yield from code
        self.kernel.lower_irql(old)
        return result


def is_paging(request: Request) -> bool:
    """Whether a request is paging I/O."""
    return request.kind is OperationClass.IRP and bool(request.irp_flags & IrpFlags.PAGING_IO)
