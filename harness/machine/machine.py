"""One QEMU machine from start to end."""

import contextlib
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import FltLabError, GuestError, HostError
from harness.host.command import tail
from harness.host.directories import private_directory, write_private
from harness.host.memory import proportional_set_size
from harness.host.tools import Tool
from harness.machine.deadlines import DeadlineError, Deadlines, Wait
from harness.machine.disks import make_overlay, virtual_size
from harness.machine.evidence import machine_savers
from harness.machine.parts import SERIAL_LOG, Launch, MemoryFile, MemoryUse
from harness.machine.process import LOG, QemuProcess
from harness.machine.qmp import Event, Qmp, QmpClosedError
from harness.machine.spec import MachineSpec
from harness.machine.state import ALIVE, MachineState, only_in
from harness.machine.watchdog import watchdog

log = logging.getLogger(__name__)

_STATE_AFTER = {
    "STOP": MachineState.PAUSED,
    "RESUME": MachineState.RUNNING,
    "GUEST_PANICKED": MachineState.PANICKED,
}
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)")


class MachineDiedError(HostError):
    """QEMU ended by itself, or was killed from outside."""


class DamagedDiskError(HostError):
    """What lies under a disk of the machine has been harmed: what the guest reads from it proves nothing."""


class GuestPanickedError(GuestError):
    """The guest's kernel gave up: a Linux panic, a Windows bugcheck."""


class GuestEndedError(GuestError):
    """The guest shut itself down."""


