"""A large file on a CD: made, put into the drive of a real QEMU, copied by a guest that is played, and taken out."""

import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pycdlib
import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import ConfigurationError, GuestError
from harness.guest import REFERENCE, WINDOWS, CommandResult, Endpoint, Guest
from harness.guest import guest as guest_module
from harness.guest.errors import TransferError
from harness.guest.payload import FILE, LARGEST, PayloadDrive, copy_request, make_cd
from harness.guest.profiles.windows import FROM_CD
from harness.host.accelerator import Accelerator
from harness.image.windows.profile import PAYLOAD_DEVICE, PAYLOAD_DRIVE
from harness.machine.machine import Machine
from harness.machine.parts import Board, Processor
from harness.machine.spec import MachineSpec

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A QEMU with the drive of a Windows guest, and with nothing that boots."""
    spec = MachineSpec(Board(64), Processor(Accelerator.TCG), devices=(PAYLOAD_DRIVE,))
    machine = Machine(spec, tmp_path / "machine")
    machine.launch()
    yield machine
    machine.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(3 * MIB + 1))
    return path


def in_drive(machine: Machine) -> dict[str, Any]:
    """What QEMU says of the drive."""
    found: list[dict[str, Any]] = machine.qmp.execute("query-block")
    return next(drive for drive in found if drive.get("qdev") == PAYLOAD_DEVICE)


def on_cd(image: Path) -> tuple[str, bytes]:
    """The label of a CD, and the file on it under its Windows name."""
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    try:
        content = io.BytesIO()
        iso.get_file_from_iso_fp(content, joliet_path=f"/{FILE}")
        return iso.pvd.volume_identifier.decode().strip(), content.getvalue()
    finally:
        iso.close()


def trays(machine: Machine) -> list[bool]:
    return [event.data["tray-open"] for event in machine.events if event.name == "DEVICE_TRAY_MOVED"]


def test_the_cd_holds_the_file_and_only_its_owner_reads_it(source: Path, tmp_path: Path):
    image = make_cd(source, tmp_path / "cd.iso", "FLT01234567")

    assert on_cd(image) == ("FLT01234567", source.read_bytes())
    assert stat.S_IMODE(image.stat().st_mode) == 0o600


def test_a_file_that_no_cd_takes_is_refused(tmp_path: Path):
    huge = tmp_path / "huge"
    huge.touch()
    os.truncate(huge, LARGEST + 1)

    with pytest.raises(ConfigurationError, match="less than 4 GiB") as error:
        make_cd(huge, tmp_path / "cd.iso", "FLT")
    assert "--openssh" in (error.value.hint or "")


def test_a_cd_goes_in_and_out_of_the_drive_of_a_running_machine(machine: Machine, source: Path):
    drive = PayloadDrive(machine, PAYLOAD_DEVICE)
    assert "inserted" not in in_drive(machine)
    labels = set()

    for number in range(2):
        trays_before = len(trays(machine))
        with drive.loaded(source) as label:
            image = Path(in_drive(machine)["inserted"]["file"])
            assert in_drive(machine)["inserted"]["ro"] is True
            assert image.parent == machine.run_dir
            assert on_cd(image) == (label, source.read_bytes())
            assert trays(machine)[-1] is False
            labels.add(label)
        assert "inserted" not in in_drive(machine), number
        assert not image.exists()
        assert trays(machine)[-1] is True
        assert len(trays(machine)) > trays_before
    assert len(labels) == 2


def test_nothing_is_left_in_the_drive_if_the_copy_fails(machine: Machine, source: Path):
    with pytest.raises(RuntimeError, match="the copy"), PayloadDrive(machine, PAYLOAD_DEVICE).loaded(source):
        raise RuntimeError("the copy")

    assert "inserted" not in in_drive(machine)
    assert list(machine.run_dir.glob("*.iso")) == []


def test_a_machine_that_ends_meanwhile_is_not_what_is_told(machine: Machine, source: Path):
    def fail() -> None:
        machine.kill()
        raise RuntimeError("the copy")

    with pytest.raises(RuntimeError, match="the copy"), PayloadDrive(machine, PAYLOAD_DEVICE).loaded(source):
        fail()


# -- with a guest that is played


@dataclass
class Played:
    """What Windows does with the request: look for the label in its drive, and copy."""

    machine: Machine
    folder: Path
    harm: bytes = b""
    asked: list[dict[str, str]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def run(self, command: str, stdin: bytes, timeout: float) -> CommandResult:
        assert command == WINDOWS.from_cd
        request = json.loads(stdin)
        self.asked.append(request)
        self.timeouts.append(timeout)
        label, content = on_cd(Path(in_drive(self.machine)["inserted"]["file"]))
        if label != request["label"]:
            return CommandResult(command, 1, b"", b"no drive shows the CD")
        written = content + self.harm
        (self.folder / "written").write_bytes(written)
        line = f"{hashlib.sha256(written).hexdigest()}  {request['path']}\r\n"
        return CommandResult(command, 0, line.encode(), b"")


@pytest.fixture
def guest(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    drive = PayloadDrive(machine, PAYLOAD_DEVICE)
    guest = Guest("played", WINDOWS, Endpoint(1, "user", "password"), machine, cd=drive)
    guest.played = Played(machine, tmp_path)  # type: ignore[attr-defined]
    monkeypatch.setattr(guest, "run", guest.played.run)  # type: ignore[attr-defined]
    monkeypatch.setattr(guest_module, "LARGE", MIB)
    return guest


def test_a_large_file_for_a_guest_without_sftp_goes_on_a_cd(guest: Guest, source: Path, tmp_path: Path):
    guest.put(source, r"V:\Large Files\it's.bin")

    assert (tmp_path / "written").read_bytes() == source.read_bytes()
    played: Played = guest.played  # type: ignore[attr-defined]
    assert [request["path"] for request in played.asked] == [r"V:\Large Files\it's.bin"]
    assert played.timeouts[0] > 60.0, "a larger file may take longer"


def test_a_copy_that_is_not_what_was_sent_is_an_error(guest: Guest, source: Path):
    guest.played.harm = b"!"  # type: ignore[attr-defined]

    with pytest.raises(TransferError, match="did not arrive as it was sent"):
        guest.put(source, r"V:\large.bin")


def test_a_cd_that_windows_does_not_see_is_told_with_its_words(guest: Guest, source: Path, monkeypatch):
    refusal = CommandResult("copy", 1, b"", b"no drive shows the CD FLT0")
    monkeypatch.setattr(guest, "run", lambda *_: refusal)

    with pytest.raises(TransferError, match="could not be copied") as error:
        guest.put(source, r"V:\large.bin")
    assert "no drive shows the CD" in str(error.value)


def test_a_guest_without_a_drive_says_so(machine: Machine, source: Path):
    guest = Guest("none", replace(REFERENCE), Endpoint(1, "user", "password"), machine)

    with pytest.raises(GuestError, match="no drive for CDs"):
        guest.put_by_cd(source, r"V:\large.bin")


def test_a_path_that_is_none_is_refused():
    with pytest.raises(TransferError, match="no full path"):
        copy_request("FLT", "large.bin")


def test_the_script_that_copies_is_powershell():
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

    assert not parser.parse(FROM_CD.encode()).root_node.has_error
