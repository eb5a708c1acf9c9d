"""One I/O request on its way down and back up: what the I/O manager asks for, and what comes of it."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.scheduler.dispatcher import Event

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.io.file_object import FileObject

Code = Generator[Any, Any, Any]
Completion = Callable[["Request"], None]
CancelRoutine = Callable[["Request"], "KernelCode"]


class Request:
    """An IRP, a fast I/O call or an FSFilter operation.

    `parameters` are the 48 bytes of FLT_PARAMETERS. `status` and `information` count once `finished`; then `done` is
    set and the completions have run, in any thread at up to DISPATCH_LEVEL.
    """

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
        self.system_buffer = False
        self.generated = False
        self.reissued = False
        self.status = int(NtStatus.PENDING)
        self.information = 0
        self.finished = False
        self.done = Event(f"{self.name} {file.name if file else ''}".strip())
        self.completions: list[Completion] = []
        self.cancelled = False
        self.cancel_routine: CancelRoutine | None = None
        self.extra: dict[str, Any] = {}
        """What the issuer hands to the file system by way of Python: the create's outcome, a lock's owner."""

    @property
    def name(self) -> str:
        """READ, ACQUIRE_FOR_SECTION_SYNCHRONIZATION, ..."""
        try:
            return IrpMajor(self.major).name
        except ValueError:
            return f"IRP_MJ 0x{self.major:02X}"

    @property
    def is_irp(self) -> bool:
        return self.kind is OperationClass.IRP

    def describe(self) -> str:
        r"""For traces and reports: `READ \\data.bin (IRP)`."""
        name = self.file.name if self.file is not None else ""
        return f"{self.name} {name} ({self.kind.name})"
