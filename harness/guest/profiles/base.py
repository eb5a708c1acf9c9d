"""The differences between kinds of guest, as data: a kind, and the commands that are not the same everywhere."""

from dataclasses import dataclass
from enum import Enum


class GuestKind(Enum):
    """What a guest is; reports always say which kind gave a verdict."""

    REFERENCE = "reference"
    REFERENCE_LOCAL = "reference-local"
    WINDOWS = "windows"


@dataclass(frozen=True)
class Profile:
    """The commands of one kind of guest.

    `receive` reads a stream of `harness.guest.transfer` on standard input. `send` (with `{path}`) writes a file's bytes
    to standard output. `identity` prints the JSON that `harness.guest.identity` reads. `forked` takes a fork's own
    identity on standard input (`harness.guest.waking`), `from_cd` says there what to copy from a CD
    (`harness.guest.payload`). `kernel_status` prints the state of the reference kernel, and `kernel_restart` starts it
    anew, `kernel_watch` has it record the callbacks of the service that is named behind it, and `kernel_audit`
    has it say what those would leave behind that are named there, or with `--for-good` before them what they do; a
    Windows guest has none, its crashes are QEMU's events.
    """

    kind: GuestKind
    receive: str
    send: str
    identity: str
    forked: str
    kernel_status: str | None
    kernel_restart: str | None
    kernel_watch: str | None = None
    kernel_audit: str | None = None
    kernel_coverage: str | None = None
    """What prints, and forgets, which code of drivers has run."""
    kernel_schedules: str | None = None
    """What begins the commands for schedules, `keep-point`, `go-back` and `followed`; None where none are explored."""
    from_cd: str | None = None
    background: str | None = None
    """What a program in the background is started with; None where any command may go on beside others."""
    stack_folder: str = "C:\\fltlab"

    @property
    def is_reference(self) -> bool:
        """Whether the guest runs the reference kernel."""
        return self.kind is not GuestKind.WINDOWS
