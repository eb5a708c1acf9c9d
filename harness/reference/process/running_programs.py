"""Programs that a kernel is asked to run: to their end, or in the background.

Guest time passes only while a request has the kernel run, so a program in the background does nothing between
requests, and a run is the same again whenever its requests come.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.nt import NtStatus
from harness.reference.machine.loader.loader import LoadError, needs_library
from harness.reference.process.refusal import RefusedError
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.user.program import LIBRARY, Program
from harness.reference.windows.user.streams import InputPipe
from harness.wire.programs import Await, End, Look, Progress, Start

GRACE_TICKS = 10_000_000
"""How long a process may take to end once it has been told to: 1 s of virtual time. It may hang in its I/O for ever."""
CONTROL_C_EXIT = 0xC000013A


class RunningPrograms:
    """The programs of one kernel, as they are asked for from outside."""

    def __init__(self, system: Kernel) -> None:
        self._system = system
        self._background: dict[int, Program] = {}
        """By process id, until they have ended and that has been told."""

    def start(self, image: str, arguments: Sequence[str], stdin: bytes | None, service: str = "") -> Program:
        """A program that is ready to run; without an input it waits for one. RefusedError if it cannot be loaded."""
        path = Path(image)
        data = path.read_bytes()
        library = _library_for(path) if needs_library(data) else None
        pipe = InputPipe(stdin or b"", is_open=stdin is None)
        try:
            return self._system.programs.start(image, data, arguments, pipe, library=library, service=service)
        except LoadError as error:
            raise RefusedError(int(error.status), error.message) from error

    def finish(self, program: Program) -> tuple[str, ...]:
        """Run until a program has ended; what its threads wait for if they do not come back."""
        k = self._system
        k.run_while(lambda: program.exit_status is None)
        self._run_for(GRACE_TICKS, lambda: not program.ended.state)
        if program.ended.state:
            k.settle()
            return ()
        k.flt.report_outstanding()
        self._report_blocked()
        return self._report_busy(program) or tuple(
            waiter.waits_for for waiter in k.scheduler.waiting_threads() if not self._serves(waiter.process)
        )

    def _report_busy(self, program: Program) -> tuple[str, ...]:
        """Name the drivers that a thread of the program is still at work in, as in a loop; what each does."""
        k = self._system
        told = []
        for thread in program.process.threads:
            location = k.location_in(thread.execution) if thread.waiting is None else None
            if location is not None:
                told.append(f"thread {thread.id} is at work at {location}")
                text = f"does not come back: {told[-1]}, again and again"
                k.verifier.report(None, location.split("+")[0], text, chain=k.places_in(thread.execution))
        return tuple(told)

    # -- in the background

    def start_in_background(self, asked: Start) -> Progress:
        """Start a program, and run until it is ready. Without an input it has a console that nobody types at."""
        program = self.start(asked.image, asked.args, asked.stdin or None, asked.service)
        self._background[program.process.id] = program
        ready = asked.ready.encode()

        def awaited() -> bool:
            return not (ready in program.output.data if ready else program.at_rest)

        self._run_for(asked.patience, lambda: program.exit_status is None and awaited())
        return self._progress(program)

    def look(self, asked: Look) -> Progress:
        """How a program is."""
        return self._progress(self._known(asked.process))

    def run_to_end(self, asked: Await) -> Progress:
        """Run until a program has ended, or the time is over."""
        program = self._background.get(asked.process)
        if program is not None:
            self._run_for(asked.patience, lambda: not program.ended.state)
        return Progress(asked.process, registry_changed=self._system.registry.changed)

    def end(self, asked: End) -> Progress:
        """End a program: as it wants to be told, or else at once."""
        k, program = self._system, self._known(asked.process)
        if asked.patience and not program.ended.state and k.programs.tell_to_end(program):
            self._run_for(asked.patience, lambda: not program.ended.state)
        if not program.ended.state:
            k.spawn(k.programs.kill(program, CONTROL_C_EXIT), f"end {program.image.name}")
            self._run_for(GRACE_TICKS, lambda: not program.ended.state)
        if not program.ended.state:
            self._report_blocked()
        return self._progress(program)

    def _known(self, process: int) -> Program:
        program = self._background.get(process)
        if program is None:
            raise RefusedError(int(NtStatus.INVALID_CID), f"no program in the background has the process id {process}")
        return program

    def _serves(self, process: int) -> bool:
        program = self._background.get(process)
        return program is not None and program.exit_status is None

    def _progress(self, program: Program) -> Progress:
        printed = bytes(program.output.data)
        program.output.data.clear()
        if program.ended.state:
            del self._background[program.process.id]
        code = program.exit_status if program.ended.state else None
        return Progress(program.process.id, printed, code, registry_changed=self._system.registry.changed)

    # -- what they share

    def _run_for(self, ticks: int, wanted: Callable[[], bool]) -> None:
        """Run while something is wanted, at most so long, in 100 ns of guest time."""
        over: list[bool] = []
        timer = self._system.timer(ticks, lambda: over.append(True))
        self._system.run_while(lambda: wanted() and not over)
        timer.cancel()

    def _report_blocked(self) -> None:
        """Name the drivers that have a thread of a program and do not let it come back."""
        drivers = {driver.name for driver in self._system.drivers.loaded.values()}
        threads = {thread.id: thread for thread in self._system.scheduler.threads.values()}
        for waiter in self._system.scheduler.waiting_threads():
            driver = (waiter.location or "").split("+")[0]
            if driver in drivers and not self._serves(waiter.process):
                text = f"does not come back: at {waiter.location} thread {waiter.thread} waits for {waiter.waits_for}"
                chain = self._system.places_in(threads[waiter.thread].execution)
                self._system.verifier.report(None, driver, text, chain=chain)


def _library_for(image: Path) -> bytes:
    r"""The library of a program: beside it, or in \Windows\System32 of the drive that it is on."""
    for folder in image.parents:
        for place in (folder, folder / "Windows" / "System32"):
            if (place / LIBRARY).is_file():
                return (place / LIBRARY).read_bytes()
    raise RefusedError(
        int(NtStatus.DLL_NOT_FOUND), f"{image.name} imports more than ntdll and fltlib, and {LIBRARY} is not there"
    )
