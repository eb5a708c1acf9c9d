"""Attempts: I/O scripts that a copy of the kernel runs one after another, with what each has reached in the drivers.

The kernel stays as it is, a snapshot with the drivers loaded, so that thousands of scripts find it so. Scripts of one
copy follow each other without a new snapshot, which is what makes them quick: whoever wants to know what a script does
by itself has it tried alone.
"""

import gc
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reference.machine.cpu.block_counter import EDGES
from harness.reference.machine.cpu.watchdog import watching
from harness.reference.machine.stop import MachineStop
from harness.reference.process import audit
from harness.reference.process.copies import in_a_copy
from harness.reference.process.counting import required
from harness.reference.process.running_programs import RunningPrograms
from harness.wire.attempts import Attempt, Attempts, Entrances, Tried
from harness.wire.codec import decode, encode
from harness.wire.kernel_state import Finding, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.cpu.block_counter import ImageCounters
    from harness.reference.windows.kernel import Kernel

_BUCKETS = bytes(0 if times == 0 else 1 << min(7, (times - 1).bit_length()) for times in range(256))
"""How often an edge was gone, as one bit: 1, 2, up to 4, 8, 16, …"""
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

    def run(self, asked: Attempts) -> Tried:
        """Try what is asked. RefusedError by a kernel that does not count what runs."""
        required(self._counters)
        if self._program[0] != asked.program:
            self._program = asked.program, Path(asked.program).read_bytes()
        for number in asked.learnt:
            edge, bits = divmod(number, 256)
            self._known[edge] |= bits
        copied = in_a_copy(lambda write: self._in_copy(asked, write), asked.seconds)
        *lines, _ = copied.written.split(b"\n")
        attempts = tuple(decode(Attempt, line) for line in lines)
        return Tried(attempts, copied.out_of_time, 0 if copied.out_of_time else copied.exit_code)

    def _in_copy(self, asked: Attempts, write: "Callable[[bytes], object]") -> None:
        gc.disable()  # what it would find is what the kernel left, and looking at it would copy every page
        with watching(self._system.emulator):  # once, and not for each script
            for script in asked.scripts:
                attempt = self._attempt(script, asked.empty)
                write(encode(attempt).encode() + b"\n")
                if attempt.stop is not None:
                    return
        if asked.unload:
            write(encode(self._unloaded(asked.unload)).encode() + b"\n")

    def _attempt(self, script: str, empty: "tuple[str, ...]") -> Attempt:
        k, known = self._system, len(self._system.verifier.findings)
        for folder in empty:
            _empty(Path(folder))
        required(self._counters).forget_edges()
        stop, code = None, 0
        path, data = self._program
        try:
            program = k.programs.start(path, data, (), script.encode())
            RunningPrograms(k).finish(program)
            code = program.exit_status or 0
        except MachineStop as stopped:
            stop = self._stop_message(stopped)
        return Attempt(self._news(), code, self._findings(known), stop)

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
        """The edges that were gone as often as nobody has seen before: 256 * edge + the bit."""
        gone = bytes(required(self._counters).edges).translate(_BUCKETS)
        both = int.from_bytes(gone, "little") & ~int.from_bytes(self._known, "little")
        if not both:
            return ()
        news = both.to_bytes(len(gone), "little")
        return tuple(256 * match.start() + news[match.start()] for match in _GONE.finditer(news))


def entrances_of(k: "Kernel", service: str) -> Entrances:
    """The ports of a service's filter, and the names by which user mode opens its devices."""
    name = service.lower()
    driver = k.drivers.loaded.get(name)
    ports = [port.name for port in k.flt.port_clients.servers.values() if port.filter.name.lower() == name]
    links = [link for link, maker in k.namespace.made_by.items() if (maker or "").lower() == name]
    own = k.io.devices.of_driver(driver.object.address) if driver is not None else []
    return Entrances(tuple(ports), tuple(links) or tuple(device.name for device in own if device.name))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
