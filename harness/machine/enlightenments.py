"""Hyper-V enlightenments (`hv-*` of QEMU's processor): which of them this host's accelerator takes.

Windows runs without any of them, slower. Which ones there are depends on QEMU, the accelerator and, under KVM, the
kernel; a nested KVM may refuse `hv-vpindex` and with it all that needs it. So the whole list is tried, and if QEMU does
not start with it, one by one. Source: docs/system/i386/hyperv.rst of QEMU, also for what needs what.
"""

import contextlib
import hashlib
import json
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import HostError
from harness.host.accelerator import Accelerator, processor_identity, qemu_identity
from harness.host.command import tail
from harness.host.directories import home, private_directory
from harness.host.regular import kept_json
from harness.host.tools import Tool
from harness.machine.deadlines import Wait


class HyperV(StrEnum):
    """How much of Hyper-V a guest is to see."""

    FULL = "full"
    BASIC = "basic"
    OFF = "off"


BASIC = ("hv-relaxed", "hv-vapic", "hv-spinlocks=0x1fff", "hv-time", "hv-crash")
FULL = (
    *("hv-relaxed", "hv-vapic", "hv-spinlocks=0x1fff", "hv-time", "hv-crash", "hv-vpindex", "hv-runtime"),
    *("hv-synic", "hv-stimer", "hv-frequencies", "hv-tlbflush", "hv-ipi"),
)
_NEEDS = {
    "hv-synic": {"hv-vpindex"},
    "hv-stimer": {"hv-vpindex", "hv-synic", "hv-time"},
    "hv-tlbflush": {"hv-vpindex"},
    "hv-ipi": {"hv-vpindex"},
}

Starts = Callable[[Sequence[str]], str | None]
"""Whether QEMU starts with these features: None, or what it printed."""


@dataclass(frozen=True)
class Enlightenments:
    """What a guest gets, and what it does not: each refused feature with QEMU's reason."""

    features: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


def degrade(wanted: Sequence[str], starts: Starts) -> Enlightenments:
    """Return as many of the wanted features as QEMU starts with."""
    if starts(wanted) is None:
        return Enlightenments(tuple(wanted))
    taken: list[str] = []
    refused: list[tuple[str, str]] = []
    for feature in wanted:
        missing = _NEEDS.get(feature, set()) - set(taken)
        reason = f"needs {', '.join(sorted(missing))}" if missing else starts([*taken, feature])
        if reason is None:
            taken.append(feature)
        else:
            refused.append((feature, reason))
    return Enlightenments(tuple(taken), tuple(refused))


def probe_enlightenments(accelerator: Accelerator, model: str, level: HyperV = HyperV.FULL) -> Enlightenments:
    """Return what this host takes; what came out is kept for this kernel, QEMU and processor."""
    if level is HyperV.OFF:
        return Enlightenments(())
    wanted = FULL if level is HyperV.FULL else BASIC
    qemu = Tool.QEMU.require()
    facts = (platform.release(), qemu_identity(qemu), processor_identity(), accelerator, model, *wanted)
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
    remembered = home() / "cache" / f"enlightenments-{key[:16]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # never asked, or of another version: ask again
        values = kept_json(remembered)
        refused = tuple((str(name), str(why)) for name, why in values["refused"])
        return Enlightenments(tuple(map(str, values["features"])), refused)
    bare = _starts(qemu, accelerator, model, ())
    if bare is not None:
        raise HostError(
            f"QEMU does not start a machine with the processor {model} under {accelerator}", details=(bare,)
        )
    found = degrade(wanted, lambda features: _starts(qemu, accelerator, model, features))
    private_directory(remembered.parent)
    with tempfile.NamedTemporaryFile("w", dir=remembered.parent, delete=False, encoding="utf-8") as file:
        json.dump({"features": found.features, "refused": found.refused}, file)
    Path(file.name).replace(remembered)
    return found


def _starts(qemu: Path, accelerator: Accelerator, model: str, features: Sequence[str]) -> str | None:
    """Start QEMU without running anything, and tell it to end at once."""
    command = [
        *(str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-S", "-M", "q35", "-m", "16"),
        *("-accel", accelerator.value, "-cpu", ",".join((model, *features)), "-monitor", "stdio"),
    ]
    try:
        done = subprocess.run(
            command,
            input="quit\n",
            capture_output=True,
            text=True,
            timeout=Wait.PROCESSOR_FEATURES.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"QEMU did not end within {Wait.PROCESSOR_FEATURES.seconds:g} s"
    return None if done.returncode == 0 else " / ".join(tail(done.stderr, 2)) or f"exit code {done.returncode}"
