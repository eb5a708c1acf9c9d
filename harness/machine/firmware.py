"""UEFI firmware: which one this host has, and the parts that put it and its variables into a machine.

Firmware is found through the descriptors that QEMU's packages install (docs/interop/firmware.json of QEMU), so no
distribution's paths are known here. Variables live in a qcow2 file: a machine with raw ones cannot be saved.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError
from harness.host.command import run_program
from harness.host.tools import Tool
from harness.machine.disks import Disk, Format
from harness.machine.parts import Launch, node, properties

DESCRIPTORS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
CODE_NODE = "firmware-code"
VARIABLES_NODE = "firmware-variables"
BOARD_OPTIONS = (("pflash0", CODE_NODE), ("pflash1", VARIABLES_NODE))
"""What `Board.options` must say for the firmware to be used."""

LOG = "firmware.log"
_SUFFIX = "x86_64"


@dataclass(frozen=True)
class Firmware:
    """UEFI firmware of this host: its code, and the variables that a new machine begins with."""

    code: Path
    variables: Path
    secure_boot: bool


def find_firmware(*, secure_boot: bool = False, descriptors: Iterable[Path] = DESCRIPTORS) -> Firmware:
    """Return the host's UEFI firmware for q35, with Secure Boot and Microsoft's keys or without Secure Boot at all.

    Raises HostError when there is none.
    """
    for path in _descriptor_files(descriptors):
        found = _read(path, secure_boot)
        if found is not None:
            return found
    kind = "with Secure Boot and Microsoft's keys" if secure_boot else "without Secure Boot"
    raise HostError(
        f"this machine has no UEFI firmware for x64 guests {kind}",
        details=(f"looked for descriptors in {', '.join(map(str, descriptors))}",),
        hint="apt-get install ovmf   (or: fltlab doctor)",
    )


def make_variables(firmware: Firmware, path: Path) -> Path:
    """Make a machine's own variables, as a qcow2 file."""
    command: list[str | Path] = [
        Tool.QEMU_IMG.require(),
        "convert",
        "-q",
        "-f",
        "raw",
        "-O",
        "qcow2",
        firmware.variables,
        path,
    ]
    run_program(command, purpose="make the variables of the firmware")
    path.chmod(0o600)
    return path


@dataclass(frozen=True)
class FirmwareCode:
    """The firmware's code."""

    firmware: Firmware

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block node, and with Secure Boot the switch that keeps the guest from writing its variables."""
        file = {"driver": "file", "filename": str(self.firmware.code), "read-only": True}
        yield from node({"node-name": CODE_NODE, "driver": "raw", "read-only": True, "file": file})
        if self.firmware.secure_boot:
            yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")


@dataclass(frozen=True)
class FirmwareVariables(Disk):
    """The firmware's variables: an overlay over an image that is never written, and no device."""

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block nodes."""
        yield from node({"node-name": self.base, **self.image.node()})
        yield from node(
            {
                "driver": Format.QCOW2.value,
                "node-name": self.name,
                "file": {"driver": "file", "filename": str(self.overlay(launch.run_dir))},
                "backing": self.base,
            }
        )


@dataclass(frozen=True)
class OwnVariables:
    """The firmware's variables in a file that the machine writes: while an image is built."""

    path: Path

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the block node."""
        file = {"driver": "file", "filename": str(self.path)}
        yield from node({"driver": Format.QCOW2.value, "node-name": VARIABLES_NODE, "file": file})


@dataclass(frozen=True)
class FirmwareLog:
    """What the firmware has to say, in a file of the machine's directory."""

    def arguments(self, launch: Launch) -> Iterable[str]:
        """Return the character device and the port it is on."""
        yield from ("-chardev", properties("file", {"id": "firmware0", "path": str(launch.run_dir / LOG)}))
        yield from ("-device", "isa-debugcon,iobase=0x402,chardev=firmware0")


def _descriptor_files(directories: Iterable[Path]) -> Iterator[Path]:
    """Yield descriptors in the order of their names; one in an earlier directory hides its namesake in a later one."""
    found: dict[str, Path] = {}
    for directory in directories:
        for path in directory.glob("*.json"):
            found.setdefault(path.name, path)
    yield from (found[name] for name in sorted(found))


def _read(path: Path, secure_boot: bool) -> Firmware | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        mapping = values["mapping"]
        if "uefi" not in values["interface-types"] or mapping["device"] != "flash" or not _fits_board(values):
            return None
        features = set(values["features"])
        right = {"secure-boot", "enrolled-keys"} <= features if secure_boot else "secure-boot" not in features
        files = (mapping["executable"], mapping["nvram-template"])
        if not right or ("requires-smm" in features and not secure_boot) or any(f["format"] != "raw" for f in files):
            return None
        code, variables = (Path(file["filename"]) for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a descriptor of another kind of firmware, or of another version of the format
    return Firmware(code, variables, secure_boot) if code.exists() and variables.exists() else None


def _fits_board(values: dict[str, list[dict[str, object]]]) -> bool:
    return any(
        target["architecture"] == _SUFFIX and any("q35" in str(machine) for machine in _listed(target["machines"]))
        for target in values["targets"]
    )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
