"""What is happening in a guest that Windows is being installed in, from its serial line and QEMU's events.

The follower only listens and concludes; it starts nothing and waits for nothing, so that it can be tried with any
course of events. Markers on COM1 are its best evidence. Where a guest's COM1 is mute it still ends right: resets and an
answering WinRM carry it over phases that it heard nothing of.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from harness.errors import ConfigurationError, GuestError
from harness.image.windows.phases import ENDS, FAILURES, REASONS, WARNINGS, Marker, Phase, Signal, parse_line
from harness.nt.bugcheck import bugcheck_name

MOST_RESETS = 8
"""Restarts of one phase after which it is a boot loop; Windows' own setup restarts up to three times in all."""

WINDOWS_BYTES = 4 << 30
"""So much on the disk is Windows; partitions alone are a few megabytes."""

_PROMPT = "Press any key to boot from"
NOTHING_BOOTS = re.compile(r'No bootable option or device was found|starting Boot\w+ "EFI Internal Shell"')
"""What the firmware says on COM1 when it has looked everywhere: it has come to its end, and boots nothing."""

_LOG_LINES = 12


class BuildFailedError(GuestError):
    """Windows could not be installed: `phase` tells where it stopped."""

    def __init__(self, phase: Phase, message: str, *, details: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, details=(f"phase: {phase.title}", *details), hint=hint)
        self.phase = phase


class NotBootableError(ConfigurationError):
    """The firmware found nothing to boot from."""


class Request(Enum):
    """What the follower wants done."""

    PRESS_KEY = auto()
    CONNECT = auto()


