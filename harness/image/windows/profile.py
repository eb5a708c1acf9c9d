"""The machine that Windows is installed and tested on: one profile for every release.

q35 with UEFI, AHCI disks, e1000e, standard VGA, USB tablet: inbox drivers on every Windows since 10, and all of it
migrates. No TPM and no Secure Boot unless asked for. See docs/windows.md, "The machine".
"""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.host.accelerator import Accelerator
from harness.host.machine_types import pinned
from harness.image.windows.recipe import MachineSize, WinRmMode
from harness.machine.disks import Bus, Disk, DiskImage, Format
from harness.machine.enlightenments import Enlightenments, HyperV, probe_enlightenments
from harness.machine.firmware import (
    BOARD_OPTIONS,
    VARIABLES_NODE,
    Firmware,
    FirmwareCode,
    FirmwareLog,
    FirmwareVariables,
    OwnVariables,
    find_firmware,
)
from harness.machine.media import CdDrive, OwnDisk
from harness.machine.parts import Action, Board, Clock, Device, Option, Part, Processor, UserNetwork
from harness.machine.spec import MachineSpec
from harness.machine.tpm import TpmDevice

WINRM_PORTS = {WinRmMode.NTLM: 5985, WinRmMode.BASIC: 5985, WinRmMode.HTTPS: 5986}
SSH_PORT = 22
DATA_SERIAL = "fltdata"
PAYLOAD_DRIVE = CdDrive("payload", port=2)
PAYLOAD_DEVICE = PAYLOAD_DRIVE.device

# What a Windows that needs SSE4.2 and POPCNT (24H2 and later) takes under TCG; `max` has features that Windows uses and
# TCG gets wrong or slow.
_TCG_MODEL = "Skylake-Client-v4"
_TCG_FEATURES = ("vmx=off", "pcid=off", "tsc-deadline=off", "invpcid=off", "spec-ctrl=off", "xsavec=off", "xsaves=off")


@dataclass(frozen=True)
class Host:
    """What the host gives a Windows machine: accelerator, firmware, enlightenments that it takes, and the board."""

    accelerator: Accelerator
    firmware: Firmware
    enlightenments: Enlightenments
    board: str = "q35"


def describe_host(
    accelerator: Accelerator, *, secure_boot: bool = False, level: HyperV = HyperV.FULL, board: str | None = None
) -> Host:
    """Return what this host gives a Windows machine; raise HostError when it has no UEFI firmware.

    `board` is the machine type that an image was built on; without, it is the newest q35 of this QEMU, by its version.
    """
    enlightenments = probe_enlightenments(accelerator, processor_model(accelerator), level)
    return Host(accelerator, find_firmware(secure_boot=secure_boot), enlightenments, pinned("q35", board))


def processor_model(accelerator: Accelerator, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor of a Windows guest, without nested virtualization."""
    if accelerator is Accelerator.TCG:
        return ",".join((_TCG_MODEL, *_TCG_FEATURES))
    flags = cpuinfo.read_text(encoding="utf-8").split()
    nested = next((f",{name}=off" for name in ("vmx", "svm") if name in flags), "")
    return f"host,migratable=on{nested}"


@dataclass(frozen=True)
class Installation:
    """The files of a machine that Windows is installed on: it writes its disk and its variables for good.

    With a Windows CD it is the first stage, which ends when the guest restarts; without, the stages after it.
    """

    system_disk: Path
    variables: Path
    provisioning_cd: Path | None = None
    windows_cd: DiskImage | None = None


def build_spec(
    host: Host, size: MachineSize, files: Installation, winrm: WinRmMode, *, open_network: bool = False
) -> MachineSpec:
    """Return the machine that an image is built on. Its disk comes first; while it is empty the CD boots.

    With an open network it reaches whatever the host does, the host's own loopback interface too.
    """
    media: list[Part] = [OwnDisk("system", files.system_disk, port=0, boot_index=0, serial="fltsys")]
    if files.windows_cd is not None:
        media.append(CdDrive("windows", port=1, image=files.windows_cd, boot_index=1))
    if files.provisioning_cd is not None:
        media.append(CdDrive("provisioning", port=2, image=DiskImage(files.provisioning_cd, Format.RAW)))
    spec = _spec(host, size, winrm, (OwnVariables(files.variables), *media), ())
    if open_network:
        assert spec.network is not None
        spec = replace(spec, network=replace(spec.network, restricted=False))
    return replace(spec, action=Action(panic="none", reboot="shutdown" if files.windows_cd is not None else "reset"))


def guest_spec(
    host: Host, size: MachineSize, system: DiskImage, variables: DiskImage, data: DiskImage, winrm: WinRmMode
) -> MachineSpec:
    """Return the machine that an image is used on: overlays over everything, and a drive for payload CDs."""
    disks = (
        FirmwareVariables(VARIABLES_NODE, variables),
        Disk("system", system, bus=Bus.IDE, bus_address="ide.0", boot_index=0, serial="fltsys"),
        Disk("data", data, bus=Bus.IDE, bus_address="ide.3", serial=DATA_SERIAL),
    )
    return _spec(host, size, winrm, (PAYLOAD_DRIVE,), disks)


def _spec(
    host: Host, size: MachineSize, winrm: WinRmMode, media: tuple[Part, ...], disks: tuple[Disk, ...]
) -> MachineSpec:
    secure = host.firmware.secure_boot
    devices: list[Part] = [
        Device("VGA", (("id", "display"),)),
        Device("qemu-xhci", (("id", "usb"),)),
        Device("usb-tablet", (("bus", "usb.0"),)),
        Device("usb-kbd", (("bus", "usb.0"),)),
        Device("vmcoreinfo"),
        FirmwareLog(),
        *([TpmDevice()] if size.tpm else []),
        *media,
    ]
    return MachineSpec(
        board=Board(
            size.memory_mib,
            host.board,
            options=(("smm", "on" if secure else "off"), ("vmport", "off"), ("hpet", "off"), *BOARD_OPTIONS),
        ),
        processor=Processor(
            host.accelerator,
            count=size.processors,
            model=processor_model(host.accelerator),
            features=host.enlightenments.features,
        ),
        boot=FirmwareCode(host.firmware),
        disks=disks,
        network=UserNetwork((WINRM_PORTS[winrm], SSH_PORT), device="e1000e"),
        devices=tuple(devices),
        action=Action(panic="none"),
        clock=Clock(drift_fix=True),
        options=(
            Option("global", "kvm-pit.lost_tick_policy=discard"),
            Option("global", "ICH9-LPC.disable_s3=1"),
            Option("global", "ICH9-LPC.disable_s4=1"),
        ),
    )
