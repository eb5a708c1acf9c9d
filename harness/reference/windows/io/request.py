"""One I/O request: what the I/O manager asks for, or a driver finds in an IRP, and what comes of it."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.io.constants import IrpFlags

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.io.file_object import FileObject

_NAMES = {int(major): major.name for major in IrpMajor}
_KINDS = {kind: f"({kind.name})" for kind in OperationClass}
Code = Generator[Any, Any, Any]
Completion = Callable[["Request"], None]
CancelRoutine = Callable[["Request"], Code]


class Cancellation(Protocol):
    """The IRP behind a request, as far as cancelling goes."""

    def is_cancelled(self, irp: int) -> bool:
        """Irp->Cancel."""

    def set_cancel_routine(self, request: "Request", routine: CancelRoutine | None) -> None:
        """IoSetCancelRoutine, with code of the kernel's own; None for no routine."""


class Request:
    """An IRP, a fast I/O call or an FSFilter operation.

    `parameters` are the 48 bytes of FLT_PARAMETERS. Whoever issues a request makes one and sends it
    (io_manager.IoManager.send); `status` and `information` count once it is `finished`: then `done` is set and the
    completions have run, in any thread at up to DISPATCH_LEVEL. A driver of the stack makes its own from the IRP that
    it is handed (irps.Irps.request_of): parsed parameters, no more.
    """

    ecp_list = 0
    """The extra create parameters of a create: an ECP_LIST, 0 for none."""
    priority = 2
    """IO_PRIORITY_HINT: normal."""
    activity: bytes | None = None
    """The GUID of the activity it is part of."""
    system_buffer = False
    generated = False
    reissued = False
    irp = 0
    """Guest address of the IRP, for as long as it is under way; 0 for what is none."""
    cancellation: Cancellation | None = None
    """Set with `irp`."""
    status = int(NtStatus.PENDING)
    information = 0
    finished = False
    _done: Event | None = None
    at_end: Callable[[int], Code] | None = None
    """What a frame does with the status when all posts are done, before who is above has the IRP back."""
    auxiliary = 0
    """AuxiliaryBuffer of the IRP at its end, for who issued it to free: the data of a reparse point."""
    iosb = 0
    """The caller's IO_STATUS_BLOCK, by which it may cancel the request."""
    owner: "FileObject | None" = None
    """The file object whose pending requests this one is among."""

    def __init__(
        self,
        kind: OperationClass,
        major: int,
        file: "FileObject | None",
        thread: "Thread",
        *,
        parameters: bytes = b"",
        minor: int = 0,
        irp_flags: int = 0,
        operation_flags: int = 0,
        mode: int = 0,
        synchronous: bool = True,
    ) -> None:
        self.kind = kind
        self.major = major
        self.minor = minor
        self.file = file
        self.thread = thread
        self.parameters = parameters.ljust(48, b"\0")
        self.irp_flags = irp_flags
        self.operation_flags = operation_flags
        self.mode = mode
        self.synchronous = synchronous
        """Whether the issuer waits: the request is synchronous by its API, handle, or nature."""
        self.completions: list[Completion] = []
        self.afterwards: list[Callable[[], Code]] = []
        """What the thread that issued a create does once it has it back, whatever came of it."""

    @property
    def name(self) -> str:
        """READ, ACQUIRE_FOR_SECTION_SYNCHRONIZATION, ..."""
        return _NAMES.get(self.major) or f"IRP_MJ 0x{self.major:02X}"

    @property
    def done(self) -> Event:
        """Set when the request is finished."""
        if self._done is None:
            name = self.file.name if self.file is not None else ""
            self._done = Event(f"{self.name} {name}".strip(), state=self.finished)
        return self._done

    def finish(self, status: int, information: int) -> Event | None:
        """The request is over: its completions run; the event that somebody may wait for, set, if there is one."""
        self.status = status & 0xFFFF_FFFF
        self.information = information
        self.finished = True
        for completion in self.completions:
            completion(self)
        if self._done is not None:
            self._done.state = True
        return self._done

    @property
    def is_irp(self) -> bool:
        return self.kind is OperationClass.IRP

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked for its cancelling."""
        return self.cancellation is not None and self.cancellation.is_cancelled(self.irp)

    def set_cancel_routine(self, routine: CancelRoutine | None) -> None:
        """Have `routine` called when the request is cancelled; None for no routine."""
        if self.cancellation is not None:
            self.cancellation.set_cancel_routine(self, routine)

    @property
    def disallowed(self) -> bool:
        """Whether fast I/O or an FSFilter operation came back refused, so that it must be asked otherwise (OQ-24)."""
        return self.kind is not OperationClass.IRP and self.status == NtStatus.FLT_DISALLOW_FAST_IO

    @property
    def paging(self) -> bool:
        """Whether it is paging I/O."""
        return self.kind is OperationClass.IRP and bool(self.irp_flags & IrpFlags.PAGING_IO)

    def describe(self) -> str:
        r"""For traces and reports: `READ \\data.bin (IRP)`."""
        name = self.file.name if self.file is not None else ""
        return f"{_NAMES.get(self.major) or self.name} {name} {_KINDS[self.kind]}"


def disallowed(request: Request) -> bool:
    """`request.disallowed`."""
    return request.disallowed
