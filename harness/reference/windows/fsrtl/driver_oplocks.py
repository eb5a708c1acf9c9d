"""Oplocks of drivers: an OPLOCK that a filter or a file system keeps for a file, by its address.

What is in an OPLOCK is ours. An operation is held against it by what it does to the file; if it has to wait for a
break, it waits here, or its driver is called back once it may go on.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call, Wait
from harness.reference.windows.fsrtl import oplock_keys
from harness.reference.windows.fsrtl.oplocks import ACKNOWLEDGEMENT_TICKS, Cache, Does, Kind, Oplock
from harness.reference.windows.io.constants import FileInformationClass
from harness.reference.windows.io.parameters import SET_INFORMATION, Control, Create

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.request import Code, Request
    from harness.reference.windows.ntos.executive import Executive

COMPLETE_IF_OPLOCKED, KEY_CHECK_ONLY, IGNORE_KEYS, PARENT_OBJECT = 0x1, 0x2, 0x8, 0x10
"""OPLOCK_FLAG_*. BACK_OUT_ATOMIC_OPLOCK (4) has nothing to take back here: a create reserves nothing."""
_OPEN_REQUIRING_OPLOCK, _RESERVE_OPFILTER, _READ_ATTRIBUTES = 0x1_0000, 0x10_0000, 0x80
_OPTION_COMPLETE_IF_OPLOCKED = 0x100
_SET_ZERO_DATA = 0x980C8
_DESIRED_ACCESS = 16
_WRITES, _HARMLESS = 0x0001_0006, 0x0010_0180
_OVERWRITES = (0, 4, 5)
_SIZES = frozenset(
    {FileInformationClass.ALLOCATION, FileInformationClass.END_OF_FILE, FileInformationClass.VALID_DATA_LENGTH}
)
_NAMES = frozenset(
    {
        FileInformationClass.RENAME, FileInformationClass.RENAME_EX, FileInformationClass.LINK,
        FileInformationClass.LINK_EX, FileInformationClass.DISPOSITION, FileInformationClass.DISPOSITION_EX,
        FileInformationClass.SHORT_NAME,
    }
)  # fmt: skip


class DriverOplocks:
    """The OPLOCKs that drivers have initialized."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._oplocks: dict[int, Oplock] = {}

    def make(self, address: int) -> None:
        """FsRtlInitializeOplock."""
        self._kernel.memory.write_u64(address, 0)
        self._oplocks[address] = Oplock(self._kernel.signal)

    def at(self, address: int) -> Oplock:
        """The oplock of an OPLOCK; a finding, and one made now, for what was never initialized."""
        if address not in self._oplocks:
            text = f"the OPLOCK at {address:#x} is used, and was never initialized (FltInitializeOplock)"
            self._kernel.verifier.report(None, self._kernel.blame.current().driver, text)
            self._oplocks[address] = Oplock(self._kernel.signal)
        return self._oplocks[address]

    def remove(self, address: int) -> None:
        """FsRtlUninitializeOplock: who still holds it, or waits, is let go."""
        oplock = self._oplocks.pop(address, None)
        for holder in list(oplock.holders) if oplock is not None else ():
            assert oplock is not None
            oplock.cleanup(holder.owner)


def is_fast_io_possible(oplock: Oplock) -> bool:
    """FsRtlOplockIsFastIoPossible: nothing that a fast read or write would have to break."""
    return all(holder.exclusive and holder.breaking_to is None for holder in oplock.holders)


def is_batch(oplock: Oplock) -> bool:
    """FsRtlCurrentBatchOplock."""
    return any(holder.kind in (Kind.BATCH, Kind.FILTER) or holder.level & Cache.HANDLE for holder in oplock.holders)


def caches_handles(oplock: Oplock) -> bool:
    """FsRtlCurrentOplockH."""
    return any(holder.level & Cache.HANDLE for holder in oplock.holders)


def does_of(k: "Executive", request: "Request") -> Does | None:
    """What an operation does to its file; None if no oplock minds."""
    major = request.major
    if major == IrpMajor.CREATE:
        return _of_create(k, Create.unpack(request.parameters))
    if major == IrpMajor.READ:
        return Does.READ
    if major in (IrpMajor.WRITE, IrpMajor.LOCK_CONTROL):
        return Does.WRITE
    if major == IrpMajor.SET_INFORMATION:
        kind = SET_INFORMATION.unpack_from(request.parameters)[1]
        return Does.WRITE if kind in _SIZES else Does.RENAME if kind in _NAMES else None
    if major == IrpMajor.FILE_SYSTEM_CONTROL and Control.unpack(request.parameters).code == _SET_ZERO_DATA:
        return Does.WRITE
    return None


def _of_create(k: "Executive", parameters: Create) -> Does | None:
    access = k.memory.read_u32(parameters.security_context + _DESIRED_ACCESS)
    if parameters.options >> 24 in _OVERWRITES:
        return Does.OVERWRITE
    if not access & ~_HARMLESS:
        return None
    return Does.OPEN_TO_WRITE if access & _WRITES else Does.OPEN


