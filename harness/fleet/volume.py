"""`volume`: the data volume V: of the guest, and the files a test wants to find on it.

The files are made by fltprobe itself, by steps that run before it connects to any minifilter: connecting clears the
rings, so that the trace of a test begins with its own operations. They are written past the cache, so that nothing is
left for the lazy writer to write in the middle of the test.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError, GuestError
from harness.guest import GuestKind

if TYPE_CHECKING:
    from harness.guest import Guest

SECTOR = 4096


@dataclass
class Volume:
    """The volume the stack is attached to."""

    letter: str = "V:"
    guest: "Guest | None" = None
    was_dismounted: bool = False
    """The instances on it are gone, so that the stack must be deployed anew."""
    was_removed: bool = False
    """It is not in the guest any more, which no other test is to meet."""
    _steps: list[str] = field(default_factory=list)

    def path(self, name: str) -> str:
        r"""The path of a file in the volume's root, e.g. `V:\data.bin`."""
        return rf"{self.letter}\{name}"

    def file(self, name: str, length: int, fill: int = 0) -> str:
        """Have a file of `length` bytes, each of them `fill`, made before the next I/O; returns its path.

        `length` is a multiple of 4096, since the file is written past the cache.
        """
        if length % SECTOR:
            raise ValueError(f"{length} is no multiple of {SECTOR}")
        path, handle = self.path(name), f"prepare{len(self._steps)}"
        self._steps += [
            f'open {handle} "{path}" access=write disposition=overwrite-if options=noncached',
            f"write {handle} offset=0 length={length} fill=0x{fill:02X}",
            f"close {handle}",
        ]
        return path

    def dismount(self) -> None:
        """Dismount it, whatever is open on it; the next open mounts it again. GuestError if it is refused."""
        self.was_dismounted = True
        self._run(f"fsutil.exe volume dismount {self.letter}", "dismounted")

    def remove(self, *, surprise: bool = True) -> None:
        """Take its disk out of the guest, by surprise or if nobody minds; GuestError if somebody does.

        ConfigurationError on a Windows guest: the disks of its machine stay where they are while it runs.
        """
        if self.guest is not None and self.guest.kind is GuestKind.WINDOWS:
            raise ConfigurationError(
                f"the disk of {self.letter} cannot be taken out of a Windows guest",
                hint="run this test with --guest reference or reference-local",
            )
        self.was_removed = True
        self._run(f"fltlab-volume remove {self.letter}{' surprise' if surprise else ''}", "removed")

    def _run(self, command: str, what: str) -> None:
        if self.guest is None:
            raise ConfigurationError(f"{self.letter} is the volume of no guest, so it cannot be {what}")
        result = self.guest.run(command)
        if not result.ok:
            raise GuestError(f"{self.letter} could not be {what}", details=result.describe())

    def take_steps(self) -> list[str]:
        """The steps that make the files asked for since the last call."""
        steps, self._steps = self._steps, []
        return steps
