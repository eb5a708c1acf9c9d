r"""`disk`: the disk of V: from below, made to fail while minifilters have operations on it.

    lab.pending.when(IrpMajor.READ, name="data.bin").pend("queue", hold=True)
    with disk.fails("read"):
        io = lab.io(r"open f V:\data.bin access=read options=noncached,overlapped …")

On a guest in QEMU the hardware does it: filter nodes of QEMU's block layer (harness/machine/faults.py). The reference
kernel in such a guest is told to go past Linux's page cache meanwhile. On `reference-local` it is its own disk driver.
Files that the test has asked of `volume` are made first.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from harness.errors import ConfigurationError, GuestError
from harness.fleet.volume import Volume
from harness.guest import Guest, GuestKind
from harness.machine.faults import WRITES, DiskFaults, Operation
from harness.machine.machine import Machine
from harness.nt import NtStatus

FAILURES = frozenset({NtStatus.IO_DEVICE_ERROR, NtStatus.DEVICE_DATA_ERROR, NtStatus.CRC_ERROR, NtStatus.UNSUCCESSFUL})
"""How a guest may tell of a transfer that its disk has failed."""
NO_ROOM = FAILURES | {NtStatus.DISK_FULL}
"""Of one that the disk has no room for: most drivers of disks tell of every error alike."""
GONE = FAILURES | {
    NtStatus.NO_SUCH_DEVICE,
    NtStatus.DEVICE_NOT_READY,
    NtStatus.FILE_INVALID,
    NtStatus.VOLUME_DISMOUNTED,
}
"""Of one on a disk that is not in the machine any more."""

_OPERATIONS = {"read": (Operation.READ,), "write": WRITES}
_DISK = "data"
"""As QEMU's machine calls it (harness/image)."""


class _Faults(Protocol):
    """One way to have a disk fail; each holds as long as its context."""

    def fails(self, words: tuple[str, ...], count: int) -> contextlib.AbstractContextManager[object]:
        """Transfers of these kinds fail, so many of them (0: all)."""

    def is_slow(self, milliseconds: int) -> contextlib.AbstractContextManager[object]:
        """Each transfer takes that much longer."""

    def is_full(self) -> contextlib.AbstractContextManager[object]:
        """Nothing more has room."""

    def pull(self) -> None:
        """The hardware is gone."""


class Disk:
    """The disk of V:, for a test."""

    def __init__(self, volume: Volume, prepare: Callable[[], object]) -> None:
        """`prepare` makes the files that the test has asked for, while the disk is sound."""
        self._volume = volume
        self._prepare = prepare
        assert volume.guest is not None
        machine = volume.guest.body
        self._faults: _Faults
        if isinstance(machine, Machine):
            self._faults = _MachineDisk(volume.guest, machine, volume.letter)
        else:
            self._faults = _KernelDisk(volume.guest, volume.letter)

    @contextlib.contextmanager
    def fails(self, *operations: str, count: int = 0) -> Iterator[None]:
        """Have transfers fail: "read", "write", or both; so many of them (0: all). The guest tells one of FAILURES."""
        for word in operations:
            if word not in _OPERATIONS:
                raise ConfigurationError(f"a disk does not {word!r}", hint="it fails to 'read' or to 'write'")
        self._prepare()
        with self._faults.fails(operations or tuple(_OPERATIONS), count):
            yield

    @contextlib.contextmanager
    def is_slow(self, milliseconds: int = 50) -> Iterator[None]:
        """Have each transfer take that much longer: of the guest's time, on a reference guest in QEMU of the host's."""
        self._prepare()
        with self._faults.is_slow(milliseconds):
            yield

    @contextlib.contextmanager
    def is_full(self) -> Iterator[None]:
        """Have writes end for want of room; the guest tells one of NO_ROOM."""
        self._prepare()
        with self._faults.is_full():
            yield

    def is_removed(self) -> None:
        """Take it out of the machine, by surprise, whatever is under way. ConfigurationError on a Windows guest."""
        if self._volume.guest is not None and self._volume.guest.kind is not GuestKind.WINDOWS:
            self._faults.pull()
        self._volume.remove()


class _KernelDisk:
    """The reference kernel's own disk driver."""

    def __init__(self, guest: Guest, letter: str) -> None:
        self._guest = guest
        self._letter = letter

    @contextlib.contextmanager
    def _set(self, words: str) -> Iterator[None]:
        set_disk(self._guest, self._letter, words)
        try:
            yield
        finally:
            set_disk(self._guest, self._letter)

    def fails(self, words: tuple[str, ...], count: int) -> contextlib.AbstractContextManager[object]:
        return self._set(f"failing={','.join(words)} status={int(NtStatus.IO_DEVICE_ERROR)} count={count}")

    def is_slow(self, milliseconds: int) -> contextlib.AbstractContextManager[object]:
        return self._set(f"milliseconds={milliseconds}")

    def is_full(self) -> contextlib.AbstractContextManager[object]:
        return self._set("full")

    def pull(self) -> None:
        """The kernel's disk goes when it is told so."""


class _MachineDisk:
    """A disk of QEMU's."""

    def __init__(self, guest: Guest, machine: Machine, letter: str) -> None:
        self._guest = guest
        self._letter = letter
        self._machine = machine
        self._faults = DiskFaults(machine, _DISK)

    @contextlib.contextmanager
    def _through(self, fault: contextlib.AbstractContextManager[object]) -> Iterator[None]:
        reference = self._guest.kind is not GuestKind.WINDOWS
        if reference:
            set_disk(self._guest, self._letter, "through")
        with fault:
            yield
        if reference:
            set_disk(self._guest, self._letter)

    def fails(self, words: tuple[str, ...], count: int) -> contextlib.AbstractContextManager[object]:
        operations = [operation for word in words for operation in _OPERATIONS[word]]
        return self._through(self._faults.errors(*operations, count=count or None))

    def is_slow(self, milliseconds: int) -> contextlib.AbstractContextManager[object]:
        return self._through(self._faults.latency(milliseconds))

    def is_full(self) -> contextlib.AbstractContextManager[object]:
        return self._through(self._faults.full())

    def pull(self) -> None:
        self._faults.pull()


def set_disk(guest: Guest, letter: str, words: str = "") -> None:
    """Tell the reference kernel how a disk is from now on; GuestError if it does not take it."""
    result = guest.run(f"fltlab-volume disk {letter} {words}".rstrip())
    if not result.ok:
        raise GuestError(f"the disk of {letter} could not be made {words or 'sound'}", details=result.describe())
