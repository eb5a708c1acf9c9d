"""Disks with Windows on them, looked at before they are imported: what fltlab cannot use is refused at once."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigurationError, ExitCode, FltLabError
from harness.host.accelerator import Accelerator
from harness.host.directories import HOME_VARIABLE
from harness.image.store import ImageStore
from harness.image.windows.build import Builder, Endpoint, Shell
from harness.image.windows.dry_run import PLAN, SECOND
from harness.image.windows.foreign_disk import look_at_disk, read_disk
from harness.image.windows.prepare import Request, prepare
from harness.image.windows.profile import Host
from harness.image.windows.workspace import Stage
from harness.machine.enlightenments import Enlightenments
from harness.machine.firmware import Firmware
from tests.windows.disks import BITLOCKER, NTFS, gpt_disk


def converted(raw: Path, kind: str) -> Path:
    target = raw.with_suffix(f".{kind}")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, str(raw), str(target)], check=True)
    return target


@pytest.mark.parametrize("kind", ["vhdx", "vpc", "vmdk", "qcow2"])
def test_a_disk_of_every_format_is_understood(tmp_path: Path, kind: str) -> None:
    raw = gpt_disk(tmp_path / "disk.raw", NTFS)

    disk = look_at_disk(converted(raw, kind))

    assert disk.format == kind
    assert disk.virtual_size >= 64 << 20
    assert read_disk(disk.path, kind, disk.windows.begin, 512)[3:11] == b"NTFS    "


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        look_at_disk(path)
    return str(caught.value)


def test_a_disk_for_bios_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "mbr.raw"
    sector = bytearray(512)
    struct.pack_into("<B3xB3xII", sector, 446, 0x80, 7, 2048, 100000)
    sector[510:] = b"\x55\xaa"
    raw.write_bytes(bytes(sector).ljust(64 << 20, b"\0"))

    assert "is for a machine with BIOS" in refusal(converted(raw, "vpc"))


def test_a_disk_with_bitlocker_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = refusal(converted(gpt_disk(tmp_path / "disk.raw", BITLOCKER), "vhdx"))

    assert "is encrypted with BitLocker" in message
    assert "manage-bde -off" in message


def test_a_disk_without_windows_is_refused(tmp_path: Path) -> None:
    assert "has no partition with NTFS" in refusal(converted(gpt_disk(tmp_path / "a.raw", b"\0" * 512), "vhdx"))


def test_a_disk_without_a_system_partition_is_refused(tmp_path: Path) -> None:
    assert "no EFI system partition" in refusal(converted(gpt_disk(tmp_path / "a.raw", NTFS, esp=False), "vhdx"))


def test_a_raw_disk_an_iso_and_nothing_at_all_are_refused(tmp_path: Path, client_iso: Path) -> None:
    assert "is a disk of the format raw" in refusal(client_iso)
    assert "there is no disk" in refusal(tmp_path / "none.vhdx")


def test_a_damaged_disk_is_refused(tmp_path: Path) -> None:
    disk = converted(gpt_disk(tmp_path / "disk.raw", NTFS), "vhdx")
    with disk.open("r+b") as file:
        file.seek(0x10000)
        file.write(bytes(0x50000))

    assert "cannot be read as a disk" in refusal(disk)


def test_an_import_needs_no_edition(tmp_path: Path) -> None:
    disk = converted(gpt_disk(tmp_path / "disk.raw", NTFS), "vhdx")

    ready = prepare(Request("windows-server-2022", disk=disk))

    assert ready.source == disk
    assert ready.plan.edition is None


def test_the_dry_run_of_an_import_is_one_command(tmp_path: Path) -> None:
    disk = converted(gpt_disk(tmp_path / "disk.raw", NTFS), "vhdx")
    before = disk.read_bytes()
    words = ["import", "windows-server-2022", "--disk", str(disk), "--accel", "tcg", "--dry-run", str(tmp_path / "out")]

    assert main(["image", *words]) == ExitCode.PASSED

    assert {path.name for path in (tmp_path / "out").iterdir()} == {"inputs", SECOND, PLAN}
    plan = json.loads((tmp_path / "out" / PLAN).read_text())
    assert plan["disk"] == {"format": "vhdx", "virtual_size": 64 << 20}
    assert disk.read_bytes() == before


def test_what_cannot_be_imported_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    disk = converted(gpt_disk(tmp_path / "disk.raw", BITLOCKER), "vhdx")

    assert main(["image", "import", "windows-server-2022", "--disk", str(disk), "--accel", "tcg"]) == ExitCode.USAGE

    assert "is encrypted with BitLocker" in capsys.readouterr().err
    home = tmp_path / "home"
    assert not home.exists() or not [path for path in home.rglob("*") if path.suffix in {".qcow2", ".iso", ".json"}]


def test_an_image_for_which_there_is_no_room_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    ready = prepare(Request("windows-server-2022", disk=converted(gpt_disk(tmp_path / "disk.raw", NTFS), "vhdx")))
    host = Host(Accelerator.TCG, Firmware(Path("code"), Path("variables"), secure_boot=False), Enlightenments(()))

    def nobody(_: Endpoint) -> Shell:
        raise AssertionError("a machine was started")

    builder = Builder(ready, host, nobody, room_mib=1 << 40)

    with pytest.raises(FltLabError, match="build windows-server-2022"):
        builder.build()

    assert ImageStore().images() == []
    assert not builder.workspace.disk(Stage.ON_DISK).exists()
    assert not builder.workspace.provisioning_cd.exists()
