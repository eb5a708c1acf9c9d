"""The parts of a machine, each of which knows its own arguments on QEMU's command line.

A part is a frozen dataclass. What is known only when a machine is started (its directory, the QMP descriptor, where its
memory lives) comes as a `Launch`; nothing else may make two command lines of the same machine differ.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.host.accelerator import Accelerator

SERIAL_LOG = "serial.log"
MEMORY_ID = "ram0"


class MemoryUse(StrEnum):
    """How a machine's memory lies in its file."""

    SHARED = "on"
    """Writes go to the file: a machine that is to become a template."""

    PRIVATE = "off"
    """Writes stay with the machine: a fork."""


@dataclass(frozen=True)
class MemoryFile:
    """The file that holds a machine's memory."""

    path: Path
    use: MemoryUse


@dataclass(frozen=True)
class Launch:
    """What is known only when a machine is started."""

    run_dir: Path
    qmp_fd: int
    memory_file: MemoryFile | None = None
    incoming: bool = False


class Part(Protocol):
    """Anything that has arguments on QEMU's command line."""

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return this part's arguments."""


def escaped(path: Path | str) -> str:
    """Return a value for an argument in QEMU's `key=value,…` form: a comma is doubled."""
    return str(path).replace(",", ",,")


def properties(driver: str, values: Mapping[str, str | int | bool | None]) -> str:
    """Return `driver,key=value,…`; a None is left out, a bool is on or off."""
    words = [driver]
    for key, value in values.items():
        if value is not None:
            text = ("on" if value else "off") if isinstance(value, bool) else escaped(str(value))
            words.append(f"{key}={text}")
    return ",".join(words)


def node(values: Mapping[str, object]) -> tuple[str, str]:
    """Return a `-blockdev` argument; as JSON, which takes any path."""
    return "-blockdev", json.dumps(values, separators=(",", ":"))


@dataclass(frozen=True)
class Board:
    """The board, and what the machine's memory is."""

    memory_mib: int
    model: str = "q35"
    options: tuple[tuple[str, str], ...] = ()

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-machine`, `-m` and the memory's backend."""
        backend = MEMORY_ID if launch.memory_file is not None else None
        yield from ("-machine", properties(self.model, {**dict(self.options), "memory-backend": backend}))
        yield from ("-m", f"{self.memory_mib}M")
        if launch.memory_file is not None:
            values = {
                "id": MEMORY_ID,
                "size": f"{self.memory_mib}M",
                "mem-path": str(launch.memory_file.path),
                "share": launch.memory_file.use.value,
            }
            yield from ("-object", properties("memory-backend-file", values))


@dataclass(frozen=True)
class Processor:
    """The accelerator and the processors.

    `model` None means the best that the accelerator has: `host` under KVM, `max` under TCG. With one processor TCG runs
    in a single thread, which is quicker than one thread for each.
    """

    accelerator: Accelerator
    count: int = 1
    model: str | None = None
    features: tuple[str, ...] = ()

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-accel`, `-cpu` and `-smp`."""
        kvm = self.accelerator is Accelerator.KVM
        thread = None if kvm else ("single" if self.count == 1 else "multi")
        yield from ("-accel", properties(self.accelerator.value, {"thread": thread}))
        model = self.model or ("host,migratable=on" if kvm else "max")
        yield from ("-cpu", ",".join((model, *self.features)))
        yield from ("-smp", str(self.count))


@dataclass(frozen=True)
class LinuxBoot:
    """A Linux kernel that QEMU loads itself."""

    kernel: Path
    initramfs: Path
    command_line: str

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-kernel`, `-initrd` and `-append`."""
        yield from ("-kernel", str(self.kernel), "-initrd", str(self.initramfs), "-append", self.command_line)


@dataclass(frozen=True)
class UserNetwork:
    """QEMU's own network: no privilege, and no way out of it but by the forwards on the host's loopback interface.

    The host's port is 0: the kernel picks a free one while it binds it, so that no other process can come between.
    """

    forwards: tuple[int, ...]
    device: str = "virtio-net-pci"
    restricted: bool = True
    identifier: str = "net0"
    guest_address: str = "10.0.2.15"

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-netdev` and `-device`."""
        words = [properties("user", {"id": self.identifier, "restrict": self.restricted})]
        words += [f"hostfwd=tcp:127.0.0.1:0-{self.guest_address}:{port}" for port in self.forwards]
        yield from ("-netdev", ",".join(words))
        # A fork's addresses are its template's, and nobody but QEMU is on its network: nothing is to be announced.
        quiet = ",guest_announce=off" if self.device.startswith("virtio-") else ""
        yield from ("-device", f"{self.device},netdev={self.identifier},romfile={quiet}")


@dataclass(frozen=True)
class SerialFile:
    """The first serial port, written to a file. Never a socket: that stalled firmware in 13 of 21 boots."""

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-serial`."""
        yield from ("-chardev", properties("file", {"id": "serial0", "path": str(launch.run_dir / SERIAL_LOG)}))
        yield from ("-serial", "chardev:serial0")


@dataclass(frozen=True)
class FirmwareFile:
    """A small file that the guest reads through fw_cfg; its content appears in no process list.

    Its name in the guest is `opt/fltlab/<name>`; the machine writes it to its own directory before it starts.
    """

    name: str

    def path(self, run_dir: Path) -> Path:
        """Return where the file is on the host."""
        return run_dir / f"fw_cfg-{self.name}"

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-fw_cfg`."""
        yield from ("-fw_cfg", f"name=opt/fltlab/{self.name},file={escaped(self.path(launch.run_dir))}")


@dataclass(frozen=True)
class Device:
    """Any device, by its driver and properties, which QEMU's documentation explains."""

    driver: str
    values: tuple[tuple[str, str | int | bool], ...] = ()

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-device`."""
        yield from ("-device", properties(self.driver, dict(self.values)))


@dataclass(frozen=True)
class Action:
    """What QEMU does when the guest panics, reboots or shuts down."""

    panic: str = "pause"
    shutdown: str = "poweroff"
    reboot: str = "reset"

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-action`."""
        yield from ("-action", f"panic={self.panic},shutdown={self.shutdown},reboot={self.reboot}")


@dataclass(frozen=True)
class Clock:
    """The real-time clock."""

    base: str = "utc"
    drift_fix: bool = False

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return `-rtc`."""
        yield from ("-rtc", f"base={self.base},clock=host" + (",driftfix=slew" if self.drift_fix else ""))


@dataclass(frozen=True)
class Option:
    """An option of QEMU that no other part stands for, such as `-global`."""

    name: str
    value: str

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the option."""
        yield from (f"-{self.name}", self.value)
