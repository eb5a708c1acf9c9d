"""The machine that Windows gets, with UEFI programs in Windows' place: it boots, panics, is frozen, saved and restored.

The firmware runs under TCG here. One program that waits for ever stands for a Windows that is idle.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.forks import GENERATION, generation_id
from harness.host.accelerator import Accelerator
from harness.host.directories import HOME_VARIABLE
from harness.image.windows.profile import Host, describe_host, guest_spec
from harness.image.windows.recipe import MachineSize, WinRmMode
from harness.machine import templates
from harness.machine.deadlines import Deadline, Deadlines
from harness.machine.disks import DiskImage, Format
from harness.machine.firmware import make_variables
from harness.machine.freezing import CannotFreezeError
from harness.machine.machine import GuestPanickedError, Machine
from harness.machine.parts import Device
from harness.machine.spec import MachineSpec
from harness.machine.state import MachineState
from harness.machine.templates import STATE, ColdBoot, make_template, open_template
from tests.limits import HANG, until
from tests.windows.efi_programs import Program, disk_image

SECTORS = 64 * 2048
SIZE = MachineSize(memory_mib=2048, processors=1, system_disk_gib=24, data_disk_mib=64, tpm=False, secure_boot=False)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("probe")))
        return describe_host(Accelerator.TCG)


def machine_with(program: Program, host: Host, directory: Path) -> MachineSpec:
    """The machine of a Windows guest whose disk boots a program."""
    files = directory / "files"
    files.mkdir()
    raw = files / "system.raw"
    raw.write_bytes(disk_image(program.build(files), SECTORS))
    raw.touch()
    with raw.open("r+b") as file:
        file.truncate(SECTORS * 512)
    images: dict[str, DiskImage] = {}
    for name, source in (("system", raw), ("data", None)):
        path = files / f"{name}.qcow2"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), "64M"]
        if source is not None:
            command = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(source), str(path)]
        subprocess.run(command, check=True)
        images[name] = DiskImage(path, Format.QCOW2)
    variables = files / "variables.qcow2"
    make_variables(host.firmware, variables)
    return guest_spec(host, SIZE, images["system"], DiskImage(variables, Format.QCOW2), images["data"], WinRmMode.NTLM)


def wait_for(machine: Machine, text: str) -> None:
    deadline = Deadline(HANG, f"{text!r} on COM1")

    def look() -> tuple[bool | None, str]:
        machine.check()
        said = machine.serial_log.read_text(errors="replace") if machine.serial_log.exists() else ""
        return (True if text in said else None), said[-80:]

    deadline.poll(look, interval=0.05)


def test_the_whole_machine_is_frozen_and_its_forks_run_on(host: Host, tmp_path: Path):
    spec = machine_with(Program("PARK", "FLTLAB-PARKED\r\n"), host, tmp_path)

    def prepare(machine: Machine) -> Mapping[str, bytes]:
        wait_for(machine, "FLTLAB-PARKED")
        return {GENERATION: generation_id(machine).encode()}

    directory = tmp_path / "template"
    directory.mkdir()
    make_template(ColdBoot(spec, {}), "k" * 64, directory, prepare, Deadlines())

    assert (directory / STATE).exists(), "it was frozen, and not only saved as a snapshot"
    template = open_template(directory, "k" * 64, spec)
    generations = {template.file(GENERATION).decode()}
    for number in range(2):
        machine = template.fork(tmp_path / f"fork-{number}", name=f"fork-{number}")
        try:
            assert machine.qmp.execute("query-status")["status"] == "running"
            devices = {device["qdev"] for device in machine.qmp.execute("query-block") if device.get("qdev")}
            assert any("system" in device for device in devices)
            generations.add(generation_id(machine))
        finally:
            machine.stop()
    template.release()
    assert len(generations) == 3, "the template and each fork have a VM generation id of their own"


def test_the_whole_machine_is_saved_in_its_disks_and_restored(host: Host, tmp_path: Path, monkeypatch):
    def refuse(*_: object) -> None:
        raise CannotFreezeError("as if QEMU could not")

    monkeypatch.setattr(templates, "freeze", refuse)
    spec = machine_with(Program("PARK", "FLTLAB-PARKED\r\n"), host, tmp_path)
    directory = tmp_path / "template"
    directory.mkdir()

    def prepare(machine: Machine) -> Mapping[str, bytes]:
        wait_for(machine, "FLTLAB-PARKED")
        return {}

    make_template(ColdBoot(spec, {}), "k" * 64, directory, prepare, Deadlines())
    template = open_template(directory, "k" * 64, spec)
    assert template.is_snapshot
    machine = template.fork(tmp_path / "fork", name="fork")
    try:
        assert machine.qmp.execute("query-status")["status"] == "running"
    finally:
        machine.stop()
        template.release()


@pytest.mark.parametrize("panics", [True, False], ids=["panicked", "crash-loaded"])
def test_a_panic_is_told_by_qemu_while_the_machine_runs_on(host: Host, tmp_path: Path, panics: bool):
    program = Program("PANIC", "1" if panics else "2")
    spec = machine_with(program, host, tmp_path)
    spec = replace(spec, devices=(*spec.devices, Device("pvpanic")))

    with Machine(spec, tmp_path / "machine", name="panics") as machine:
        before = machine.qmp.last_event
        event = machine.qmp.wait_event(
            ("GUEST_PANICKED", "GUEST_CRASHLOADED"), Deadline(HANG, "the panic"), after=before
        )
        assert event.name == ("GUEST_PANICKED" if panics else "GUEST_CRASHLOADED")
        assert event.data["action"] == "run"
        if panics:
            with pytest.raises(GuestPanickedError):
                machine.check()
        until(lambda: "still running" in machine.serial_log.read_text(), "the program to go on", 0.05)


def test_the_firmware_starts_again_and_again_without_a_stall(host: Host, tmp_path: Path):
    spec = machine_with(Program("SAY", "FLTLAB-BOOTED\r\n"), host, tmp_path)

    for number in range(3):
        with Machine(spec, tmp_path / f"boot-{number}", name=f"boot-{number}") as machine:
            log = machine.serial_log
            Deadline(HANG, "the machine to switch itself off").poll(
                lambda machine=machine: (True if machine.state is MachineState.ENDED else None, machine.describe())
            )
        assert "FLTLAB-BOOTED" in log.read_text()
