"""Starts of the firmware on the machine of a Windows guest, two at a time: none of them may stall.

Its disks are empty, so the firmware comes to its end and says so on COM1. It stalled in 13 of 21 starts where COM1 was
a socket; since then it is a file.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from harness.errors import FltLabError
from harness.host.command import run_program
from harness.host.tools import Tool
from harness.image.windows.follower import NOTHING_BOOTS
from harness.image.windows.profile import Host, guest_spec
from harness.image.windows.recipe import MachineSize, WinRmMode
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.disks import DiskImage, Format
from harness.machine.firmware import make_variables
from harness.machine.leases import Demand, Leases
from harness.machine.machine import Machine
from harness.machine.spec import MachineSpec

AT_ONCE = 2
SIZE = MachineSize(memory_mib=2048, processors=1, system_disk_gib=24, data_disk_mib=64, tpm=False, secure_boot=False)
DEMAND_MIB = 400
"""What a machine uses of the host while only its firmware runs."""

_POLL = 0.05


@dataclass
class Starts:
    """Seconds of the starts that came to their end, and what went wrong with the others."""

    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """The median, None without any."""
        return round(statistics.median(self.seconds), 2) if self.seconds else None


def start_firmware(host: Host, boots: int, tell: Callable[[str], None], deadlines: Deadlines | None = None) -> Starts:
    """Start the firmware so often."""
    starts = Starts()
    with tempfile.TemporaryDirectory(prefix="fltlab-firmware-") as folder:
        spec = empty_machine(host, Path(folder))
        one = partial(_start, spec, Path(folder), deadlines or Deadlines())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number, outcome in enumerate(pool.map(one, range(1, boots + 1)), start=1):
                if isinstance(outcome, str):
                    starts.problems.append(f"firmware {number}: {outcome}")
                else:
                    starts.seconds.append(outcome)
    tell(f"{boots} starts of the firmware, {len(starts.problems)} problems")
    return starts


def empty_machine(host: Host, folder: Path) -> MachineSpec:
    """The machine of a Windows guest with nothing on its disks."""
    images = []
    for name in ("system", "data"):
        path = folder / f"{name}.qcow2"
        command: list[str | Path] = [Tool.QEMU_IMG.require(), "create", "-q", "-f", "qcow2", path, "64M"]
        run_program(command, purpose="make an empty disk")
        images.append(DiskImage(path, Format.QCOW2))
    variables = DiskImage(make_variables(host.firmware, folder / "variables.qcow2"), Format.QCOW2)
    return guest_spec(host, SIZE, images[0], variables, images[1], WinRmMode.NTLM)


def _start(spec: MachineSpec, folder: Path, deadlines: Deadlines, number: int) -> float | str:
    """Start it once: how long it took, or what went wrong."""
    try:
        with Leases().lease(Demand(DEMAND_MIB), deadlines.begin(Wait.ROOM)):
            begin = time.monotonic()
            with Machine(spec, folder / f"boot-{number}", name=f"firmware-{number}", deadlines=deadlines) as machine:
                deadlines.begin(Wait.FIRMWARE).poll(lambda: _ended(machine), _POLL)
                return time.monotonic() - begin
    except FltLabError as error:
        return f"{error.message}: {'; '.join(error.details)}"


def _ended(machine: Machine) -> tuple[bool | None, str]:
    machine.check()
    said = machine.serial_log.read_text(encoding="utf-8", errors="replace") if machine.serial_log.exists() else ""
    return (True if NOTHING_BOOTS.search(said) else None), machine.describe()
