"""The control codes of oplocks, whoever keeps the oplock: asking for one, and acknowledging that it is broken."""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.scheduler.requests import Wait
from harness.reference.windows.fsrtl.oplock_keys import key_of
from harness.reference.windows.fsrtl.oplocks import GRANTABLE, Cache, Complete, Holder, Kind, Oplock, level_of

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.parameters import Control
    from harness.reference.windows.io.request import Code, Request
    from harness.reference.windows.ntos.executive import Executive

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
_METHOD, _BUFFERED = 3, 0
"""Of a control code."""
Give = Callable[[int, int, int, bytes], "Code"]
"""What ends a request that was kept: its target, status, Information and output."""
INPUT = Struct("<HHII")
"""REQUEST_OPLOCK_INPUT_BUFFER."""
_FLAG_REQUEST, _FLAG_ACK = 1, 2
_OUTPUT_SIZE = 24
ALL_KEYS_MATCH = 0x1
"""OPLOCK_FSCTRL_FLAG_ALL_KEYS_MATCH."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for what: the oplock, the open, and what stands against granting it."""

    oplock: Oplock
    request: "Request"
    owner: "FileObject"
    opens: Callable[[], int]
    """Handles of the stream beside this one that have not its key."""
    locks: Callable[[], bool]
    """Whether it has byte-range locks."""
    complete: Complete
    directory: bool = False
    synchronous: bool = False
    """The handle is, so that a request that waits would block its caller."""
    name: str = ""


def is_shared(code: int, given: bytes) -> bool:
    """FsRtlOplockIsSharedRequest: whether others may have the oplock too."""
    if code == REQUEST_OPLOCK and len(given) >= INPUT.size:
        _, _, wanted, flags = INPUT.unpack_from(given)
        return bool(flags & _FLAG_REQUEST) and not wanted & Cache.WRITE
    return code == REQUEST_LEVEL_2


def asked(
    k: "Executive", oplock: Oplock, request: "Request", parameters: "Control", count: int, flags: int, give: Give
) -> "Code":
    """An oplock FSCTL of an OPLOCK that a driver keeps: as `control`.

    `count` is how many handles of the stream the driver says there are, or for a shared oplock whether there are
    byte-range locks; `flags` are OPLOCK_FSCTRL_FLAG_*. A request that is kept ends later: `give` is run in a system
    thread then.
    """
    source = parameters.first
    target = source if parameters.code & _METHOD == _BUFFERED else parameters.second
    given = k.memory.read(source, parameters.input_length) if parameters.input_length else b""

    def complete(status: int, information: int, output: bytes) -> None:
        k.queue_worker(give(target, status, len(output) if output else information, output))

    file = request.file
    if file is None:
        return int(NtStatus.INVALID_PARAMETER), 0
    others = 0 if flags & ALL_KEYS_MATCH else max(count - 1, 0)
    asking = Asking(oplock, request, file, lambda: others, lambda: count != 0, complete, synchronous=file.synchronous)
    return (yield from control(asking, parameters, given))


def control(asking: Asking, parameters: "Control", given: bytes) -> "Code":
    """One of CODES with its input: (status, Information), or None where the request is kept."""
    code, oplock, owner = parameters.code, asking.oplock, asking.owner
    if code == BREAK_NOTIFY:
        event = oplock.settled()
        if event is not None:
            yield Wait([event], reason=f"the oplock break on {asking.name} to end")
        return int(NtStatus.SUCCESS), 0
    if code == ACK_CLOSE_PENDING:
        return oplock.close_pending(owner), 0
    if code == BREAK_ACK_NO_2:
        return oplock.acknowledge(owner, asking.complete, keep=False)
    if code == BREAK_ACKNOWLEDGE:
        return _acknowledged(asking, oplock.acknowledge(owner, asking.complete))
    if code == REQUEST_OPLOCK:
        return _request_cache(asking, parameters, given)
    return _grant(asking, _KINDS[code], level_of(_KINDS[code]))


def _acknowledged(asking: Asking, answer: tuple[int, int]) -> tuple[int, int] | None:
    """A holder that keeps something keeps its request too: that of the acknowledgement from now on."""
    if answer[0] != NtStatus.PENDING:
        return answer
    _cancellable(asking, next(one for one in asking.oplock.holders if one.complete is asking.complete))
    return None


def _cancellable(asking: Asking, holder: Holder) -> None:
    """The request that is kept for a holder can be taken back, as it is when its thread ends."""

    def cancel(_: "Request") -> "Code":
        asking.oplock.cancel(holder)
        yield from ()

    asking.request.set_cancel_routine(cancel)


def _request_cache(asking: Asking, parameters: "Control", given: bytes) -> tuple[int, int] | None:
    if parameters.input_length < INPUT.size or parameters.output_length < _OUTPUT_SIZE:
        return int(NtStatus.BUFFER_TOO_SMALL), 0
    version, length, wanted, flags = INPUT.unpack_from(given)
    if version != 1 or length < INPUT.size or bool(flags & _FLAG_REQUEST) is bool(flags & _FLAG_ACK):
        return int(NtStatus.INVALID_PARAMETER), 0
    level = Cache(wanted & 7)
    if flags & _FLAG_ACK:
        return _acknowledged(asking, asking.oplock.acknowledge(asking.owner, asking.complete, level=level))
    if level not in GRANTABLE or wanted & ~7:
        return int(NtStatus.INVALID_PARAMETER), 0
    return _grant(asking, Kind.CACHE, level)


def _grant(asking: Asking, kind: Kind, level: Cache) -> tuple[int, int] | None:
    if asking.directory and (kind is not Kind.CACHE or level & Cache.WRITE):
        return int(NtStatus.INVALID_PARAMETER), 0
    if asking.synchronous:
        return int(NtStatus.OPLOCK_NOT_GRANTED), 0
    oplock = asking.oplock
    holder = Holder(asking.owner, key_of(asking.owner), kind, level, asking.complete)
    status = oplock.request(holder, opens=asking.opens(), locks=asking.locks())
    if status != NtStatus.PENDING:
        return status, 0
    _cancellable(asking, holder)
    return None
