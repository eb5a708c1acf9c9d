"""Attempts: I/O scripts that a copy of the kernel runs one after another, with what each has reached in the drivers.

The kernel stays as it is, a snapshot with the drivers loaded, so that thousands of scripts find it so. Copies run side
by side, one for each batch of scripts. Those of a batch follow each other without a new snapshot, several in a process,
which is what makes them quick: whoever wants to know what a script does by itself has it tried alone.
"""

import gc
import os
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.block_counter import EDGES
from harness.reference.machine.cpu.watchdog import watching
from harness.reference.machine.stop import MachineStop
from harness.reference.process import audit
from harness.reference.process.copies import Copied, in_copies
from harness.reference.process.counting import required
from harness.reference.process.running_programs import RunningPrograms
from harness.reference.windows.ntos.ob.namespace import SYMBOLIC_LINK
from harness.reference.windows.user.streams import InputPipe
from harness.wire.attempts import PER_EDGE, Attempt, Attempts, Entrances, Tried, TriedBatches
from harness.wire.codec import decode, encode
from harness.wire.kernel_state import Finding, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.cpu.block_counter import ImageCounters
    from harness.reference.windows.kernel import Kernel
    from harness.reference.windows.user.program import Program

_BUCKETS = bytes(0 if times == 0 else 1 << min(7, (times - 1).bit_length()) for times in range(256))
"""How often an edge was gone, as one bit: 1, 2, up to 4, 8, 16, …"""
IN_ONE_PROCESS = 16
"""How many scripts of a batch run in one process: its start and end cost as much as two or three steps."""
NEXT = b"\n---\n"
"""What ends a script behind which fltprobe waits for the next one."""
_NOTHING = "sleep 0"
"""A script that does nothing to any driver."""
_GONE = re.compile(rb"[^\0]")


