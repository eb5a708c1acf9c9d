"""Overlays that are written here are what qemu-img would have made."""

import json
import subprocess

import pytest

from harness.host.tools import Tool
from harness.machine.disks import DiskImage, Format, make_overlay, virtual_size

GIB = 1 << 30


def qemu_img(*arguments):
    done = subprocess.run([Tool.QEMU_IMG.require(), *arguments], capture_output=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("size", [1 << 20, 128 << 20, 4 * GIB, 64 * GIB + 512, 9000 * GIB])
def test_qemu_img_finds_nothing_wrong_with_an_overlay(tmp_path, size):
    path = tmp_path / "overlay.qcow2"
    make_overlay(path, size)
    code, output = qemu_img("check", "--output=json", path)
    assert code == 0, output
    report = json.loads(output)
    assert not report.get("corruptions")
    assert not report.get("leaks")
    assert json.loads(qemu_img("info", "--output=json", path)[1])["virtual-size"] == size
    assert virtual_size(DiskImage(path, Format.QCOW2)) == size


def test_an_overlay_is_private_small_and_never_replaces_another(tmp_path):
    path = tmp_path / "overlay.qcow2"
    make_overlay(path, GIB)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_blocks * 512 < 64 << 10
    with pytest.raises(FileExistsError):
        make_overlay(path, GIB)


def test_the_size_of_a_raw_image_is_that_of_its_file(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(4096))
    assert virtual_size(DiskImage(path, Format.RAW)) == 4096
