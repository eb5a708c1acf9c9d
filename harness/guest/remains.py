"""What is saved of a guest on which something went wrong, while it is still there.

The last WinRM exchanges, what the reference kernel says of itself, and what the machine or process that it runs in can
still give.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness.guest.guest import Guest
from harness.machine.evidence import save_each
from harness.wire.codec import decode
from harness.wire.kernel_state import KernelState

KERNEL = "kernel.json"
_LAST_STEPS = 12


def save_guest(guest: Guest, folder: Path) -> dict[str, str]:
    """Save what can still be had; returns why anything is missing, by its file."""

    def winrm(path: Path) -> None:
        exchanges = [asdict(exchange) for exchange in guest.exchanges]
        path.write_text(json.dumps(exchanges, indent=2) + "\n", encoding="utf-8")

    def kernel(path: Path) -> None:
        path.write_text(json.dumps(guest.last_kernel_status(), indent=2) + "\n", encoding="utf-8")

    savers: dict[str, Callable[[Path], object]] = {"winrm.json": winrm}
    if guest.profile.kernel_status is not None:
        savers[KERNEL] = kernel
    if guest.body is not None:
        savers |= guest.body.savers()
    return save_each(savers, folder)


def last_steps(status: Path) -> list[str]:
    """What a reference kernel that has stopped did last, one thing each; empty for one that runs."""
    if not status.is_file():
        return []
    state = decode(KernelState, status.read_text(encoding="utf-8"))
    return list(state.trace[-_LAST_STEPS:]) if state.stop is not None else []