class Machine:
    """A QEMU machine, as a context: entering starts it, leaving ends it and removes its overlays.

    `run_dir` is the machine's own directory (mode 0700): `serial.log`, `qemu.log`, overlays, secrets. `state`,
    `ports`, `qmp` and `events` say what it does; `check()` raises the first cause once it has died.
    """

    def __init__(
        self,
        spec: MachineSpec,
        run_dir: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, bytes] | None = None,
        memory_file: MemoryFile | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Prepare a machine; nothing is started.

        `secrets` are the contents of the firmware files of the spec, by their names. `memory_file` makes it a machine
        that can be frozen (shared) or a fork (private).
        """
        self.spec = spec
        self.run_dir = run_dir.absolute()
        self.name = name if name is not None else run_dir.name
        self.deadlines = deadlines if deadlines is not None else Deadlines()
        self.memory_file = memory_file
        self.ports: dict[int, int] = {}
        self._secrets = dict(secrets or {})
        self._state = MachineState.NEW
        self._changed = threading.Condition()
        self._first_cause: FltLabError | None = None
        self._mourners: list[Callable[[], None]] = []
        self._ending = False
        self._qmp: Qmp | None = None
        self._process: QemuProcess | None = None

    @property
    def state(self) -> MachineState:
        """What the machine is doing."""
        return self._state

    @property
    def qmp(self) -> Qmp:
        """The QMP connection."""
        if self._qmp is None:
            raise HostError(f"the machine {self.name} is {self._state.value}: there is no QMP")
        return self._qmp

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        if self._process is None:
            raise HostError(f"the machine {self.name} is {self._state.value}: there is no process")
        return self._process.pid

    @property
    def serial_log(self) -> Path:
        """The file that the guest's first serial port writes to."""
        return self.run_dir / SERIAL_LOG

    @property
    def qemu_log(self) -> Path:
        """The file with what QEMU itself printed."""
        return self.run_dir / LOG

    @property
    def events(self) -> list[Event]:
        """What QEMU reported so far."""
        return self._qmp.events if self._qmp is not None else []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start QEMU and let the guest run; raises HostError, with what QEMU printed, if it does not start."""
        self.launch()
        self.resume()

    @only_in(MachineState.NEW)
    def launch(self, *, incoming: bool = False) -> None:
        """Start QEMU with the guest paused, waiting for the state of another machine if `incoming`."""
        self._state = MachineState.STARTING
        try:
            self._prepare()
            self._launch(incoming=incoming)
        except BaseException:
            self.kill()
            raise

    @only_in(MachineState.STARTING, MachineState.PAUSED, MachineState.RUNNING)
    def resume(self) -> None:
        """Let the guest run."""
        self.qmp.execute("cont")
        self._settle(MachineState.RUNNING)

    @only_in(MachineState.RUNNING, MachineState.PAUSED)
    def pause(self) -> None:
        """Stop the guest's processors; it does not notice."""
        self.qmp.execute("stop")
        self._settle(MachineState.PAUSED)

    @only_in(*ALIVE)
    def inject_nmi(self) -> None:
        """Send the guest a non-maskable interrupt: a Windows guest that is set up for it bugchecks."""
        self.qmp.execute("inject-nmi")

    @only_in(*ALIVE)
    def screenshot(self, path: Path) -> Path:
        """Save what the guest's display shows, as PNG; raises QmpError if the machine has no display."""
        self.qmp.execute("screendump", filename=str(path.absolute()), format="png")
        return path

    @only_in(*ALIVE)
    def memory_used_mib(self) -> int:
        """Return what the machine really uses of the host's memory: its own, and its share of what others use too."""
        return proportional_set_size(self.pid)

    def serial_tail(self, lines: int = 12) -> tuple[str, ...]:
        """Return the last lines that the guest wrote to its serial port."""
        if not self.serial_log.exists():
            return ()
        text = self.serial_log.read_text(encoding="utf-8", errors="replace")
        return tail(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text), lines)

    def check(self) -> None:
        """Raise the first cause if the guest has panicked or ended, or QEMU has: the same error every time."""
        if self._first_cause is not None:
            raise self._first_cause

    def on_death(self, callback: Callable[[], None]) -> None:
        """Have a function called, in the event loop's thread, when the first cause is known: what `check` raises."""
        self._mourners.append(callback)

    def savers(self) -> Mapping[str, Callable[[Path], object]]:
        """Return what can be saved of it when something went wrong: by the file's name, how."""
        return machine_savers(self)

    def qemu(self) -> Self:
        """Return itself: what a guest runs in may also stand around a machine."""
        return self

    def describe(self) -> str:
        """Return one line about what the machine does now, for an error about something else."""
        line = " ".join(self.serial_tail(1))
        return f"QEMU is {self._state.value}; serial ended with {line!r}" if line else f"QEMU is {self._state.value}"

    def stop(self, *, keep_disks: bool = False) -> None:
        """End the machine in order: QEMU writes out what it holds. Then remove secrets, overlays, memory.

        With `keep_disks` overlays and memory stay, for a template.
        """
        self._ending = True
        if self._process is not None and self._process.exit_code is None:
            try:
                self.qmp.execute("quit")
                self._process.wait(self.deadlines.begin(Wait.QEMU_EXIT))
            except (QmpClosedError, DeadlineError) as error:
                log.debug("%s did not end by itself and is killed: %s", self.name, error)
        self.kill(keep_disks=keep_disks)

    def kill(self, *, keep_disks: bool = False) -> None:
        """End the machine at once, and remove its overlays and secrets. It may be called in any state, and again."""
        self._ending = True
        if self._process is not None:
            self._process.kill()
            self._process.wait(self.deadlines.begin(Wait.QEMU_EXIT))
        if self._qmp is not None:
            self._qmp.close()
        self._state = MachineState.ENDED
        self._clean(keep_disks=keep_disks)

    def _prepare(self) -> None:
        private_directory(self.run_dir)
        watchdog().scratch(self.run_dir)
        for file in self.spec.firmware_files:
            path = file.path(self.run_dir)
            path.unlink(missing_ok=True)
            write_private(path, self._secrets.get(file.name, b"\n"))
        for disk in self.spec.disks:
            if disk.writable and not disk.overlay(self.run_dir).exists():
                make_overlay(disk.overlay(self.run_dir), virtual_size(disk.image))
        memory = self.memory_file
        if memory is not None and memory.use is MemoryUse.SHARED and not memory.path.exists():
            memory.path.touch(0o600)
            os.truncate(memory.path, self.spec.memory_mib << 20)

    def _launch(self, *, incoming: bool) -> None:
        ours, qemus = socket.socketpair()
        with contextlib.ExitStack() as unless_connected:
            unless_connected.callback(ours.close)
            with qemus:
                launch = Launch(self.run_dir, qemus.fileno(), self.memory_file, incoming)
                command = self.spec.command_line(launch, Tool.QEMU.require())
                self._process = QemuProcess(command, self.qemu_log, [qemus.fileno()])
            self._qmp = Qmp(self.name, self.deadlines)
            self._qmp.subscribe(self._observe)
            self._process.on_exit(self._exited)
            try:
                self._qmp.connect(ours)
            except FltLabError as error:
                self._process.kill()
                self._process.wait(self.deadlines.begin(Wait.QEMU_EXIT))
                raise self._process.startup_error(self.name, error.message) from error
            unless_connected.pop_all()
        self.ports = self._find_ports()

    def _find_ports(self) -> dict[int, int]:
        """Ask QEMU which ports it was given; there is no QMP command for it."""
        if self.spec.network is None:
            return {}
        answer = self.qmp.human("info usernet")
        ports = {int(guest): int(host) for host, guest in _FORWARD.findall(answer)}
        missing = set(self.spec.network.forwards) - ports.keys()
        if missing:
            raise HostError(f"QEMU forwards no port to the guest's {sorted(missing)}", details=tail(answer))
        return ports

    def _settle(self, state: MachineState) -> None:
        """Wait for the event that follows a command; it may have been overtaken by the guest's end."""
        deadline = self.deadlines.begin(Wait.QMP_COMMAND)
        wanted = {state, MachineState.PANICKED, MachineState.ENDED}
        with self._changed:
            if not self._changed.wait_for(lambda: self._state in wanted, deadline.remaining):
                raise deadline.error(f"the machine is {self._state.value}")

    def _observe(self, event: Event) -> None:
        """Follow the machine's state; in the event loop's thread."""
        with self._changed:
            if event.name == "GUEST_PANICKED":
                self._blame(
                    GuestPanickedError(f"the guest {self.name} panicked", details=(f"{event.data}", *self._evidence()))
                )
            elif event.name == "SHUTDOWN" and event.data.get("guest"):
                reason = event.data.get("reason", "unknown")
                self._blame(
                    GuestEndedError(f"the guest {self.name} shut itself down ({reason})", details=self._evidence())
                )
            elif event.name == "BLOCK_IMAGE_CORRUPTED":
                disk, what = event.data.get("node-name", "unknown"), event.data.get("msg", "QEMU does not say why")
                self._blame(
                    DamagedDiskError(
                        f"the disk {disk} of the machine {self.name} is damaged", details=(str(what), *self._evidence())
                    )
                )
            state = _STATE_AFTER.get(event.name)
            if state is not None and self._state is not MachineState.PANICKED:
                self._state = state
            self._changed.notify_all()

    def _exited(self, code: int) -> None:
        """Notice QEMU's end, after what it said last: that says more than its exit code. In the event loop's thread."""
        self.qmp.after_last_event(lambda: self._ended(code))

    def _ended(self, code: int) -> None:
        with self._changed:
            if not self._ending:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                printed = self._process.complaint() if self._process is not None else ()
                self._blame(
                    MachineDiedError(
                        f"QEMU of the machine {self.name} {how}",
                        details=(*printed, *self._evidence()),
                        hint="fltlab doctor",
                    )
                )
            self._state = MachineState.ENDED
            self._changed.notify_all()

    def _blame(self, cause: FltLabError) -> None:
        if self._first_cause is None and not self._ending:
            self._first_cause = cause
            for callback in self._mourners:
                callback()

    def _evidence(self) -> tuple[str, ...]:
        lines = tuple(f"serial: {line}" for line in self.serial_tail())
        return (*lines, f"kept: {self.run_dir}") if lines else (f"kept: {self.run_dir}",)

    def _clean(self, *, keep_disks: bool) -> None:
        """Remove what is of no use without the machine; logs stay."""
        for file in self.spec.firmware_files:
            file.path(self.run_dir).unlink(missing_ok=True)
        if not keep_disks:
            for disk in self.spec.disks:
                if disk.writable:
                    disk.overlay(self.run_dir).unlink(missing_ok=True)
            if self.memory_file is not None and self.memory_file.use is MemoryUse.SHARED:
                self.memory_file.path.unlink(missing_ok=True)
        watchdog().keep(self.run_dir)
