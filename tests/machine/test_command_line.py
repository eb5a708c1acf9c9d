"""The command line of a machine, part by part, held against golden files."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.host.accelerator import Accelerator
from harness.machine.disks import Bus, Disk, DiskImage, Format
from harness.machine.parts import (
    Action,
    Board,
    Clock,
    Device,
    FirmwareFile,
    Launch,
    LinuxBoot,
    MemoryFile,
    MemoryUse,
    Option,
    Processor,
    UserNetwork,
)
from harness.machine.spec import MachineSpec

GOLDEN = Path(__file__).with_name("golden")
LAUNCH = Launch(run_dir=Path("/runs/1,2"), qmp_fd=7)
RAW = DiskImage(Path("/images/data.raw"), Format.RAW)
LAYERED = DiskImage(Path("/t/01.qcow2"), Format.QCOW2, DiskImage(Path("/t/00.qcow2"), Format.QCOW2, RAW))

LINUX = MachineSpec(
    board=Board(memory_mib=512),
    processor=Processor(Accelerator.TCG),
    boot=LinuxBoot(Path("/images/vmlinuz"), Path("/images/initramfs"), "console=ttyS0 quiet"),
    disks=(
        Disk("system", DiskImage(Path("/images/system.erofs"), Format.RAW), writable=False),
        Disk("data", RAW, root_port=1),
    ),
    network=UserNetwork(forwards=(5985, 22)),
    devices=(Device("pvpanic-pci"),),
    firmware_files=(FirmwareFile("config"),),
)

WINDOWS = MachineSpec(
    board=Board(memory_mib=4096, options=(("smm", "off"), ("hpet", "off"))),
    processor=Processor(Accelerator.KVM, count=4, features=("hv-relaxed", "hv-time")),
    disks=(
        Disk("system", DiskImage(Path("/images/w.qcow2"), Format.QCOW2), Bus.IDE, bus_address="ide.0", boot_index=0),
        Disk("data", RAW, Bus.IDE, bus_address="ide.3", serial="fltdata"),
        Disk("stick", RAW, Bus.USB),
    ),
    network=UserNetwork(forwards=(5985,), device="e1000e"),
    devices=(Device("VGA"), Device("qemu-xhci", (("id", "xhci"), ("p2", 4), ("msix", True)))),
    action=Action(panic="none"),
    clock=Clock(drift_fix=True),
    options=(Option("global", "kvm-pit.lost_tick_policy=discard"),),
)

MACHINES = {
    "linux-boot": (LINUX, LAUNCH),
    "linux-template": (
        LINUX,
        replace(LAUNCH, memory_file=MemoryFile(Path("/t/ram"), MemoryUse.SHARED)),
    ),
    "linux-fork": (
        LINUX.with_images({"data": LAYERED}),
        replace(LAUNCH, memory_file=MemoryFile(Path("/t/ram"), MemoryUse.PRIVATE), incoming=True),
    ),
    "windows": (WINDOWS, LAUNCH),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_command_line_is_the_golden_one(name):
    spec, launch = MACHINES[name]
    words = spec.command_line(launch, Path("/usr/bin/qemu-system-x86_64"))
    lines = [f"{'  ' if not word.startswith('-') else ''}{word}" for word in words]
    assert "\n".join(lines) + "\n" == (GOLDEN / f"{name}.txt").read_text()


def test_every_disk_has_an_overlay_of_the_machines_own_unless_it_is_never_written():
    line = " ".join(LINUX.command_line(LAUNCH, Path("qemu")))
    assert "/runs/1,2/data.qcow2" in line
    assert "/runs/1,2/system" not in line


def test_the_monitor_is_a_descriptor_and_the_serial_port_a_file():
    words = LINUX.command_line(LAUNCH, Path("qemu"))
    assert "socket,id=qmp0,fd=7" in words
    assert not any(word.startswith("socket") and "serial" in word for word in words)


def test_the_guest_has_no_way_out_of_its_network():
    words = LINUX.command_line(LAUNCH, Path("qemu"))
    network = words[words.index("-netdev") + 1]
    assert "restrict=on" in network
    assert network.count("hostfwd=tcp:127.0.0.1:0-") == 2


def test_a_key_does_not_depend_on_where_the_machine_runs_but_on_all_else():
    assert LINUX.fingerprint() == replace(LINUX).fingerprint()
    others = [
        replace(LINUX, board=Board(memory_mib=1024)),
        replace(LINUX, processor=Processor(Accelerator.TCG, count=2)),
        replace(LINUX, processor=Processor(Accelerator.TCG, model="qemu64")),
        replace(LINUX, devices=()),
        LINUX.with_images({"data": LAYERED}),
    ]
    assert len({spec.fingerprint() for spec in (LINUX, *others)}) == len(others) + 1


def test_the_generation_id_is_new_for_every_machine():
    words = LINUX.command_line(LAUNCH, Path("qemu"))
    assert "vmgenid,guid=auto" in words
