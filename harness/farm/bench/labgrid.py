"""The same image, started by labgrid's QEMUDriver: from its `on()` to the same answered WinRM command.

labgrid is no dependency of fltlab: it is installed, with the versions that pip finds, into a virtual environment that
the bench makes and keeps in fltlab's directory.
"""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HostError
from harness.farm.bench.figures import Series
from harness.farm.bench.ground import Ground
from harness.farm.bench.starts import GROUP
from harness.fleet.reference_guest import wait_until_it_answers
from harness.host.command import run_program
from harness.host.directories import home, private_directory, write_private
from harness.host.tools import Tool
from harness.image.reference.boot import WINRM_PORT, GuestSecrets
from harness.machine.deadlines import Wait
from harness.machine.disks import make_overlay, virtual_size
from harness.machine.machine import Machine
from harness.machine.parts import Launch, LinuxBoot

INSTALL_SECONDS = 600

# Runs in labgrid's environment: says when it switched the machine on and which ports it got, and off again at the end
# of its standard input.
SCRIPT = """
import json, sys, time
from labgrid import Environment
import labgrid.driver
target = Environment(sys.argv[1]).get_target("main")
driver = target.get_driver("QEMUDriver")
begin = time.monotonic()
driver.on()
usernet = driver.monitor_command("human-monitor-command", {"command-line": "info usernet"})
print(json.dumps({"begin": begin, "usernet": usernet}), flush=True)
sys.stdin.read()
driver.off()
target.cleanup()
"""


class _LabgridMachine(Machine):
    """Only what waiting for an answer needs: labgrid has the process, and the ports are what its QEMU says."""

    def check(self) -> None:
        """Whether it lives is labgrid's to know."""


def measure_labgrid(ground: Ground, runs: int) -> Iterator[Series]:
    """Measure it; HostError says why it cannot be had."""
    python = _environment()
    seconds = [_once(ground, python) for _ in range(runs)]
    yield Series("labgrid_s", f"labgrid {_version(python)}, QEMUDriver", GROUP, "s", tuple(seconds))


def _environment() -> Path:
    """The Python of an environment with labgrid in it, made now if it is not there."""
    folder = home() / "peers" / "labgrid"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        private_directory(folder.parent)
        run_program([sys.executable, "-m", "venv", "--clear", folder], purpose="make a virtual environment for labgrid")
        run_program(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "labgrid"],
            purpose="install labgrid",
            timeout=INSTALL_SECONDS,
            hint="it is only measured beside fltlab: --skip labgrid leaves it out",
        )
        (folder / "ready").touch()
    return python


def _version(python: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('labgrid'))"
    return run_program([python, "-c", code], purpose="ask for labgrid's version").decode().strip()


def _once(ground: Ground, python: Path) -> float:
    secrets, folder = GuestSecrets(), private_directory(ground.folder("labgrid"))
    for file in ground.spec.firmware_files:
        write_private(file.path(folder), secrets.firmware_files()[file.name])
    configuration = folder / "labgrid.json"  # JSON is YAML
    configuration.write_text(json.dumps(_configuration(ground, folder)), encoding="utf-8")
    with (folder / "labgrid.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-c", SCRIPT, configuration], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise HostError("labgrid did not start the machine", details=((folder / "labgrid.log").read_text()[-600:],))
        said = json.loads(line)
        machine = _LabgridMachine(ground.spec, folder, deadlines=ground.deadlines)
        machine.ports = forwarded(said["usernet"])
        wait_until_it_answers(machine, secrets, ground.deadlines.begin(Wait.BOOT))
        return time.monotonic() - float(said["begin"])
    finally:
        process.stdin.close()
        try:
            process.wait(Wait.QEMU_EXIT.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def forwarded(usernet: str) -> dict[int, int]:
    """The host's port of the guest's WinRM, from what QEMU says of its network."""
    for line in usernet.splitlines():
        fields = line.split()
        if fields and fields[0].startswith("TCP[HOST_FORWARD]") and fields[5] == str(WINRM_PORT):
            return {WINRM_PORT: int(fields[3])}
    raise HostError("labgrid's QEMU forwards no port to the guest's WinRM", details=tuple(usernet.splitlines()))


def _configuration(ground: Ground, folder: Path) -> dict[str, object]:
    """The configuration for the same machine: what labgrid has no word for goes into `extra_args`."""
    spec, launch = ground.spec, Launch(folder, qmp_fd=0)
    assert isinstance(spec.boot, LinuxBoot)
    processor = list(spec.processor.arguments(launch))
    cpu = processor[processor.index("-cpu") + 1]
    extra = ["-nodefaults", "-accel", processor[processor.index("-accel") + 1], "-initrd", str(spec.boot.initramfs)]
    for disk in spec.disks:
        if disk.writable:
            make_overlay(disk.overlay(folder), virtual_size(disk.image))
    parts = [*spec.devices, *spec.disks, *spec.firmware_files, *([spec.network] if spec.network else [])]
    for part in parts:
        extra += part.arguments(launch)
    driver = {
        "qemu_bin": "qemu",
        "machine": spec.board.model,
        "cpu": cpu,
        "memory": f"{spec.board.memory_mib}M",
        "kernel": "kernel",
        "boot_args": spec.boot.command_line,
        "extra_args": shlex.join(extra),
    }
    return {
        "targets": {"main": {"drivers": {"QEMUDriver": driver}}},
        "tools": {"qemu": str(Tool.QEMU.require())},
        "images": {"kernel": str(spec.boot.kernel)},
    }