class AttemptRunner:
    """Tries scripts in copies of one kernel."""

    def __init__(
        self, system: "Kernel", counters: "ImageCounters | None", stop_message: "Callable[[MachineStop], Stop]"
    ) -> None:
        self._system = system
        self._counters = counters
        self._stop_message = stop_message
        self._known = bytearray(EDGES)
        """By edge, the bits of `_BUCKETS` that whoever asks has seen."""
        self._program: tuple[str, bytes] = ("", b"")
        self._warm = False
        self._running: tuple[Program, InputPipe] | None = None
        """The process of the script before, which waits for the next one."""

    def run(self, asked: Attempts) -> TriedBatches:
        """Try what is asked. RefusedError by a kernel that does not count what runs."""
        required(self._counters)
        if self._program[0] != asked.program:
            self._program, self._warm = (asked.program, Path(asked.program).read_bytes()), False
        for number in asked.learnt:
            edge, bits = divmod(number, PER_EDGE)
            self._known[edge] |= bits
        if not self._warm:
            self._warm_up(asked)
        return self._tried(asked)

    def _tried(self, asked: Attempts) -> TriedBatches:
        works = [partial(self._in_copy, asked, lane) for lane in range(len(asked.batches))]
        copied = in_copies(works, asked.seconds, at_a_time=len(os.sched_getaffinity(0)))
        return TriedBatches(tuple(map(_told, copied)))

    def _warm_up(self, asked: Attempts) -> None:
        """Run the program once in the kernel itself, unless that goes wrong in a copy.

        Its image is laid out then, and its code translated, for all the copies: half of what one of them would take
        that runs a single script. Drivers see a process come and go.
        """
        self._warm = True
        (tried,) = self._tried(replace(asked, batches=((_NOTHING,),), unload=())).batches
        if tried.attempts and tried.attempts[0].is_sound:
            self._attempt(_NOTHING, asked.empty)

    def _in_copy(self, asked: Attempts, lane: int, write: "Callable[[bytes], object]") -> None:
        gc.disable()  # what it would find is what the kernel left, and looking at it would copy every page
        empty = self._own_folders(asked.empty, lane) if lane else asked.empty
        self._system.flt.recorder.watch_nobody()
        scripts = asked.batches[lane]
        with watching(self._system.emulator):  # once, and not for each script
            for number, script in enumerate(scripts, start=1):
                attempt = self._attempt(script, empty, is_last=number == len(scripts) or number % IN_ONE_PROCESS == 0)
                write(encode(attempt).encode() + b"\n")
                if attempt.stop is not None:
                    return
        if asked.unload:
            write(encode(self._unloaded(asked.unload)).encode() + b"\n")

    def _own_folders(self, folders: "tuple[str, ...]", lane: int) -> "tuple[str, ...]":
        """Have volumes lie in folders beside these, so that another copy does not see what this one writes."""
        own = []
        for folder in map(Path, folders):
            beside = folder.with_name(f"{folder.name}.{lane}")
            beside.mkdir(exist_ok=True)
            for volume in self._system.io.volumes:
                if volume.file_system is not None and volume.file_system.store.host_root == folder.resolve():
                    volume.file_system.store.lie_in(beside)
            own.append(str(beside))
        return tuple(own)

    def _attempt(self, script: str, empty: "tuple[str, ...]", *, is_last: bool = True) -> Attempt:
        """Have a script run, in the process of the one before if that waits for more; it ends with the last."""
        known = len(self._system.verifier.findings)
        for folder in empty:
            _empty(Path(folder))
        required(self._counters).forget_edges()
        stop, code = None, 0
        try:
            code = self._run(script.encode(), is_last=is_last)
        except MachineStop as stopped:
            stop = self._stop_message(stopped)
        return Attempt(self._news(), code, self._findings(known), stop)

    def _run(self, script: bytes, *, is_last: bool) -> int:
        k, (path, data) = self._system, self._program
        if self._running is None:
            pipe = InputPipe(is_open=True)
            self._running = k.programs.start(path, data, (), pipe), pipe
        program, pipe = self._running
        pipe.feed(k, script + (b"" if is_last else NEXT), last=is_last)
        if not is_last:
            k.run_while(lambda: program.exit_status is None and not pipe.is_awaited)
            if program.exit_status is None:
                k.settle()
                return 0
        self._running = None
        RunningPrograms(k).finish(program)
        return program.exit_status or 0

    def _unloaded(self, services: "tuple[str, ...]") -> Attempt:
        """What is found when the drivers are unloaded in the end."""
        known = len(self._system.verifier.findings)
        try:
            audit.unload(self._system, services)
        except MachineStop as stopped:
            return Attempt((), 0, self._findings(known), self._stop_message(stopped))
        return Attempt((), 0, self._findings(known))

    def _findings(self, known: int) -> "tuple[Finding, ...]":
        new = self._system.verifier.findings[known:]
        return tuple(Finding(one.text, one.rule, one.driver, one.time, one.chain) for one in new)

    def _news(self) -> "tuple[int, ...]":
        """The edges that were gone as often as nobody has seen before: PER_EDGE * edge + the bit."""
        gone = bytes(required(self._counters).edges).translate(_BUCKETS)
        both = int.from_bytes(gone, "little") & ~int.from_bytes(self._known, "little")
        if not both:
            return ()
        news = both.to_bytes(len(gone), "little")
        return tuple(PER_EDGE * match.start() + news[match.start()] for match in _GONE.finditer(news))


def _told(copied: Copied) -> Tried:
    *lines, _ = copied.written.split(b"\n")
    attempts = tuple(decode(Attempt, line) for line in lines)
    return Tried(attempts, copied.out_of_time, 0 if copied.out_of_time else copied.exit_code)


def entrances_of(k: "Kernel", service: str) -> Entrances:
    """The ports of a service's filter, and the names by which user mode opens its devices."""
    name = service.lower()
    driver = k.drivers.loaded.get(name)
    ports = [port.name for port in k.flt.port_clients.servers.values() if port.filter.name.lower() == name]
    links = [str(link) for link in k.holdings.held_by(driver.name, SYMBOLIC_LINK)] if driver is not None else []
    own = k.io.devices.of_driver(driver.object.address) if driver is not None else []
    return Entrances(tuple(ports), tuple(links) or tuple(device.name for device in own if device.name))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
