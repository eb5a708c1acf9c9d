"""Faults of a disk, switched on and off while the guest runs.

A fault is a filter node of QEMU's block layer between the disk and its device: `blkdebug` for errors, `throttle` for
slowness. The guest sees what it would see of a failing disk; the images underneath are not touched. Faults are contexts
and nest: the one set last is lifted first.

    with DiskFaults(machine, "data").errors(Operation.WRITE, sectors=range(2048, 4096), count=3) as fault:
        ...
        assert fault.hits
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from harness.errors import ConfigurationError, FltLabError, HostError
from harness.machine.deadlines import Wait
from harness.machine.disks import Bus, Disk
from harness.machine.machine import Machine
from harness.machine.qmp import Event
from harness.machine.state import MachineState

SECTOR = 512
MOST_RULES = 8192
"""QEMU looks through all rules for every request."""


class Operation(StrEnum):
    """What a guest asks of a disk, in the words of blkdebug."""

    READ = "read"
    WRITE = "write"
    WRITE_ZEROES = "write-zeroes"
    DISCARD = "discard"
    FLUSH = "flush"


WRITES = (Operation.WRITE, Operation.WRITE_ZEROES, Operation.DISCARD)


class Error(IntEnum):
    """Errors that a disk answers with; most guests see all of them as an I/O error."""

    IO = 5
    NO_SPACE = 28
    READ_ONLY = 30


class FaultOrderError(FltLabError):
    """A fault was lifted while a newer one lies above it."""


@dataclass(frozen=True)
class Fault:
    """A fault that is on: the machine and disk, and the last event and the count of failed operations before it."""

    machine: Machine
    disk: Disk
    node: str
    since: int
    failed_before: int

    @property
    def failures(self) -> int:
        """How many of the guest's operations on this disk have failed since the fault was set; the machine runs."""
        return _failed_operations(self.machine, self.disk) - self.failed_before

    @property
    def hits(self) -> list[Event]:
        """What QEMU reported of operations that have failed since the fault was set: QEMU 10 one a second at most."""
        return [
            event
            for event in self.machine.events
            if event.number > self.since and event.name == "BLOCK_IO_ERROR" and event.data.get("node-name") == self.node
        ]


