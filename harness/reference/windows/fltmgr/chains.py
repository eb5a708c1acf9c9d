"""Chains: the callbacks of all minifilters in turn, called by machine code instead of one by one by Python.

What a chain does is what the passage does (passage.py), as long as every callback answers with success and changes
nothing: it goes from filter to filter without leaving the processor, and notes each call for the trace. It stops at the
first callback that does anything else, and the passage goes on from there. Whoever looks meanwhile at where the
operation is (its `visit`, `post`, `nodes`) makes the chain stop, too, after the callback that runs. So nothing depends
on whether there are chains; a kernel with `leaves=False`, with mutants, or with an instrument that watches callbacks
has none.
"""

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from harness.nt import IrpMajor, NtStatus, OperationClass, PreopStatus
from harness.reference.machine.cpu.notes import ROOM_FOR_NOTES
from harness.reference.machine.memory.guarded_heap import GuardedHeap
from harness.reference.machine.memory.layout import PAGE_SIZE
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.chain_layout import CALLED, CHAIN, DONE, HEADER, KEPT, OPERATION, ROUTINES, VISIT
from harness.reference.windows.verifier.kept import Kept
from harness.wire.trace import Phase

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.io.request import Code, Request
    from harness.reference.windows.ntos.executive import Executive

FILTER_CHAINS = 0xFFFF_9D00_0005_0000
MOST_VISITS = min((PAGE_SIZE - CHAIN.VISITS) // VISIT.SIZE, ROOM_FOR_NOTES - 1)
_U32, _U64 = Struct("<I"), Struct("<Q")
_OWED = Struct("<QB")  # CONTEXT, OWED
assert VISIT.OWED == VISIT.CONTEXT + 8


_ROUTINES = {Phase.PRE: "FltpCallPreoperations", Phase.POST: "FltpCallPostoperations"}


HELD_UNTIL_POST = "PRE-SYNC-09"
"""What a lock breaks that a preoperation callback keeps and asks for SYNCHRONIZE, to release it in post."""


def takes_locks(request: "Request", answer: int) -> bool:
    """Whether a callback is to keep its locks: who completes an acquire or release has done the file system's part."""
    return request.kind is OperationClass.FS_FILTER and answer == PreopStatus.COMPLETE


class Turn(NamedTuple):
    """A minifilter in a chain: how the trace calls it, its instance's address, its callbacks or 0."""

    name: str
    instance: int
    pre: int
    post: int
    related: bytes
    """Its FLT_RELATED_OBJECTS."""


class Passenger(Protocol):
    """An operation (operation.py), as far as chains go."""

    request: "Request"
    data: int
    label: str
    instances: list[Any]
    next: int
    running: int
    noted_below: bool
    chain: "Chain | None"

    def begin_chain(self, chain: "Chain") -> None:
        """Lay out what a chain that makes the preoperation callbacks needs."""

    def leave_chain(self, *, called: bool = True) -> None:
        """From now on it goes step by step; what a chain was at becomes its `visit`."""

    @property
    def status(self) -> int: ...
    @property
    def io_status(self) -> int: ...


class Stopped(NamedTuple):
    """A callback that a chain has stopped at."""

    visit: Any
    """An operation.Visit."""
    answer: int
    irql: int
    """At which it was called."""


class _Said(dict[int, str]):
    """What notes say; what is no visit is the status with which the operation has come back."""

    def __missing__(self, status: int) -> str:
        text = self[status] = f"completed 0x{status:08X}"
        return text


class Chain:
    """One chain, for operations that go through the same filters; `operation` is the one that it has now."""

    def __init__(self, heap: GuardedHeap, turns: Sequence[Turn]) -> None:
        self.turns = turns
        self.address = heap.allocate(PAGE_SIZE)
        self._ram = heap.memory.ram
        self._at = heap.place(self.address)
        self._visits = self.address + CHAIN.VISITS
        self._end = self._visits + VISIT.SIZE * len(turns)
        self.said: dict[int, str] = _Said()
        """By a visit's address, and that plus one for post, what the trace says of it."""
        self.said[self._end] = "file system"
        for index, turn in enumerate(turns):
            place = self._at + CHAIN.VISITS + VISIT.SIZE * index
            ROUTINES.pack_into(self._ram, place, turn.pre, turn.post, turn.instance)
            visit = self._visits + VISIT.SIZE * index
            self.said[visit], self.said[visit + 1] = f"{turn.name}: pre", f"{turn.name}: post"
        self.related = b"".join(turn.related.ljust(OPERATION.STRIDE, b"\0") for turn in turns)
        """What lies at OPERATION.VISITS when it begins."""
        self.operation: Passenger | None = None
        self.begun = False
        self.running: Phase | None = None
        """Machine code is on its way through it."""
        self.visit: Any = None
        """The visit in whose callback the operation has left it."""

    # -- the record

    def begin_pre(self, irql: int, status: int, information: int, parameters: bytes) -> None:
        """Fill in the record for preoperation callbacks, from the highest filter on."""
        self.begun = True
        self._begin(0, irql, status, information)
        self._ram[self._at + CHAIN.PARAMETERS : self._at + CHAIN.VISITS] = parameters

    def begin_post(self, irql: int, status: int) -> None:
        """Fill in the record for the postoperation callbacks that are owed, from the lowest filter on."""
        self._begin(len(self.turns) - 1, irql, status, 0)

    def _begin(self, first: int, irql: int, status: int, information: int) -> None:
        assert self.operation is not None
        self.visit = None
        data, visit = self.operation.data, self._visits + VISIT.SIZE * first
        related = data + OPERATION.VISITS + OPERATION.STRIDE * first
        HEADER.pack_into(self._ram, self._at, data, irql, 0, status, information, visit, related, self._end, 0)

    def kept(self, thread: "Thread", acquisitions: int) -> Kept:
        """What was kept when it began in a thread, after so many acquisitions of locks."""
        controls, critical, guarded, held, process = KEPT.unpack_from(self._ram, self._at + CHAIN.CONTROLS)
        return Kept(thread, (-critical, -guarded), acquisitions, held, controls, process)

    def stop(self) -> None:
        """Have it return as soon as the callback that runs now has."""
        self._ram[self._at + CHAIN.STOP] = 1

    @property
    def now(self) -> int:
        """The index of the visit that is made now, or at which it has stopped."""
        return self._index(_U64.unpack_from(self._ram, self._at + CHAIN.NOW)[0])

    @property
    def stopped(self) -> Stopped:
        """The callback that it has stopped at."""
        answer: int = _U32.unpack_from(self._ram, self._at + CHAIN.ANSWER)[0]
        return Stopped(self.visit, answer, self._ram[self._at + CHAIN.IRQL])

    @property
    def status(self) -> int:
        """The status that callbacks are shown."""
        status: int = _U32.unpack_from(self._ram, self._at + CHAIN.STATUS)[0]
        return status

    def parameters(self, instance: int) -> bytes:
        """The parameter block as an instance is shown it."""
        at = self._at + CHAIN.PARAMETERS
        block = bytearray(self._ram[at : at + CHAIN.VISITS - CHAIN.PARAMETERS])
        _U64.pack_into(block, OPERATION.TARGET_INSTANCE, instance)
        return bytes(block)

    def context(self, index: int) -> int | None:
        """The completion context of a filter that is owed its postoperation callback; None if it is not."""
        context, owed = _OWED.unpack_from(self._ram, self._at + CHAIN.VISITS + VISIT.SIZE * index + VISIT.CONTEXT)
        return context if owed else None

    def _index(self, visit: int) -> int:
        return (visit - self._visits) // VISIT.SIZE


class Chains:
    """The chains of a filter manager."""

    def __init__(self, kernel: "Executive", watched: Callable[[], bool]) -> None:
        self._kernel = kernel
        self._watched = watched
        """Whether an instrument wants to see each callback."""
        self._heap = GuardedHeap(kernel.memory, FILTER_CHAINS)
        self._notes = kernel.notes
        self._routines = {phase: kernel.exports.routine(name) or 0 for phase, name in _ROUTINES.items()}
        for phase, field in ((Phase.PRE, VISIT.PRE), (Phase.POST, VISIT.POST)):
            kernel.chains.routines[self._routines[phase]] = partial(self._callback, field)
        self._possible = all(self._routines.values()) and not kernel.mutants.names
        """A mutant replaces a step: there have to be steps."""
        self._at_apc = kernel.policy["fast-io-irql"] == "apc"
        self._turns: dict[int, Sequence[Turn]] = {}
        """By the identity of a list of instances."""
        self._free: dict[int, list[Chain]] = {}
        """By the identity of its turns."""

    def take(self, operation: Passenger) -> Chain | None:
        """A chain for an operation that begins; None if it has to go step by step: creates keep the thread for post."""
        request, turns = operation.request, self._turns.get(id(operation.instances))
        if turns is None or not self._possible or request.major == IrpMajor.CREATE:
            return None
        if (self._at_apc and not request.is_irp) or self._watched():
            return None
        free = self._free[id(turns)]
        chain = free.pop() if free else Chain(self._heap, turns)
        self._notes.explain(chain.address, ((operation.data, operation.label), chain.said))
        chain.operation, chain.begun = operation, False
        return chain

    def _callback(self, field: int, call: Call) -> int:
        """The callback that machine code has called last, of a call of it; 0 if there is none."""
        memory, (chain,) = self._kernel.memory, call.args
        now = memory.read_u64(chain + CHAIN.NOW)
        return memory.read_u64(now + field) if chain + CHAIN.VISITS <= now < chain + PAGE_SIZE else 0

    # -- calling

    def call_pre(self, operation: Passenger) -> "Code":
        """Make the preoperation callbacks; the one that has to be judged, or None. Then it may go on step by step."""
        chain = operation.chain
        assert chain is not None
        operation.begin_chain(chain)
        outcome = yield from self._run(operation, chain, Phase.PRE)
        if outcome == DONE:
            operation.next = len(operation.instances)
            operation.noted_below = True
        return chain.stopped if outcome == CALLED else None

    @staticmethod
    def goes_up(operation: Passenger, status: int) -> bool:
        """Whether an operation that has come back with a status goes up in a chain, which notes that for the trace."""
        if operation.chain is not None and operation.request.is_irp and status == NtStatus.FLT_DISALLOW_FAST_IO:
            operation.leave_chain()  # which no callback may leave, whoever has stored it
        return operation.chain is not None

    def call_post(self, operation: Passenger) -> "Code":
        """Make the postoperation callbacks that are owed; the one that has to be judged, or None."""
        chain = operation.chain
        assert chain is not None
        chain.begin_post(self._kernel.irql, operation.io_status)
        outcome = yield from self._run(operation, chain, Phase.POST)
        if outcome == DONE:
            operation.chain = None
            self.give_back(chain)
        return chain.stopped if outcome == CALLED else None

    def _run(self, operation: Passenger, chain: Chain, phase: Phase) -> "Code":
        """Run machine code through a chain; how that ended. Unless it is done, the operation has left the chain."""
        chain.running = phase
        operation.running += 1
        kernel = self._kernel
        acquisitions = kernel.locks.acquisitions
        self._notes.make_room()
        outcome = yield Call(self._routines[phase], chain.address)
        operation.running -= 1
        if outcome != DONE:
            operation.leave_chain(called=outcome == CALLED)
            judged = outcome != CALLED or not takes_locks(operation.request, chain.stopped.answer)
        else:
            judged = acquisitions != kernel.locks.acquisitions or kernel.kept.stack_nearly_used_up
        if judged:
            self._check_kept(chain, chain.kept(kernel.current, acquisitions), phase, called=outcome == CALLED)
        chain.running = None
        if operation.chain is None:
            self.give_back(chain)
        return outcome

    def _check_kept(self, chain: Chain, before: Kept, phase: Phase, *, called: bool) -> None:
        """Machine code has stopped, or has not seen all: it does not count acquisitions."""
        synchronizes = phase is Phase.PRE and called and chain.stopped.answer == PreopStatus.SYNCHRONIZE
        rule = HELD_UNTIL_POST if synchronizes else None
        driver = chain.visit.instance.filter.name if called else None
        self._kernel.kept.check(before, driver, f"its {phase.spelling}operation callback", rule=rule)

    # -- keeping

    def give_back(self, chain: Chain) -> None:
        """An operation is done with its chain."""
        chain.operation = None
        free = self._free.get(id(chain.turns))
        if free is not None:
            free.append(chain)
        else:
            self._discard(chain)

    def keep(self, instances: list[Any], turns: Sequence[Turn]) -> None:
        """Operations will go through these filters again and again, until `forget`."""
        if 0 < len(turns) <= MOST_VISITS:
            self._turns[id(instances)] = turns
            self._free[id(turns)] = []

    def forget(self) -> None:
        """The filters are others now."""
        for chains in self._free.values():
            for chain in chains:
                self._discard(chain)
        self._free.clear()
        self._turns.clear()

    def _discard(self, chain: Chain) -> None:
        self._notes.forget(chain.address)
        self._heap.free(chain.address)
