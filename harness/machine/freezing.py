"""Freezing a machine's devices into a file, and thawing them in another QEMU.

Migration does it, with the guest's memory left where it is: in a file that the frozen machine maps shared and its forks
map private (capability `x-ignore-shared`). So it takes the same time whatever the size of the memory.
"""

import os
from pathlib import Path

from harness.errors import HostError
from harness.machine.deadlines import Deadline, Wait
from harness.machine.machine import Machine
from harness.machine.qmp import Event, QmpError

_DESCRIPTOR = "state"
_FINISHED = {"completed", "failed", "cancelled"}


class CannotFreezeError(HostError):
    """This machine's state cannot be frozen or thawed with this QEMU: it must be booted each time."""


def freeze(machine: Machine, state: Path) -> None:
    """Write a running machine's device state to a new file and end it; its memory and overlays stay where they are."""
    machine.pause()
    deadline = machine.deadlines.begin(Wait.FREEZE)
    descriptor = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _migrate(machine, descriptor, "migrate", deadline)
    finally:
        os.close(descriptor)
    machine.stop(keep_disks=True)


def thaw(machine: Machine, state: Path) -> None:
    """Have a machine that was launched with `incoming` take over a device state; it is left paused."""
    deadline = machine.deadlines.begin(Wait.THAW)
    descriptor = os.open(state, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _migrate(machine, descriptor, "migrate-incoming", deadline)
    finally:
        os.close(descriptor)


def _migrate(machine: Machine, descriptor: int, command: str, deadline: Deadline) -> None:
    qmp = machine.qmp
    capabilities = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
    try:
        qmp.execute("migrate-set-capabilities", capabilities=capabilities)
        qmp.execute_with_fd("getfd", descriptor, fdname=_DESCRIPTOR)
        before = qmp.last_event
        qmp.execute(command, uri=f"fd:{_DESCRIPTOR}")
    except QmpError as error:
        raise CannotFreezeError(
            f"the state of the machine {machine.name} cannot be moved", details=(error.description,)
        ) from error

    def finished(event: Event) -> bool:
        return event.data.get("status") in _FINISHED

    event = qmp.wait_event("MIGRATION", deadline, after=before, where=finished)
    if event.data["status"] != "completed":
        why = qmp.execute("query-migrate").get("error-desc", "QEMU does not say why")
        raise CannotFreezeError(f"the state of the machine {machine.name} could not be moved", details=(str(why),))
