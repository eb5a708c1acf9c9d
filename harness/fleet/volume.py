"""`volume`: the data volume V: of the guest, and the files a test wants to find on it.

Fltprobe itself makes them where it can, by steps that run before it connects to any minifilter: connecting clears the
rings, so that the trace of a test begins with its own operations, and its script is all that another guest needs to do
the same. They are written past the cache, so that nothing is left for the lazy writer to write in the middle of the
test. If what is to be in them or a minifilter that is no test minifilter asks for it, they are put into the guest: on a
reference guest below all filters, on Windows by a program as any other.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError, GuestError
from harness.guest import GuestKind

if TYPE_CHECKING:
    from harness.guest import Guest

SECTOR = 4096
STEPS_OF_A_FILE = 3


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
    _files: dict[str, bytes] = field(default_factory=dict)

    def path(self, name: str) -> str:
        r"""The path of a file in the volume's root, e.g. `V:\data.bin`."""
        return rf"{self.letter}\{name}"

    def file(self, name: str, length: int | None = None, fill: int = 0, content: bytes | str | None = None) -> str:
        """Have a file made before the next I/O; returns its path.

        It has `length` bytes, each of them `fill`, or this `content` (text as UTF-8).
        """
        if (length is None) is (content is None):
            raise ValueError("a file has either a length or a content")
        path = self.path(name)
        data = content.encode() if isinstance(content, str) else content
        self._files[path] = data if data is not None else bytes([fill]) * (length or 0)
        if length is not None and not length % SECTOR:
            self._make(path, length, fill)
        return path

    def _make(self, path: str, length: int, fill: int) -> None:
        handle = f"prepare{len(self._steps)}"
        self._steps += [
            f'open {handle} "{path}" access=write disposition=overwrite-if options=noncached',
            f"write {handle} offset=0 length={length} fill=0x{fill:02X}",
            f"close {handle}",
        ]

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
        self._files = {}
        return steps

    @property
    def needs_putting(self) -> bool:
        """Whether there is a file that fltprobe does not make: of an odd length, or with a content."""
        return len(self._files) * STEPS_OF_A_FILE != len(self._steps)

    def take_files(self) -> dict[str, bytes]:
        """The files asked for since the last call, by their path."""
        files, self._files, self._steps = self._files, {}, []
        return files
