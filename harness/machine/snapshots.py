"""Snapshots inside a qcow2 file (savevm, loadvm): what takes the place of freezing where QEMU cannot do that.

A snapshot holds the whole memory and is not seen through an overlay, so each fork needs a copy of the file.
"""

import contextlib
import itertools

from harness.machine.deadlines import Deadline, Wait
from harness.machine.freezing import CannotFreezeError
from harness.machine.machine import Machine
from harness.machine.qmp import Event, QmpError

TAG = "fltlab"
_numbers = itertools.count(1)


def save_snapshot(machine: Machine) -> None:
    """Put the state of a paused machine into the overlays of its disks and end it; the overlays stay where they are.

    Raises CannotFreezeError if a device of it has a state that QEMU cannot save.
    """
    deadline = machine.deadlines.begin(Wait.FREEZE)
    nodes = _nodes(machine)
    if not nodes:
        raise CannotFreezeError(f"the machine {machine.name} has no disk that could hold a snapshot")
    # Here the memory must go along, whatever an attempt to freeze has left switched on.
    ignore_no_memory = [{"capability": "x-ignore-shared", "state": False}]
    machine.qmp.execute("migrate-set-capabilities", capabilities=ignore_no_memory)
    with contextlib.suppress(CannotFreezeError):  # there may be one, of the machine that this one is a fork of
        _run(machine, "snapshot-delete", {"tag": TAG, "devices": nodes}, deadline)
    _run(machine, "snapshot-save", {"tag": TAG, "vmstate": nodes[0], "devices": nodes}, deadline)
    machine.stop(keep_disks=True)


def load_snapshot(machine: Machine) -> None:
    """Have a machine that was launched, on copies of the overlays, take over the state in them; it is left paused."""
    nodes = _nodes(machine)
    deadline = machine.deadlines.begin(Wait.THAW)
    _run(machine, "snapshot-load", {"tag": TAG, "vmstate": nodes[0], "devices": nodes}, deadline)


def _nodes(machine: Machine) -> list[str]:
    return [disk.name for disk in machine.spec.disks if disk.writable]


def _run(machine: Machine, command: str, arguments: dict[str, object], deadline: Deadline) -> None:
    """Run one of QEMU's snapshot jobs to its end."""
    qmp = machine.qmp
    job = f"snapshot-{next(_numbers)}"
    before = qmp.last_event

    def concluded(event: Event) -> bool:
        return event.data.get("id") == job and event.data.get("status") == "concluded"

    try:
        qmp.execute(command, {"job-id": job, **arguments})
        qmp.wait_event("JOB_STATUS_CHANGE", deadline, after=before, where=concluded)
        failure = next((entry.get("error") for entry in qmp.execute("query-jobs") if entry["id"] == job), None)
        qmp.execute("job-dismiss", id=job)
    except QmpError as error:
        failure = error.description
    if failure is not None:
        raise CannotFreezeError(f"the machine {machine.name} refuses {command}", details=(str(failure),))
