"""What this build of QEMU can do of what fltlab asks of it: devices, block filters, and moving a guest's state."""

import json
import subprocess
from collections.abc import Iterable, Mapping

from harness.attempt import attempt
from harness.errors import HostError
from harness.host.tools import Tool

# What has the feature, and what it is good for here.
DEVICES = {
    "virtio-blk-pci": "the reference guest's disks",
    "virtio-net-pci": "its network",
    "pcie-root-port": "disks that can be pulled",
    "pvpanic-pci": "a panic that is told",
    "vmgenid": "forks that know that they are forks",
}
WINDOWS_DEVICES = {
    "ide-hd": "disks on AHCI",
    "ide-cd": "media",
    "e1000e": "a network without a driver of its own",
    "usb-storage": "disks that can be pulled",
    "qemu-xhci": "USB",
    "tpm-crb": "a TPM",
}
OBJECTS = {"memory-backend-file": "templates", "throttle-group": "slow and stalled disks"}
CAPABILITIES = {"x-ignore-shared": "forks that share their template's memory"}
COMMANDS = {
    "blockdev-reopen": "faults of a disk",
    "snapshot-save": "templates where sharing memory is not possible",
    "screendump": "pictures of a display",
    "inject-nmi": "a dump of a Windows guest that hangs",
}
SECONDS = 20


def missing_features() -> dict[str, str]:
    """What this QEMU lacks, by what it would be good for; HostError if it cannot be asked."""
    answers = _ask(
        {"execute": "qom-list-types", "arguments": {"abstract": False}},
        {"execute": "query-migrate-capabilities"},
        {"execute": "query-commands"},
    )
    types, capabilities, commands = answers
    present = {
        *(entry["name"] for entry in types),
        *(entry["capability"] for entry in capabilities),
        *(entry["name"] for entry in commands),
    }
    wanted = {**DEVICES, **WINDOWS_DEVICES, **OBJECTS, **CAPABILITIES, **COMMANDS}
    return {name: purpose for name, purpose in wanted.items() if name not in present}


def _ask(*commands: Mapping[str, object]) -> Iterable[list[dict[str, str]]]:
    """Start a QEMU without a machine and ask it by QMP."""
    lines = [{"execute": "qmp_capabilities"}, *commands, {"execute": "quit"}]
    words = [
        str(Tool.QEMU.require()),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-M",
        "none",
        "-qmp",
        "stdio",
    ]
    try:
        done = attempt(words, input="".join(json.dumps(line) + "\n" for line in lines), timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise HostError(f"QEMU did not say in {SECONDS} s what it can do") from error
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    returned = [answer["return"] for answer in answers if "return" in answer]
    if len(returned) < len(commands) + 1:
        raise HostError("QEMU does not say what it can do", details=(done.stderr.strip() or done.stdout[-400:],))
    found: list[list[dict[str, str]]] = returned[1 : len(commands) + 1]
    return found
