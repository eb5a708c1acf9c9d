"""KMUTEXes: who has taken which, and what becomes of those of a thread that ends."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ke.dispatcher_objects import DispatcherHeader, GuestMutant, KMutant

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.scheduler import Scheduler
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.ntos.ex.lock_table import Acquisition, LockTable
    from harness.reference.windows.ntos.ps.process_table import ProcessTable
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.findings import Verifier


class Mutexes:
    """The KMUTEXes that were initialized. Their state is in guest memory."""

    def __init__(
        self,
        memory: "Memory",
        scheduler: "Scheduler",
        processes: "ProcessTable",
        locks: "LockTable",
        blame: "Blame",
        verifier: "Verifier",
    ) -> None:
        self._memory = memory
        self._scheduler = scheduler
        self._processes = processes
        self._locks = locks
        self._blame = blame
        self._verifier = verifier
        self._known: dict[int, Acquisition | None] = {}
        """By address: how it was acquired last."""

    def initialized(self, address: int) -> None:
        """There is one from now on."""
        self._known[address] = None

    def waited_for(self, address: int) -> GuestMutant:
        """One that the caller is about to wait for."""
        at = self._blame.current().location or ""
        mutant = GuestMutant(self._memory, address, self._processes.threads)
        mutant.taken = lambda: self._taken(address, at)
        return mutant

    def _taken(self, address: int, at: str) -> None:
        self._known[address] = self._locks.count_acquisition(at)

    def of(self, thread: "Thread") -> "list[tuple[int, Acquisition | None]]":
        """Those that a thread owns, and how it has acquired them."""
        for address in [item for item in self._known if not self._memory.is_mapped(item, KMutant.SIZE)]:
            del self._known[address]
        return [item for item in self._known.items() if KMutant(self._memory, item[0]).owner_thread == thread.kthread]

    def abandon(self, thread: "Thread") -> None:
        """A thread has ended: those that it owns are abandoned."""
        for address, acquired in self.of(thread):
            at = acquired.at if acquired is not None else ""
            text = f"{thread.describe()} ended while it owned the mutex at {address:#x}"
            where = f", acquired at {at}" if at else ""
            self._verifier.report(None, None, f"{text}{where}", chain=(at,) if at else ())
            mutant = KMutant(self._memory, address)
            mutant.owner_thread = 0
            mutant.abandoned = 1
            DispatcherHeader(self._memory, address).signal_state = 1
            self._scheduler.signal_key(address)
