"""System services: one Python function serves ZwXxx and NtXxx for drivers and NtXxx for programs.

    @service("ReadFile")
    def read_file(k: "Kernel", mode: int, handle: int, ...) -> Code: ...

`mode` is the previous mode: UserMode when a program calls. A bad pointer of a program's becomes the status of the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from harness.nt import Irql, NtStatus
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import NTDLL, NTOSKRNL, declared_arguments, export
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.io.constants import KERNEL_MODE, USER_MODE
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestEvent
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import IoStatusBlock

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

Service = Callable[..., Any]


def service(name: str) -> Callable[[Service], Service]:
    """Export a system service to drivers and programs."""

    def register(function: Service) -> Service:
        def call(k: "Kernel", *arguments: int) -> Any:
            mode = USER_MODE if is_user(k.traps.stack_pointer) else KERNEL_MODE
            try:
                result = function(k, mode, *arguments)
            except GuestException as exception:
                if mode == KERNEL_MODE:
                    raise
                return exception.status
            except StatusError as error:
                return int(error.status)
            return _guard(k, result, mode) if isinstance(result, GeneratorType) else result

        _mode, *arguments = declared_arguments(function)
        export(NTOSKRNL, f"Zw{name}", f"Nt{name}", max_irql=Irql.PASSIVE, arguments=arguments)(call)
        export(NTDLL, f"Nt{name}", f"Zw{name}", arguments=arguments)(call)
        return function

    return register


def _guard(k: "Kernel", code: Code, mode: int) -> Code:
    """Run a service; the files that it looked up by handle stay until it is over, whoever closes the handle."""
    held = k.objects.held()
    before = len(held)
    fault: GuestException | None = None
    try:
        result = yield from code
    except GuestException as exception:
        fault, result = exception, exception.status
    except StatusError as error:
        result = int(error.status)
    while len(held) > before:
        yield from k.objects.release(held.pop())
    if fault is not None and mode == KERNEL_MODE:
        raise fault
    return result


# -- what requests have in common


class ReportArguments(NamedTuple):
    """What services of files take one after another: where the outcome is to be reported."""

    event: int
    apc: int
    apc_context: int
    iosb: int


@dataclass(slots=True)
class Caller:
    """Where a service reports: the event, the status block, and whether the caller is a program."""

    k: "Kernel"
    mode: int
    event: GuestEvent | None
    iosb: int
    context: int = 0
    """ApcContext: what a completion port is told of the request."""

    @classmethod
    def of(cls, k: "Kernel", mode: int, report: ReportArguments) -> Self:
        """The caller that wants this report; raises the status of an event that is none."""
        return cls(k, mode, event_of_handle(k, report.event), report.iosb, report.apc_context)

    def report(self, status: int, information: int, file: FileObject | None = None) -> None:
        """Store the outcome and set the event; what was over at once, on `file`, may end in a completion port too."""
        if self.iosb:
            self.k.memory.write_u32(self.iosb, status)
            self.k.memory.write_u64(self.iosb + IoStatusBlock.information.offset, information)
        if self.event is not None:
            set_event(self.k, self.event)
        if file is not None and file.association is not None:
            file.association.post_at_once(self.context, status, information)


def set_event(k: "Kernel", event: GuestEvent) -> None:
    """Signal an event in guest memory."""
    event.header.signal_state = 1
    k.signal(event)


def event_of_handle(k: "Kernel", handle: int) -> GuestEvent | None:
    """The event of a handle; raises INVALID_HANDLE or OBJECT_TYPE_MISMATCH."""
    if not handle:
        return None
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if found.object.type != "ExEventObjectType":
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    return GuestEvent(k.memory, found.object.address)


def file_of(k: "Kernel", handle: int, access: int = 0) -> FileObject:
    """The file of a handle that was opened with any of `access`, for the service that runs now (a generator).

    Raises the status of the refusal.
    """
    found = k.objects.lookup(handle)
    if found is None:
        raise StatusError(NtStatus.INVALID_HANDLE)
    if not isinstance(found.object.body, FileObject):
        raise StatusError(NtStatus.OBJECT_TYPE_MISMATCH)
    if access and not found.access & access:
        raise StatusError(NtStatus.ACCESS_DENIED)
    k.objects.reference(found.object)
    k.objects.held().append(found.object)
    return found.object.body


def probe(mode: int, address: int, length: int) -> None:
    """ProbeForWrite without touching: a program's buffers are in the user half."""
    if mode == USER_MODE and length and not is_user(address + length - 1):
        raise GuestException(int(NtStatus.ACCESS_VIOLATION), 1, address)


def lock_file(k: "Kernel", file: FileObject) -> Code:
    """Serialise operations on a synchronous file object."""
    while file.busy:
        file.free.state = False
        yield Wait([file.free], reason=f"another operation on {file.name} to end")
    file.busy = True


def unlock_file(k: "Kernel", file: FileObject) -> None:
    """Let the next operation on a synchronous file object begin."""
    file.busy = False
    if not file.free.state:  # somebody has waited
        k.signal(file.free)


def _post(caller: Caller, file: FileObject, done: Request, *, at_once: bool) -> None:
    if file.association is not None:
        post = file.association.post_at_once if at_once else file.association.post
        post(caller.context, done.status, done.information)


def send_irp(caller: Caller, file: FileObject, request: Request) -> Code:
    """Send an IRP for a handle: wait if the handle is synchronous, else answer PENDING; NTSTATUS.

    As the I/O manager does it: an error that comes back at once leaves status block and event alone.
    """
    k = caller.k
    if caller.event is not None:
        caller.event.header.signal_state = 0
    elif not file.synchronous:
        file.event.header.signal_state = 0
    state = {"returned": False}

    def completed(done: Request) -> None:
        at_once_error = not state["returned"] and done.status >> 30 == 3
        if not at_once_error:
            caller.report(done.status, done.information)
            if caller.event is None:
                set_event(k, file.event)
            _post(caller, file, done, at_once=not state["returned"])
        k.objects.dereference(file.object)

    k.objects.reference(file.object)
    request.completions.append(completed)
    request.iosb = caller.iosb
    request.owner = file
    yield from k.io.send(request)
    state["returned"] = True
    if request.finished:
        return request.status
    if not file.synchronous and not request.synchronous:
        return int(NtStatus.PENDING)
    yield Wait([request.done], reason=f"{request.describe()} to be finished")
    return request.status
