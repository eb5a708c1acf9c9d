"""Oplocks as requests: FSCTL_REQUEST_OPLOCK and the older ones, and their acknowledgements."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.fsrtl.oplocks import (
    GRANTABLE,
    Cache,
    Complete,
    Holder,
    Kind,
    level_of,
)
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver
    from harness.reference.windows.io.file_object import FileObject

REQUEST_LEVEL_1, REQUEST_LEVEL_2, REQUEST_BATCH, REQUEST_FILTER = 0x90000, 0x90004, 0x90008, 0x9005C
BREAK_ACKNOWLEDGE, ACK_CLOSE_PENDING, BREAK_NOTIFY, BREAK_ACK_NO_2 = 0x9000C, 0x90010, 0x90014, 0x90050
REQUEST_OPLOCK = 0x90240
_KINDS = {
    REQUEST_LEVEL_1: Kind.LEVEL_1,
    REQUEST_LEVEL_2: Kind.LEVEL_2,
    REQUEST_BATCH: Kind.BATCH,
    REQUEST_FILTER: Kind.FILTER,
}
CODES = frozenset({*_KINDS, BREAK_ACKNOWLEDGE, ACK_CLOSE_PENDING, BREAK_NOTIFY, BREAK_ACK_NO_2, REQUEST_OPLOCK})
_INPUT = Struct("<HHII")
_FLAG_REQUEST, _FLAG_ACK = 1, 2
_OUTPUT_SIZE = 24


def control(driver: "FileSystemDriver", request: Request, parameters: Control, source: int, target: int) -> Code:
    """One of CODES."""
    file = request.file
    if file is None or file.opened is None or file.opened.cleaned_up:
        raise VolumeError(NtStatus.INVALID_PARAMETER)
    code = parameters.code
    oplock = driver.state(file.opened.stream).oplock
    if code == BREAK_NOTIFY:
        event = oplock.settled()
        if event is not None:
            yield Wait([event], reason=f"the oplock break on {file.name} to end")
        return int(NtStatus.SUCCESS), 0
    if code == ACK_CLOSE_PENDING:
        return oplock.close_pending(file), 0
    if code == BREAK_ACK_NO_2:
        return oplock.acknowledge(file, _completion(driver, request, target), keep=False)
    if code == BREAK_ACKNOWLEDGE:
        return _acknowledged(oplock.acknowledge(file, _completion(driver, request, target)))
    if code == REQUEST_OPLOCK:
        return (yield from _request_cache(driver, request, parameters, source, target))
    return _grant(driver, request, file, _KINDS[code], level_of(_KINDS[code]), target)


def _acknowledged(answer: tuple[int, int]) -> tuple[int, int] | None:
    """A holder that keeps something keeps its request too."""
    return None if answer[0] == NtStatus.PENDING else answer


def _request_cache(driver: "FileSystemDriver", request: Request, parameters: Control, source: int, target: int) -> Code:
    file = request.file
    assert file is not None
    assert file.opened is not None
    if parameters.input_length < _INPUT.size or parameters.output_length < _OUTPUT_SIZE:
        return int(NtStatus.BUFFER_TOO_SMALL), 0
    version, length, wanted, flags = _INPUT.unpack((yield from driver.io.views.read(source, _INPUT.size)))
    if version != 1 or length < _INPUT.size or bool(flags & _FLAG_REQUEST) is bool(flags & _FLAG_ACK):
        return int(NtStatus.INVALID_PARAMETER), 0
    level = Cache(wanted & 7)
    if flags & _FLAG_ACK:
        oplock = driver.state(file.opened.stream).oplock
        return _acknowledged(oplock.acknowledge(file, _completion(driver, request, target), level=level))
    if level not in GRANTABLE or wanted & ~7:
        return int(NtStatus.INVALID_PARAMETER), 0
    return _grant(driver, request, file, Kind.CACHE, level, target)


def _grant(
    driver: "FileSystemDriver", request: Request, file: "FileObject", kind: Kind, level: Cache, target: int
) -> tuple[int, int] | None:
    assert file.opened is not None
    stream = file.opened.stream
    if stream.directory and (kind is not Kind.CACHE or level & Cache.WRITE):
        return int(NtStatus.INVALID_PARAMETER), 0
    if file.synchronous:
        return int(NtStatus.OPLOCK_NOT_GRANTED), 0
    state = driver.state(stream)
    holder = Holder(file, file, kind, level, _completion(driver, request, target))
    status = state.oplock.request(holder, opens=stream.handles - 1, locks=bool(state.locks.locks))
    if status != NtStatus.PENDING:
        return status, 0

    def cancel(_: Request) -> Code:
        state.oplock.cancel(holder)
        yield from ()

    request.set_cancel_routine(cancel)
    return None


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
