"""A dump is read from a guest's disk without the guest: NTFS in a partition of a qcow2 overlay."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.guest.dump import Symbols, read_crash
from harness.guest.dump.offline import NoDumpOnDisk, dumps_on_disk
from harness.host.tools import Tool, find_first
from harness.machine.disks import DiskImage, Format, make_overlay
from harness.machine.export import as_file, partitions_of
from tests.crash.dumps import SyntheticDump
from tests.windows.disks import DATA_BEGIN, gpt_disk

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path):
    """Make a guest's disk: a raw base with a GPT, and an overlay over it that the NTFS volume is written to."""

    def make(files: dict[str, Path]) -> DiskImage:
        raw = gpt_disk(tmp_path / "base.raw", b"")
        volume = tmp_path / "volume"
        size = next(
            part.size for part in partitions_of(DiskImage(raw, Format.RAW), tmp_path) if part.begin == DATA_BEGIN
        )
        with volume.open("wb") as file:
            file.truncate(size)
        mkntfs = find_first(["mkntfs"])
        assert mkntfs is not None
        subprocess.run([mkntfs, "-q", "-F", "-f", "-s", "512", "-p", "0", "-H", "0", "-S", "0", volume], check=True)
        for name, path in files.items():
            _put(volume, path, name)
        overlay = tmp_path / "system.qcow2"
        make_overlay(overlay, raw.stat().st_size)
        base = {"driver": "raw", "file": {"driver": "file", "filename": str(raw)}}
        _write(overlay, base, volume)
        return DiskImage(overlay, Format.QCOW2, DiskImage(raw, Format.RAW))

    return make


def _put(volume: Path, source: Path, name: str) -> None:
    """Put a file into the volume; ntfscp makes no folders, so the tests have what needs them in the root."""
    subprocess.run([Tool.NTFSCP.require(), "-q", "-f", volume, source, name], check=True)


def _write(overlay: Path, base: dict[str, object], volume: Path) -> None:
    import json

    target = {"driver": "qcow2", "file": {"driver": "file", "filename": str(overlay)}, "backing": base}
    part = json.dumps({"driver": "raw", "offset": DATA_BEGIN, "size": volume.stat().st_size, "file": target})
    convert = [Tool.QEMU_IMG.require(), "convert", "-n", "-f", "raw", "-O", "raw"]
    subprocess.run([*convert, volume, f"json:{part}"], check=True)


@pytest.mark.parametrize("fuse", [True, False], ids=["by fuse", "by copy"])
def test_a_part_of_an_overlay_is_a_file_while_it_is_needed(fuse: bool, disk, tmp_path: Path):
    if fuse and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/fuse for us: fltlab copies then")
    image = disk({})

    with as_file(image, tmp_path, DATA_BEGIN, 512, fuse=fuse) as path:
        content = path.read_bytes()

    assert content[3:11] == b"NTFS    "
    assert not path.exists()


def test_the_dump_of_a_guest_comes_from_its_disk_as_it_was_written(disk, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("harness.guest.dump.offline.MEMORY_DUMP", "/MEMORY.DMP")
    dump = SyntheticDump(0xF5, (0x6D, 1, 2, 0)).bitmap(tmp_path / "dump")
    image = disk({"MEMORY.DMP": dump})
    target = tmp_path / "kept"
    target.mkdir()

    (found,) = dumps_on_disk(image, target)

    assert found.read_bytes() == dump.read_bytes()
    assert read_crash(found, Symbols([])).bugcheck.name == "FLTMGR_FILE_SYSTEM"
    assert [path.name for path in target.iterdir()] == ["MEMORY.DMP"]


def test_a_disk_without_a_dump_is_told_from_one_without_windows(disk, tmp_path: Path):
    with pytest.raises(NoDumpOnDisk, match="there is no dump on the guest's disk"):
        dumps_on_disk(disk({}), tmp_path)

    empty = DiskImage(gpt_disk(tmp_path / "empty.raw", b""), Format.RAW)
    with pytest.raises(NoDumpOnDisk, match="has no NTFS partition"):
        dumps_on_disk(empty, tmp_path)


def test_a_damaged_volume_is_an_error_that_says_so(disk, tmp_path: Path):
    damaged = DiskImage(gpt_disk(tmp_path / "damaged.raw", b"\xeb\x52\x90NTFS    " + bytes(500)), Format.RAW)

    with pytest.raises(GuestError, match="cannot be read from the guest's disk"):
        dumps_on_disk(damaged, tmp_path)
