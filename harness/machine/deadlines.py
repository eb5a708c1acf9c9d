"""How long anything about a machine or a guest may take: the one place for it.

Each deadline is about ten times what was measured where fltlab was written (two shared cores, TCG), thirty times where
QEMU starts, boots or forks, which may itself take ten times as long beside others. They are scaled by how fast this
machine's accelerator ran the probe (harness/host/accelerator.py). A deadline is there to end a hang, not to judge
speed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from harness.errors import GuestError
from harness.host.accelerator import REFERENCE_PROBE_SECONDS, Probe

T = TypeVar("T")

POLL_SECONDS = 0.01


class Wait(Enum):
    """What is waited for, and for how many seconds at most on the machine that fltlab was measured on."""

    QEMU_START = ("QEMU to answer QMP", 45.0)
    QMP_COMMAND = ("QEMU to answer a QMP command", 20.0)
    QEMU_EXIT = ("QEMU to end", 10.0)
    BOOT = ("the guest to answer WinRM after a cold boot", 180.0)
    FIRMWARE = ("the firmware to look everywhere for something to boot", 60.0)
    FORK = ("a fork to answer WinRM", 60.0)
    FREEZE = ("a machine to be frozen", 30.0)
    THAW = ("a fork to take over its template's state", 60.0)
    GUEST_COMMAND = ("a command in the guest", 60.0)
    DEVICE_REMOVED = ("the guest to let go of a device", 10.0)
    ROOM = ("room for one more machine on this host", 900.0)
    TRAY = ("the tray of a CD drive to move", 10.0)
    DISK_AS_FILE = ("the guest's disk to be there as a file", 20.0)
    PROCESSOR_FEATURES = ("QEMU to try features of the processor", 10.0)
    WINDOWS_START = ("Windows to answer WinRM after a cold start", 900.0)
    WINDOWS_FORK = ("a fork of Windows to answer WinRM", 120.0)
    WINDOWS_DISK = ("Windows to format its data disk", 180.0)
    WINDOWS_CRASH = ("Windows to bug check on an NMI", 60.0)
    WINDOWS_RESTART = ("Windows to restart after writing its dump", 600.0)
    WINDOWS_AGAIN = ("Windows to answer after it restarted", 600.0)
    WINDOWS_DUMP = ("the dump of Windows to be there", 300.0)
    WINDOWS_OFF = ("Windows to switch itself off", 180.0)
    # What is asked of a guest over WinRM. An answer is held back at most so long by the guest when there is no news;
    # the grace is how much longer it may be under way before the connection counts as lost.
    WINRM_ANSWER = ("one answer over WinRM", 20.0)
    WINRM_GRACE = ("an answer over WinRM that is overdue", 5.0)
    IDENTITY = ("a guest to say who it is", 30.0)
    FORKED = ("a fork to take on its identity", 60.0)
    KERNEL_STATUS = ("the guest's kernel to say how it is", 20.0)
    DEPLOY = ("a stack of minifilters to be deployed", 120.0)
    IO_SCRIPT = ("fltprobe to run an I/O script to its end", 120.0)
    SSH = ("the guest's SSH server to let us in", 30.0)
    SFTP = ("one answer over SFTP", 30.0)
    LOST = ("what the guest runs in to be seen ending", 0.5)
    DAEMON_START = ("the guest daemon to answer", 30.0)
    DAEMON_END = ("the guest daemon to end", 5.0)

    @property
    def text(self) -> str:
        """What is waited for."""
        return self.value[0]

    @property
    def seconds(self) -> float:
        """How long at most, where fltlab was measured."""
        return self.value[1]


class DeadlineError(GuestError):
    """Something did not happen in time."""


class Deadline:
    """A point in time by which something must have happened, and what that is."""

    def __init__(self, seconds: float, waiting_for: str) -> None:
        self.seconds = seconds
        self.waiting_for = waiting_for
        self._begin = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._begin

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self.remaining == 0.0

    def error(self, last_seen: str) -> DeadlineError:
        """Return the error that says what was waited for, for how long, and what was seen last."""
        return DeadlineError(
            f"waited {self.seconds:.0f} s for {self.waiting_for}", details=(f"last seen: {last_seen or 'nothing'}",)
        )

    def poll(self, look: Callable[[], tuple[T | None, str]], interval: float = POLL_SECONDS) -> T:
        """Look again and again until `look` gives something; it also says what it saw, for the error."""
        while True:
            found, seen = look()
            if found is not None:
                return found
            if self.expired:
                raise self.error(seen)
            time.sleep(min(interval, self.remaining))


@dataclass(frozen=True)
class Deadlines:
    """All deadlines on this machine."""

    scale: float = 1.0

    @classmethod
    def measured(cls, probe: Probe) -> "Deadlines":
        """Return the deadlines for a machine on which the probe took so long; they never shrink below the measured."""
        return cls(min(20.0, max(1.0, probe.seconds / REFERENCE_PROBE_SECONDS)))

    def seconds(self, wait: Wait) -> float:
        """Return how many seconds a wait may last here."""
        return wait.seconds * self.scale

    def of(self, limit: "float | Wait") -> float:
        """Return the seconds of a wait here, or those that somebody has chosen, as they are."""
        return self.seconds(limit) if isinstance(limit, Wait) else limit

    def begin(self, wait: Wait) -> Deadline:
        """Begin to wait."""
        return Deadline(self.seconds(wait), wait.text)