class DiskFaults:
    """The faults of one disk of a running machine."""

    _numbers = itertools.count(1)

    def __init__(self, machine: Machine, disk: str) -> None:
        self._machine = machine
        self._disk = machine.spec.disk(disk)
        self._stack: list[str] = [self._disk.top]

    @contextlib.contextmanager
    def errors(
        self,
        *operations: Operation,
        error: Error = Error.IO,
        sectors: range | None = None,
        count: int | None = None,
    ) -> Iterator[Fault]:
        """Have operations fail: those that touch any of `sectors` (512 bytes; all if None), `count` times (always).

        A single failing read may stay hidden: the guest's read-ahead fails, and its second try succeeds.
        """
        rules = error_rules(operations, error, sectors, count)
        with self._above({"driver": "blkdebug", "inject-error": rules}, child="image") as fault:
            yield fault

    @contextlib.contextmanager
    def full(self) -> Iterator[Fault]:
        """Have every write fail for want of room."""
        with self.errors(*WRITES, error=Error.NO_SPACE) as fault:
            yield fault

    @contextlib.contextmanager
    def read_only(self) -> Iterator[Fault]:
        """Have every write fail as if the disk were write-protected; a device cannot become so while it runs."""
        with self.errors(*WRITES, error=Error.READ_ONLY) as fault:
            yield fault

    @contextlib.contextmanager
    def slow(self, *, operations_per_second: int = 0, bytes_per_second: int = 0) -> Iterator[Fault]:
        """Let through so many operations or bytes a second at most, evenly."""
        if operations_per_second <= 0 and bytes_per_second <= 0:
            raise ConfigurationError("a slow disk needs a limit: operations or bytes a second")
        with self._throttled(operations_per_second, bytes_per_second) as fault:
            yield fault

    @contextlib.contextmanager
    def _throttled(
        self, operations_per_second: int, bytes_per_second: int, before: Callable[[str], object] | None = None
    ) -> Iterator[Fault]:
        group = f"{self._disk.name}-throttle-{next(self._numbers)}"
        limits = {"iops-total": operations_per_second, "bps-total": bytes_per_second}
        arguments = {"qom-type": "throttle-group", "id": group, "limits": {k: v for k, v in limits.items() if v > 0}}
        self._machine.qmp.execute("object-add", arguments)
        try:
            with self._above({"driver": "throttle", "throttle-group": group}, "file", before) as fault:
                yield fault
        finally:
            if self._machine.state is not MachineState.ENDED:
                self._machine.qmp.execute("object-del", id=group)

    @contextlib.contextmanager
    def latency(self, milliseconds: int) -> Iterator[Fault]:
        """Have each operation wait its turn for so long: one after the other, that many milliseconds apart."""
        if not 1 <= milliseconds <= 1000:
            raise ConfigurationError(f"a latency of {milliseconds} ms is not possible: it is 1 to 1000 ms")
        with self.slow(operations_per_second=1000 // milliseconds) as fault:
            yield fault

    @contextlib.contextmanager
    def stalled(self) -> Iterator[Fault]:
        """Have operations hang until the fault is lifted: a byte a second gets through, hours are spent."""

        def spend(node: str) -> None:
            # The limit holds from the second operation on, so QEMU itself makes the first: before the guest can. If the
            # guest were first, QEMU would wait for its own, and hang with the disk.
            self._machine.qmp.human(f'qemu-io {node} "read 0 64k"')

        with self._throttled(0, 1, spend) as fault:
            yield fault

    @contextlib.contextmanager
    def removed(self) -> Iterator[None]:
        """Pull the disk out of the running guest, and put it back in the end.

        Raises ConfigurationError for a disk that cannot be pulled: one on AHCI, or one without a root port.
        """
        self.pull()
        try:
            yield
        finally:
            self.plug()

    def pull(self) -> None:
        """Have the guest let go of the disk, and take it out."""
        disk, machine = self._disk, self._machine
        if disk.bus is Bus.IDE or (disk.bus is Bus.VIRTIO and disk.root_port is None):
            raise ConfigurationError(
                f"the disk {disk.name} cannot be pulled from its {disk.bus.value}",
                hint="use usb-storage, or virtio-blk behind a root port",
            )
        before = machine.qmp.last_event
        machine.qmp.execute("device_del", id=disk.device)
        # The event comes twice for virtio: once for the backend, without a name, and once for the device.
        machine.qmp.wait_event(
            "DEVICE_DELETED",
            machine.deadlines.begin(Wait.DEVICE_REMOVED),
            after=before,
            where=lambda event: event.data.get("device") == disk.device,
        )

    def plug(self) -> None:
        """Put a disk back that was pulled."""
        self._machine.qmp.execute("device_add", self._disk.device_properties(self._stack[-1]))

    @contextlib.contextmanager
    def _above(
        self, node: Mapping[str, Any], child: str, before: Callable[[str], object] | None = None
    ) -> Iterator[Fault]:
        """Put a filter node between the disk's topmost node and its device, and take it out again.

        `before` is called with its name when it is there, and the guest does not use it yet.
        """
        if self._disk.bus is Bus.USB:
            raise ConfigurationError(
                f"the disk {self._disk.name} is on usb-storage, which can only be pulled",
                hint="faults are possible on virtio-blk and ide-hd",
            )
        qmp = self._machine.qmp
        name, below = f"{self._disk.name}-fault-{next(self._numbers)}", self._stack[-1]
        since, failed = qmp.last_event, _failed_operations(self._machine, self._disk)
        qmp.execute("blockdev-add", {**node, "node-name": name, child: below})
        try:
            if before is not None:
                before(name)
            self._attach(name)
        except FltLabError:
            qmp.execute("blockdev-del", node_name=name)
            raise
        self._stack.append(name)
        try:
            yield Fault(self._machine, self._disk, name, since, failed)
        finally:
            self._lift(name, below)

    def _lift(self, name: str, below: str) -> None:
        if self._stack[-1] != name:
            raise FaultOrderError(f"the fault {name} cannot be lifted: {self._stack[-1]} was set after it")
        self._stack.pop()
        if self._machine.state is MachineState.ENDED:
            return
        self._attach(below)
        self._machine.qmp.execute("blockdev-del", node_name=name)

    def _attach(self, node: str) -> None:
        path = f"/machine/peripheral/{self._disk.device}"
        self._machine.qmp.execute("qom-set", path=path, property="drive", value=node)


def _failed_operations(machine: Machine, disk: Disk) -> int:
    """How many operations of a disk's device have failed, by QEMU's statistics, since the machine was started."""
    for device in machine.qmp.execute("query-blockstats"):
        # By its id or its path in QEMU's tree, whichever the device gives; virtio's disk is a part of its device.
        if device.get("qdev", "").removesuffix("/virtio-backend").rpartition("/")[2] == disk.device:
            counts: Mapping[str, Any] = device["stats"]
            return sum(n for name, n in counts.items() if name.startswith("failed_") and name.endswith("_operations"))
    raise HostError(f"QEMU has no statistics of the disk {disk.name}", details=(f"its device: {disk.device}",))


def error_rules(
    operations: Sequence[Operation], error: Error, sectors: range | None, count: int | None
) -> list[dict[str, object]]:
    """Return blkdebug's rules: one for each operation, sector and time that it is to fail.

    blkdebug knows single sectors only, and "once" or "always"; a rule for one time is used up by one error.
    """
    if not operations:
        raise ConfigurationError("which operations are to fail? Give at least one")
    if count is not None and count < 1:
        raise ConfigurationError(f"operations cannot fail {count} times")
    if sectors is not None and (sectors.step != 1 or len(sectors) == 0 or sectors.start < 0):
        raise ConfigurationError(f"{sectors} is no range of sectors")
    places: Sequence[int | None] = [None] if sectors is None else sectors
    number = len(operations) * len(places) * (count or 1)
    if number > MOST_RULES:
        raise ConfigurationError(
            f"a fault of {number} rules is too much: {MOST_RULES} are possible",
            details=("it takes one rule for each operation, sector and time",),
            hint="take fewer sectors (all of them is one rule), or no count",
        )
    rules: list[dict[str, object]] = []
    for operation in operations:
        for place in places:
            rule: dict[str, object] = {"event": "none", "iotype": operation.value, "errno": int(error)}
            rule.update({"immediately": False, "once": count is not None})
            if place is not None:
                rule["sector"] = place
            rules.extend(dict(rule) for _ in range(count or 1))
    return rules
