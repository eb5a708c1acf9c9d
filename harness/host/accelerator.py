"""Which accelerator really runs a guest on this machine.

That /dev/kvm opens proves little: there are hosts where it does and where a guest then spins for ever, or where QEMU
aborts. So a tiny guest is booted under it (probe_program.S), within a bounded time. What came out is kept, for this
kernel, this QEMU and this processor.
"""

import hashlib
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from harness.attempt import attempt
from harness.errors import ConfigurationError, FltLabError, HostError
from harness.host.command import tail
from harness.host.directories import home, private_directory
from harness.host.probe_program import BOOT_SECTOR, DISK_SIZE, EXIT_CODE
from harness.host.regular import kept_json
from harness.host.tools import Tool

KVM_DEVICE = Path("/dev/kvm")
PROBE_TIMEOUT = 8.0
"""Seconds the probe may take. It needs 0.35 s under TCG and less under KVM; a guest that spins never ends."""

REFERENCE_PROBE_SECONDS = 0.35
"""What the probe took under TCG where every deadline was measured (see harness/machine/deadlines.py)."""


class Accelerator(StrEnum):
    """QEMU's accelerators that fltlab knows."""

    KVM = "kvm"
    TCG = "tcg"


class Choice(StrEnum):
    """What `--accel` accepts."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class Probe:
    """What came of running a guest under an accelerator."""

    accelerator: Accelerator
    works: bool
    seconds: float
    explanation: str


def processor_identity() -> str:
    """Return a text that changes when the processor or what it offers changes."""
    wanted = {"model name", "flags", "microcode", "stepping"}
    lines: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in wanted:
            lines.setdefault(name.strip(), value.strip())
    return json.dumps(lines, sort_keys=True)


def qemu_identity(qemu: Path) -> str:
    """Return a text that changes when QEMU is another build: where it is, how big, and when it was installed."""
    real = qemu.resolve()
    status = real.stat()
    return f"{real}:{status.st_size}:{status.st_mtime_ns}"


def run_probe(accelerator: Accelerator, qemu: Path, timeout: float = PROBE_TIMEOUT) -> Probe:
    """Boot the probe program under an accelerator, once."""
    with tempfile.TemporaryDirectory(prefix="fltlab-probe-") as scratch:
        disk = Path(scratch, "disk")
        disk.write_bytes(BOOT_SECTOR)
        os.truncate(disk, DISK_SIZE)
        cpu = "host" if accelerator is Accelerator.KVM else "max"
        command = [
            str(qemu),
            *("-nodefaults", "-no-user-config", "-display", "none", "-M", "q35", "-m", "16"),
            *("-accel", accelerator.value, "-cpu", cpu),
            *(
                "-blockdev",
                json.dumps({"driver": "file", "node-name": "disk", "filename": str(disk), "read-only": True}),
            ),
            *("-device", "virtio-blk-pci,drive=disk", "-device", "isa-debug-exit,iobase=0xf4"),
        ]
        begin = time.monotonic()
        try:
            done = attempt(command, stdin=subprocess.DEVNULL, timeout=timeout)
        except subprocess.TimeoutExpired:
            return Probe(accelerator, False, timeout, f"a guest under {accelerator} made no progress in {timeout:g} s")
        seconds = time.monotonic() - begin
    if done.returncode == EXIT_CODE:
        return Probe(accelerator, True, seconds, f"ran a guest under {accelerator} in {seconds:.2f} s")
    came_back = " / ".join(tail(done.stderr, 2)) or "no message"
    return Probe(accelerator, False, seconds, f"QEMU ended with {done.returncode} under {accelerator}: {came_back}")


def probe(accelerator: Accelerator, *, again: bool = False) -> Probe:
    """Return what came of running a guest under an accelerator, from an earlier run if nothing changed since."""
    if accelerator is Accelerator.KVM and not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        why = "cannot be opened by this user" if KVM_DEVICE.exists() else "does not exist"
        return Probe(accelerator, False, 0.0, f"{KVM_DEVICE} {why}")
    qemu = Tool.QEMU.require()
    facts = (platform.release(), platform.version(), qemu_identity(qemu), processor_identity(), BOOT_SECTOR.hex())
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
    remembered = home() / "cache" / f"accelerator-{accelerator}.json"
    if not again:
        known = _recall(remembered, key)
        if known is not None:
            return known
    result = run_probe(accelerator, qemu)
    _remember(remembered, key, result)
    return result


def choose(choice: Choice = Choice.AUTO) -> Probe:
    """Return the accelerator to use: KVM where it runs a guest, else TCG; an explicit choice is not second-guessed.

    Raises HostError when the accelerator asked for, or TCG itself, does not run a guest.
    """
    if choice is Choice.AUTO:
        kvm = probe(Accelerator.KVM)
        return kvm if kvm.works else _working(Accelerator.TCG)
    return _working(Accelerator(choice.value))


def parse_choice(text: str) -> Choice:
    """Return the choice that `--accel TEXT` means."""
    try:
        return Choice(text)
    except ValueError as error:
        raise ConfigurationError(
            f"unknown accelerator {text!r}", hint=f"--accel is one of {', '.join(Choice)}"
        ) from error


def _working(accelerator: Accelerator) -> Probe:
    result = probe(accelerator)
    if result.works:
        return result
    again = probe(accelerator, again=True)  # one that did not work before may have been mended since
    if again.works:
        return again
    hint = "--accel auto" if accelerator is Accelerator.KVM else "apt-get install --reinstall qemu-system-x86"
    raise HostError(f"this machine runs no guest under {accelerator}", details=(again.explanation,), hint=hint)


def _recall(path: Path, key: str) -> Probe | None:
    try:
        kept = kept_json(path)
        if kept["key"] != key:
            return None
        values = kept["probe"]
        return Probe(Accelerator(values["accelerator"]), values["works"], values["seconds"], values["explanation"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never asked, or written by another version: ask again


def _remember(path: Path, key: str, result: Probe) -> None:
    text = json.dumps({"key": key, "probe": asdict(result)})
    try:
        private_directory(path.parent)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(path)
    except (OSError, FltLabError) as error:
        raise HostError(f"cannot keep what the accelerator probe found in {path}", details=(str(error),)) from error
