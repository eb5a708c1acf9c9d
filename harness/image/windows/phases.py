"""The phases of building a Windows image, and the markers on COM1 by which the guest tells which one it is in."""

import re
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """A phase: what happens in it, about how many seconds it takes under KVM, and how long it may stay silent.

    The durations are guesses until this host has built an image; then they are what it took (history.py). A phase in
    which the guest still writes to its disk may take four times as long as it may stay silent.
    """

    FIRMWARE = ("starting Windows PE", 60, 600)
    PARTITION = ("partitioning the disk", 15, 300)
    APPLY = ("putting Windows on the disk", 400, 2700)
    BOOT_FILES = ("making the disk bootable", 20, 600)
    FIRST_BOOT = ("starting Windows for the first time", 240, 2700)
    OOBE = ("setting up accounts", 180, 2700)
    PROVISION = ("setting up the guest", 120, 1800)
    RESTART = ("waiting for WinRM after the restart", 90, 900)
    SEAL = ("sealing the image", 120, 1800)
    COMPRESS = ("compressing the disk", 240, 7200)
    VERIFY = ("verifying the image", 120, 1800)

    def __init__(self, title: str, typical: int, silence: int) -> None:
        self.title = title
        self.typical = typical
        self.silence = silence

    @property
    def number(self) -> int:
        """The place of this phase among all."""
        return list(Phase).index(self)

    @property
    def following(self) -> "Phase":
        """The next phase."""
        return list(Phase)[self.number + 1]


class Signal(Enum):
    """Everything that the guest's scripts say on COM1."""

    PE_START = "FLTLAB-PE-START"
    PE_IMAGE = "FLTLAB-PE-IMAGE"
    PE_PARTITIONED = "FLTLAB-PE-PARTITIONED"
    PE_APPLIED = "FLTLAB-PE-APPLIED"
    PE_BOOT_FILES = "FLTLAB-PE-BOOT-FILES"
    PE_DONE = "FLTLAB-PE-DONE"
    PE_WARN = "FLTLAB-PE-WARN"
    PE_FAIL = "FLTLAB-PE-FAIL"
    PE_LOG_END = "FLTLAB-PE-LOG-END"
    SPECIALIZE_START = "FLTLAB-SPECIALIZE-START"
    SPECIALIZE_WARN = "FLTLAB-SPECIALIZE-WARN"
    SPECIALIZE_FAIL = "FLTLAB-SPECIALIZE-FAIL"
    SPECIALIZE_DONE = "FLTLAB-SPECIALIZE-DONE"
    PROVISION_START = "FLTLAB-PROVISION-START"
    STEP_OK = "FLTLAB-STEP-OK"
    STEP_WARN = "FLTLAB-STEP-WARN"
    STEP_FAIL = "FLTLAB-STEP-FAIL"
    CERTIFICATE = "FLTLAB-CERTIFICATE"
    SSH_HOST_KEY = "FLTLAB-SSH-HOST-KEY"
    PROVISION_FAIL = "FLTLAB-PROVISION-FAIL"
    PROVISION_DONE = "FLTLAB-PROVISION-DONE"
    BOOT_WINRM = "FLTLAB-BOOT-WINRM"
    BOOT_FAIL = "FLTLAB-BOOT-FAIL"
    SEAL_START = "FLTLAB-SEAL-START"
    SEAL_FAIL = "FLTLAB-SEAL-FAIL"
    SEAL_DONE = "FLTLAB-SEAL-DONE"


ENDS = {
    Signal.PE_START: Phase.PARTITION,
    Signal.PE_PARTITIONED: Phase.APPLY,
    Signal.PE_APPLIED: Phase.BOOT_FILES,
    Signal.PE_DONE: Phase.FIRST_BOOT,
    Signal.SPECIALIZE_DONE: Phase.OOBE,
    Signal.PROVISION_START: Phase.PROVISION,
    Signal.PROVISION_DONE: Phase.RESTART,
    Signal.SEAL_START: Phase.SEAL,
}
"""The phase that begins with a signal."""

WARNINGS = frozenset({Signal.PE_WARN, Signal.SPECIALIZE_WARN, Signal.STEP_WARN})

FAILURES: dict[Signal, str] = {
    Signal.PE_FAIL: "Windows could not be put on the disk",
    Signal.SPECIALIZE_FAIL: "Windows' first start went wrong",
    Signal.PROVISION_FAIL: "the guest could not be set up",
    Signal.BOOT_FAIL: "the guest started, and its WinRM service does not run",
    Signal.SEAL_FAIL: "the image could not be sealed",
}

REASONS = {
    "no-install-image": "Windows PE sees no CD with sources\\install.wim or install.esd",
    "diskpart": "diskpart failed: see its output below; is the disk large enough?",
    "diskpart-no-volume": "diskpart ended well, and there is no volume W:",
    "dism-apply": "dism could not apply the image: see its output below; a damaged ISO shows here too (--sha256)",
    "dism-no-windows": "dism ended well, and there is no Windows on the disk: is the edition's index right?",
    "bcdboot": "bcdboot could not make the disk bootable",
    "no-boot-loader": "there is no \\EFI\\Boot\\bootx64.efi on the system partition",
    "answer-file": "the answer file could not be copied from the provisioning CD",
    "guest-files": "the guest's scripts could not be copied from the provisioning CD",
    "registry": "the registry of the new Windows could not be opened",
    "registry-unload": "the registry of the new Windows could not be closed",
}
"""What the reasons that install.cmd and specialize.cmd give mean."""


@dataclass(frozen=True)
class Marker:
    """A signal, and what came with it."""

    signal: Signal
    text: str


_LINE = re.compile(r"(FLTLAB(?:-[A-Z0-9]+)+)\b[ \t]*([^\r\n]*)")
_BY_NAME = {signal.value: signal for signal in Signal}


def parse_line(line: str) -> Marker | None:
    """Return the marker in a line of COM1, None if there is none; firmware may have left its own text before it."""
    found = _LINE.search(line)
    signal = _BY_NAME.get(found[1]) if found else None
    return Marker(signal, found[2].strip()) if found and signal else None