@dataclass
class Follower:
    """The course of one installation so far.

    `stage_begins` is the phase that this run of the machine begins with. `windows_setup` means that Windows Setup
    installs, which says nothing between its start and the first restart.
    """

    stage_begins: Phase = Phase.FIRMWARE
    windows_setup: bool = False
    markers: list[Marker] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    certificate: str | None = None
    ssh_host_key: str | None = None
    reset_after_windows_pe: bool = False
    shut_down: bool = False
    written: int = 0
    """Bytes that the guest has written to its disk, as far as it was looked at."""

    def __post_init__(self) -> None:
        self.phase = self.stage_begins
        self._rest = ""
        self._tail: list[str] = []
        self._resets = 0
        self._failure: Marker | None = None

    def serial(self, text: str) -> None:
        """Take what came on the serial line, in pieces of any size; raises BuildFailedError when the guest gives up."""
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        if _PROMPT in self._rest:  # the prompt's line does not end before a key is pressed
            self._rest = self._rest.replace(_PROMPT, "", 1)
            self.requests.append(Request.PRESS_KEY)
        for line in lines:
            self._line(re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", line).strip())

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """Take an event of QEMU; raises BuildFailedError when it means that the installation is lost."""
        if name == "RESET" and data.get("guest"):
            self._reset()
        elif name == "SHUTDOWN" and data.get("guest"):
            if data.get("reason") == "guest-reset":
                self._reset()
            else:
                self._shutdown()
        elif name == "GUEST_PANICKED":
            raise self._bugcheck(data.get("info") or {})

    def answered(self) -> None:
        """Note that WinRM answered: everything before that is done, heard of or not."""
        if self.phase.number <= Phase.RESTART.number:
            self._enter(Phase.SEAL)

    def silent(self, seconds: float, writes: bool) -> BuildFailedError:
        """Return the error for a guest of which nothing was heard for too long."""
        busy = "it still writes to its disk" if writes else "it does not write to its disk either"
        if self.phase is Phase.RESTART and self.heard(Signal.BOOT_WINRM):
            why = "it says on COM1 that its WinRM service runs"
        else:
            why = f"the last it said on COM1: {self._tail[-1] if self._tail else 'nothing'}"
        return BuildFailedError(
            self.phase, f"nothing was heard of the guest for {seconds / 60:.0f} min", details=(busy, why)
        )

    @property
    def failing(self) -> bool:
        """Whether the guest has begun to report a failure, and its log is still to come."""
        return self._failure is not None

    def heard(self, signal: Signal) -> bool:
        """Whether the guest has said this."""
        return any(marker.signal is signal for marker in self.markers)

    def _line(self, line: str) -> None:
        if line:
            self._tail = [*self._tail, line][-200:]
        if NOTHING_BOOTS.search(line) and self.phase in {Phase.FIRMWARE, Phase.FIRST_BOOT}:
            raise self._not_bootable()
        marker = parse_line(line)
        if marker is None:
            return
        self.markers.append(marker)
        if marker.signal in WARNINGS:
            self.warnings.append(marker.text)
        elif marker.signal is Signal.STEP_FAIL:
            self.steps.append(marker.text)
        elif marker.signal is Signal.CERTIFICATE:
            self.certificate = marker.text.lower()
        elif marker.signal is Signal.SSH_HOST_KEY:
            self.ssh_host_key = marker.text
        elif marker.signal is Signal.PE_FAIL:
            self._failure = marker  # its log follows
        elif marker.signal in FAILURES:
            raise self._failed(marker)
        elif marker.signal is Signal.PE_LOG_END and self._failure is not None:
            raise self._failed(self._failure)
        elif marker.signal is Signal.BOOT_WINRM and self.phase is Phase.RESTART:
            self.requests.append(Request.CONNECT)
        begun = ENDS.get(marker.signal)
        if begun is Phase.PARTITION and self.windows_setup:
            begun = Phase.APPLY
        if begun is not None and begun.number > self.phase.number:
            self._enter(begun)

    def give_up_waiting_for_log(self) -> None:
        """Raise the failure that a guest began to report, when the end of its log does not come."""
        if self._failure is not None:
            raise self._failed(self._failure)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._resets = 0

    def _reset(self) -> None:
        if self.stage_begins is Phase.FIRMWARE:
            setup_is_done = self.windows_setup and self.heard(Signal.PE_START)
            mute = not self.markers and self.written >= WINDOWS_BYTES
            if mute:
                self.warnings.append("Windows PE said nothing on COM1; what it wrote is taken for Windows")
            if self.phase.number < Phase.FIRST_BOOT.number and not setup_is_done and not mute:
                raise BuildFailedError(
                    self.phase,
                    "Windows PE restarted before Windows was on the disk",
                    details=self._last_lines(),
                    hint="see the screenshot; a processor that Windows does not take ends like this",
                )
            self._enter(Phase.FIRST_BOOT)
            self.reset_after_windows_pe = True
            return
        self._resets += 1
        if self._resets > MOST_RESETS:
            raise BuildFailedError(
                self.phase,
                f"the guest is in a boot loop: it restarted {self._resets} times in this phase",
                details=self._last_lines(),
            )

    def _shutdown(self) -> None:
        self.shut_down = True
        if not self.heard(Signal.SEAL_DONE) and self.phase is not Phase.SEAL:
            raise BuildFailedError(
                self.phase,
                "the guest switched itself off",
                details=self._last_lines(),
                hint="about an hour after its start that is an evaluation without a licence: build it with --activate",
            )

    def _failed(self, marker: Marker) -> BuildFailedError:
        known = REASONS.get(marker.text)
        if marker.signal in {Signal.PROVISION_FAIL, Signal.SEAL_FAIL}:
            details = tuple(f"step {step}" for step in self.steps) or (marker.text,)
        else:
            details = (marker.text if known is None else f"{marker.text}: {known}", *self._last_lines())
        return BuildFailedError(self.phase, FAILURES[marker.signal], details=details)

    def _bugcheck(self, info: Mapping[str, Any]) -> BuildFailedError:
        code = info.get("arg1")
        name = f"{bugcheck_name(int(code))} (0x{int(code):X})" if code is not None else "an unknown bug check"
        parameters = ", ".join(f"0x{int(info[key]):X}" for key in ("arg2", "arg3", "arg4", "arg5") if key in info)
        return BuildFailedError(
            self.phase,
            f"Windows stopped with {name} while it was installed",
            details=(f"parameters: {parameters or 'none'}",),
        )

    def _not_bootable(self) -> NotBootableError:
        what = "the ISO" if self.phase is Phase.FIRMWARE else "the disk that Windows was put on"
        return NotBootableError(
            f"the firmware could not boot from {what}",
            details=self._last_lines(),
            hint="compare the ISO's SHA-256 with the one on Microsoft's page",
        )

    def _last_lines(self) -> tuple[str, ...]:
        return tuple(f"COM1: {line}" for line in self._tail[-_LOG_LINES:])
