"""`volume`: the data volume V: of the guest, and the files a test wants to find on it.

Fltprobe itself makes them where it can, by steps that run before it connects to any minifilter: connecting clears the
rings, so that the trace of a test begins with its own operations, and its script is all that another guest needs to do
the same. They are written past the cache, so that nothing is left for the lazy writer to write in the middle of the
test. If what is to be in them or a minifilter that is no test minifilter asks for it, they are put into the guest: on a
reference guest below all filters, on Windows by a program as any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError, GuestError, TestError
from harness.guest import GuestKind
from harness.minifilter import steps as step
from harness.minifilter.listing import DirectoryEntry
from harness.minifilter.probe import ProbeResult, Step
from harness.nt import NtStatus, nt_success, status_name

if TYPE_CHECKING:
    from harness.guest import Guest

Content = bytes
SECTOR = 4096
MOST_BYTES = 4 * 1024 * 1024
"""Of a file that a test wants whole."""
LISTING = 1024 * 1024
"""Bytes of a listing."""
TOGETHER = 50
"""Directories that one script lists."""
_DIRECTORY = 0x10
"""FILE_ATTRIBUTE_DIRECTORY"""
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
    _files: dict[str, Content] = field(default_factory=dict)

    def path(self, name: str) -> str:
        r"""The path of a file in the volume's root, e.g. `V:\data.bin`."""
        return rf"{self.letter}\{name}"

    def file(self, name: str, length: int | None = None, fill: int = 0, content: Content | str | None = None) -> str:
        """Have a file made before the next I/O; returns its path.

        It has `length` bytes, each of them `fill`, or this `content` (text as UTF-8).
        """
        if (length is None) is (content is None):
            raise ValueError("a file has either a length or a content")
        path = self.path(name)
        data = content.encode() if isinstance(content, str) else content
        self._files[path] = data if data is not None else Content([fill]) * (length or 0)
        if length is not None and not length % SECTOR:
            self._make(path, length, fill)
        return path

    # -- what is there now, as a program sees it through the stack

    def bytes(self, name: str) -> Content:
        """The content of a file, at most 4 MiB; TestError if it cannot be read.

        Files that were asked for by `file` are made by the next `lab.io`, not before.
        """
        opened = step.open("file", self.path(name), access="read", options="non-directory")
        read = step.read(opened, offset=0, length=MOST_BYTES + 1, whole=True)
        done = self._ask([opened, read], [NtStatus.END_OF_FILE])[1]
        if done.information > MOST_BYTES:
            raise TestError(f"{self.path(name)} is longer than {MOST_BYTES} bytes: too long to be looked at whole")
        return done.data

    def text(self, name: str, encoding: str = "utf-8") -> str:
        """The content of a file as text; TestError if it is none in this encoding."""
        content = self.bytes(name)
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            raise TestError(f"{self.path(name)} is no text in {encoding}: {error.reason}") from error

    def directory(self, name: str = "") -> list[str]:
        """The names in a directory, in the order of the file system; of the volume's root by itself."""
        return [entry.name for entry in self._listed([name])[0]]

    def tree(self, name: str = "") -> list[str]:
        """All that lies below a directory, sorted: paths from there on; those of directories end with a backslash."""
        found: list[str] = []
        level = [""]
        while level:
            below: list[str] = []
            for at in range(0, len(level), TOGETHER):
                several = level[at : at + TOGETHER]
                listings = self._listed([f"{name}\\{path}".strip("\\") for path in several])
                for path, entries in zip(several, listings, strict=True):
                    for entry in entries:
                        is_directory = bool((entry.attributes or 0) & _DIRECTORY)
                        found.append(f"{path}{entry.name}" + ("\\" if is_directory else ""))
                        below += [found[-1]] if is_directory else []
            level = below
        return sorted(found)

    def _listed(self, names: Sequence[str]) -> list[list[DirectoryEntry]]:
        script = []
        for number, name in enumerate(names):
            opened = step.open(
                f"d{number}", self.path(name), access="list", options=["directory", "open-reparse-point"]
            )
            script += [opened, step.directory(opened, class_="full", room=LISTING, whole=True), step.close(opened)]
        done = self._ask(script, [NtStatus.NO_SUCH_FILE])
        return [
            [entry for entry in one.entries if entry.name not in {".", ".."}] for one in done if one.verb == "directory"
        ]

    def _ask(self, script: Sequence[step.ScriptStep], allowed: Sequence[NtStatus]) -> list[Step]:
        """What came of each step, beside what the test does; TestError for one that failed otherwise."""
        from harness.guest.probe import run_probe

        if self.guest is None:
            raise ConfigurationError(f"{self.letter} is the volume of no guest, so nothing on it can be looked at")
        result: ProbeResult = run_probe(self.guest, "\n".join(map(str, script)) + "\n")[1]
        if result.error or len(result.steps) != len(script):
            raise GuestError(f"{self.letter} could not be looked at: {result.error or 'it took too long'}")
        for asked, done in zip(script, result.steps, strict=True):
            if not nt_success(done.status) and done.status not in allowed:
                raise TestError(f"{self.letter} cannot be looked at: {asked.text}: {status_name(done.status)}")
        return list(result.steps)

    def _make(self, path: str, length: int, fill: int) -> None:
        handle = f"prepare{len(self._steps)}"
        self._steps += [
            f'open {handle} "{path}" access=write disposition=overwrite-if options=noncached',
            f"write {handle} offset=0 length={length} fill=0x{fill:02X}",
            f"close {handle}",
        ]

    def remember(self) -> Callable[[], None]:
        """What was asked of it until now; what is returned makes it so again."""
        steps, files = list(self._steps), dict(self._files)

        def again() -> None:
            self.was_dismounted = self.was_removed = False
            self._steps[:] = steps
            self._files.clear()
            self._files.update(files)

        return again

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

    def take_files(self) -> dict[str, Content]:
        """The files asked for since the last call, by their path."""
        files, self._files, self._steps = self._files, {}, []
        return files
