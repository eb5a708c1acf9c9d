"""Oplocks as requests to the file system: its streams' oplocks, and what their holders are told."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fsrtl import oplock_fsctls
from harness.reference.windows.fsrtl.oplock_fsctls import CODES, Asking
from harness.reference.windows.fsrtl.oplocks import Complete
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver

__all__ = ["CODES", "control"]


def control(driver: "FileSystemDriver", request: Request, parameters: Control, source: int, target: int) -> Code:
    """One of CODES."""
    file = request.file
    if file is None or file.opened is None or file.opened.cleaned_up:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    stream = file.opened.stream
    state = driver.state(stream)
    asking = Asking(
        state.oplock,
        request,
        file,
        lambda: driver.handles_beside(stream, file),
        lambda: bool(state.locks.locks),
        _completion(driver, request, target),
        stream.directory,
        file.synchronous,
        file.name,
    )
    length = oplock_fsctls.INPUT.size
    takes_input = parameters.code == oplock_fsctls.REQUEST_OPLOCK and parameters.input_length >= length
    given = (yield from driver.io.views.read(source, length)) if takes_input else b""
    return (yield from oplock_fsctls.control(asking, parameters, given))


def _completion(driver: "FileSystemDriver", request: Request, target: int) -> Complete:
    """Ends the request that holds an oplock: with the old Information, or with an output buffer."""

    def complete(status: int, information: int, output: bytes) -> None:
        if output:
            driver.kernel.queue_worker(_give(driver, request, status, target, output))
        else:
            driver.io.complete_later(request, status, information)

    return complete


def _give(driver: "FileSystemDriver", request: Request, status: int, target: int, output: bytes) -> Code:
    yield from driver.io.views.write(target, output)
    driver.io.complete_later(request, status, len(output))
