r"""From a bug check to its dump: Windows writes it, restarts, and makes a file of it; then it is fetched.

    bug check → the guest restarts (the dump is in the page file) → it answers again (MEMORY.DMP is being made)
              → it comes over SFTP where the guest has that, or over WinRM if it is small; else from the disk once
                the guest is switched off

A guest that does not come back (its driver stops each start) is switched off, and what is on its disk is read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness.errors import FltLabError, GuestError
from harness.guest.command import CommandResult
from harness.guest.dump.offline import dumps_on_disk
from harness.guest.endpoint import SshEndpoint
from harness.machine.deadlines import Deadline, DeadlineError, Deadlines, Wait
from harness.machine.disks import DiskImage, Format
from harness.machine.machine import Machine
from harness.machine.qmp import Event, QmpClosedError

DUMP = r"C:\Windows\MEMORY.DMP"
SMALL_BYTES = 64 << 20
_SIZE = f'cmd /c "if exist {DUMP} (for %I in ({DUMP}) do @echo %~zI) else (echo none)"'
_POLL = 1.0


class Connection(Protocol):
    """A guest that answers again; `ssh` is where its SFTP server is, if it has one."""

    ssh: SshEndpoint | None

    def run(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Run a command line."""

    def get(self, windows_path: str, timeout: float | Wait = Wait.GUEST_COMMAND) -> bytes:
        """The content of a file."""

    def get_by_sftp(self, windows_path: str, target: Path) -> None:
        """Copy a file over SFTP."""

    def close(self) -> None:
        """Close the connection."""


class Crashed(Protocol):
    """The machine of the guest that crashed."""

    def wait_restart(self, deadline: Deadline) -> None:
        """Wait until the guest has restarted, or has ended."""

    def wait_off(self, deadline: Deadline) -> None:
        """Wait until the guest has switched itself off."""

    def end(self) -> DiskImage:
        """End the machine; its system disk, still with everything that the guest wrote."""


class CrashedMachine:
    """A QEMU machine after the event that told of its guest's crash, which may be the restart itself."""

    def __init__(self, machine: Machine, crash: Event) -> None:
        self._machine = machine
        self._crash = crash

    def wait_restart(self, deadline: Deadline) -> None:
        self._wait(("RESET", "SHUTDOWN"), deadline)

    def wait_off(self, deadline: Deadline) -> None:
        self._wait(("SHUTDOWN",), deadline)

    def end(self) -> DiskImage:
        self._machine.stop(keep_disks=True)
        disk = self._machine.spec.disk("system")
        return DiskImage(disk.overlay(self._machine.run_dir), Format.QCOW2, disk.image)

    def _wait(self, names: tuple[str, ...], deadline: Deadline) -> None:
        def look() -> tuple[bool | None, str]:
            seen = [event.name for event in self._machine.events if event.number >= self._crash.number]
            there = any(name in names for name in seen) or self._machine.qmp.closed
            return there or None, ", ".join(seen) or "no event"

        deadline.poll(look, _POLL)


def harvest(crashed: Crashed, connect: Callable[[Deadline], Connection], folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Fetch the dump of a guest that has just had a bug check into `folder`; also what went on, for the report.

    `connect` waits until the guest answers with the id of another boot. The machine has ended afterwards, unless the
    dump was fetched from it. GuestError if there is none.
    """
    said: list[str] = []
    try:
        crashed.wait_restart(Deadlines().begin(Wait.WINDOWS_RESTART))
        guest = connect(Deadlines().begin(Wait.WINDOWS_AGAIN))
        try:
            size = _size(guest)
            path = folder / "MEMORY.DMP"
            if guest.ssh is not None:
                guest.get_by_sftp(DUMP, path)
                return path, (f"fetched over SFTP: {size} bytes",)
            if size <= SMALL_BYTES:
                path.write_bytes(guest.get(DUMP, timeout=Wait.WINDOWS_DUMP))
                return path, (f"fetched over WinRM: {size} bytes",)
            said.append(f"the dump has {size} bytes: read from the disk")
            guest.run("shutdown.exe /s /t 0")
        finally:
            guest.close()
        crashed.wait_off(Deadlines().begin(Wait.WINDOWS_OFF))
    except (DeadlineError, GuestError, QmpClosedError) as error:
        said.append(f"the guest did not give it: {_brief(error)}")
    return dumps_on_disk(crashed.end(), folder)[0], tuple(said)


def _size(guest: Connection) -> int:
    """The size of the dump once it has stopped growing: at its start Windows copies it out of the page file."""
    last = ""

    def look() -> tuple[int | None, str]:
        nonlocal last
        before, last = last, guest.run(_SIZE).output.strip()
        return (int(last) if last.isdigit() and last == before and int(last) else None), f"size {last}"

    return Deadlines().begin(Wait.WINDOWS_DUMP).poll(look, _POLL)


def _brief(error: FltLabError) -> str:
    return "; ".join((error.message, *error.details[:1]))