class Checked(Enum):
    """What comes of holding an operation against an oplock."""

    MAY_GO_ON = "may go on"
    BREAK_IN_PROGRESS = "is to end, as it wants to rather than to wait for a break"
    WAITS = "waits, and its driver is called back once it may go on"
    CANCELLED = "was cancelled while it waited"


def check(
    io: "IoManager",
    oplock: Oplock,
    request: "Request",
    flags: int = 0,
    does: Does | None = None,
    *,
    post: Call | None = None,
    completion: Call | None = None,
    held: "Request | None" = None,
    tell: Callable[[NtStatus], None] | None = None,
) -> "Code":
    """Hold an operation against an oplock, and break what it breaks; returns `Checked`.

    Its driver's routines: `post` is called before the operation is left to wait, `completion` once it may go on.
    Without `completion` it is the caller that waits. `held` is what waits and can be cancelled, if that is another
    request; `tell` stores how the wait has ended, SUCCESS or CANCELLED, where `completion` finds it.
    """
    held = held or request
    if request.major == IrpMajor.CREATE:
        oplock_keys.attach(io, request)
    event = None if flags & KEY_CHECK_ONLY else _begin_break(io.kernel, oplock, request, flags, does)
    if event is None:
        return Checked.MAY_GO_ON
    if _completes_if_oplocked(request, flags):
        return Checked.BREAK_IN_PROGRESS
    if completion is None:
        settled = yield from _wait(io.kernel, oplock, event, held)
        return Checked.MAY_GO_ON if settled else Checked.CANCELLED
    if post is not None:
        yield post
    io.kernel.queue_worker(_wait_and_call(io.kernel, oplock, event, held, completion, tell))
    return Checked.WAITS


def _wait_and_call(
    k: "Executive",
    oplock: Oplock,
    event: Event,
    request: "Request",
    completion: Call,
    tell: Callable[[NtStatus], None] | None,
) -> "Code":
    settled = yield from _wait(k, oplock, event, request)
    if tell is not None:
        tell(NtStatus.SUCCESS if settled else NtStatus.CANCELLED)
    yield completion


def _completes_if_oplocked(request: "Request", flags: int) -> bool:
    """Whether an operation goes on although a break is under way."""
    if flags & COMPLETE_IF_OPLOCKED:
        return True
    create = request.major == IrpMajor.CREATE
    return create and bool(Create.unpack(request.parameters).options & _OPTION_COMPLETE_IF_OPLOCKED)


def of_create(io: "IoManager", oplock: Oplock, request: "Request", count: int) -> int:
    """An oplock "FSCTL" of a create that asks for one by its options: NTSTATUS; CANNOT_BREAK_OPLOCK if it would break.

    `count` is how many handles of the stream there are.
    """
    file, parameters = request.file, Create.unpack(request.parameters)
    oplock_keys.attach(io, request)
    if file is None or not parameters.options & (_OPEN_REQUIRING_OPLOCK | _RESERVE_OPFILTER):
        return int(NtStatus.INVALID_PARAMETER)
    if parameters.options & _RESERVE_OPFILTER:
        exact = io.kernel.memory.read_u32(parameters.security_context + _DESIRED_ACCESS) == _READ_ATTRIBUTES
        return int(NtStatus.SUCCESS if exact and not count else NtStatus.OPLOCK_NOT_GRANTED)
    does = does_of(io.kernel, request)
    broken = does is not None and oplock.would_break(does, file, oplock_keys.key_of(file))
    return int(NtStatus.CANNOT_BREAK_OPLOCK if broken else NtStatus.SUCCESS)


def _begin_break(k: "Executive", oplock: Oplock, request: "Request", flags: int, does: Does | None) -> Event | None:
    """Break what an operation breaks; the event to wait for before it may go on."""
    file = request.file
    if request.major == IrpMajor.CLEANUP:
        oplock.cleanup(file)
        return None
    does = does or does_of(k, request)
    return oplock.check(does, file, _key(file, flags)) if does is not None else None


def _key(file: "FileObject | None", flags: int) -> object:
    """The key that counts for an operation; a new object is nobody else's."""
    if file is None or flags & IGNORE_KEYS:
        return object()
    if flags & PARENT_OBJECT:
        return file.parent_oplock_key or object()
    return oplock_keys.key_of(file)


def _wait(k: "Executive", oplock: Oplock, event: Event, request: "Request") -> "Code":
    """Wait for the acknowledgement of a break; a holder that takes too long loses its oplock. False if cancelled."""
    cancelled = Event(f"a cancel of {request.describe()}")

    def cancel(request: "Request") -> "Code":
        del request
        cancelled.state = True
        k.signal(cancelled)
        yield from ()

    if request.cancelled:
        return False
    request.set_cancel_routine(cancel)
    yield Wait(
        [event, cancelled],
        timeout=ACKNOWLEDGEMENT_TICKS,
        reason=f"{request.describe()} to be let on by an oplock's holder",
    )
    request.set_cancel_routine(None)
    if not cancelled.state and not event.state:
        oplock.give_up()
    return not cancelled.state
