"""A machine as it is wanted, and the command line that gives it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.host import fingerprint
from harness.host.accelerator import Accelerator, processor_identity, qemu_identity
from harness.host.tools import Tool
from harness.machine.disks import Disk, DiskImage
from harness.machine.parts import (
    Action,
    Board,
    Clock,
    FirmwareFile,
    Launch,
    MemoryFile,
    MemoryUse,
    Option,
    Part,
    Processor,
    SerialFile,
    UserNetwork,
)

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_NOWHERE = Launch(run_dir=Path("/run-dir"), qmp_fd=0)


@dataclass(frozen=True)
class MachineSpec:
    """What a machine is made of. Two machines of the same spec differ in nothing that a guest can see."""

    board: Board
    processor: Processor
    boot: Part | None = None
    disks: tuple[Disk, ...] = ()
    network: UserNetwork | None = None
    devices: tuple[Part, ...] = ()
    firmware_files: tuple[FirmwareFile, ...] = ()
    action: Action = field(default_factory=Action)
    clock: Clock = field(default_factory=Clock)
    options: tuple[Option, ...] = ()
    generation_id: bool = True
    sandbox: bool = True

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator that runs the guest."""
        return self.processor.accelerator

    @property
    def memory_mib(self) -> int:
        """The guest's memory."""
        return self.board.memory_mib

    def disk(self, name: str) -> Disk:
        """Return the disk of that name."""
        return next(disk for disk in self.disks if disk.name == name)

    def with_images(self, images: dict[str, DiskImage]) -> "MachineSpec":
        """Return this machine with other images below some of its disks."""
        disks = tuple(replace(disk, image=images.get(disk.name, disk.image)) for disk in self.disks)
        return replace(self, disks=disks)

    def command_line(self, launch: Launch, qemu: Path) -> list[str]:
        """Return QEMU's whole command line."""
        words = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-S"]
        if self.sandbox:
            words += ["-sandbox", SANDBOX]
        words += ["-chardev", f"socket,id=qmp0,fd={launch.qmp_fd}", "-mon", "chardev=qmp0,mode=control"]
        for part in self._parts():
            words.extend(part.arguments(launch))
        if self.generation_id:
            words += ["-device", "vmgenid,guid=auto"]
        if launch.incoming:
            words += ["-incoming", "defer"]
        return words

    def fingerprint(self) -> str:
        """Return a name for all that decides whether a machine's state fits another: command line, QEMU, processor.

        It does not depend on where the machine runs. The processor counts because `-cpu max` or `host` means what it
        offers: a guest restored on another is accepted silently and then hangs.
        """
        qemu = Tool.QEMU.require()
        memory = MemoryFile(Path("/memory"), MemoryUse.SHARED)
        line = self.command_line(replace(_NOWHERE, memory_file=memory), qemu)
        return fingerprint.of_facts({"line": line, "qemu": qemu_identity(qemu), "processor": processor_identity()})

    def _parts(self) -> Iterable[Part]:
        yield self.board
        yield self.processor
        if self.boot is not None:
            yield self.boot
        yield self.clock
        yield self.action
        yield SerialFile()
        yield from self.devices  # before the disks: one of them may be a disk's controller
        yield from self.disks
        if self.network is not None:
            yield self.network
        yield from self.firmware_files
        yield from self.options
