"""For which architecture a disk starts: the names in its system partition, in every kind of FAT."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.image.windows.foreign_disk import look_at_disk
from harness.image.windows.system_partition import SECTOR, architectures
from tests.windows.disks import NTFS, gpt_disk

ESP_BEGIN = 2048 * SECTOR


def fat(tmp_path: Path, kind: str, *names: str) -> bytes:
    """A FAT volume, made by QEMU, with these names in \\EFI\\Boot."""
    boot = tmp_path / "files" / "EFI" / "Boot"
    boot.mkdir(parents=True)
    for name in names:
        (boot / name).write_bytes(b"MZ")
    made = tmp_path / "fat.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", f"fat:{kind}:{tmp_path / 'files'}", str(made)], check=True)
    content = made.read_bytes()[: 4 << 20]
    (begin,) = struct.unpack_from("<I", content, 454)
    return content if kind == "floppy" else content[begin * SECTOR :]


def fat32(*names: bytes) -> bytes:
    """The beginning of a FAT32 volume as large as those of Windows; its directory `Boot` has two clusters, apart."""
    total, reserved, table_sectors = 204_800, 32, 1600
    boot = bytearray(SECTOR)
    struct.pack_into("<HBHBHHBH", boot, 11, SECTOR, 1, reserved, 2, 0, 0, 0xF8, 0)
    struct.pack_into("<II", boot, 32, total, table_sectors)
    struct.pack_into("<I", boot, 44, 2)
    boot[510:] = b"\x55\xaa"
    content = bytearray(bytes(boot).ljust((reserved + 2 * table_sectors + 64) * SECTOR, b"\0"))
    end = 0x0FFFFFFF
    for cluster, value in {0: 0x0FFFFFF8, 1: end, 2: end, 3: end, 4: 9, 9: end}.items():
        struct.pack_into("<I", content, reserved * SECTOR + cluster * 4, value)

    def entry(name: bytes, cluster: int, flags: int = 0x10) -> bytes:
        return struct.pack("<11sB8xHHHHI", name, flags, cluster >> 16, 0, 0, cluster & 0xFFFF, 0)

    deleted = entry(b"\xe5OOTX64 EFI", 20, 0x20)
    clusters = {
        2: entry(b"SYSTEM     ", 0, 0x08) + entry(b"EFI        ", 3),
        3: entry(b"MICROSO~1  ", 0) + entry(b"BOOT       ", 4),
        4: deleted * (SECTOR // 32),
        9: b"".join(entry(name, 21, 0x20) for name in names),
    }
    for cluster, data in clusters.items():
        at = (reserved + 2 * table_sectors + cluster - 2) * SECTOR
        content[at : at + len(data)] = data
    return bytes(content)


def reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: content[offset : offset + length].ljust(length, b"\0")


@pytest.mark.parametrize("kind", ["floppy", "12", "16"])
def test_each_loader_of_a_system_partition_is_found(tmp_path: Path, kind: str) -> None:
    volume = fat(tmp_path, kind, "bootx64.efi", "bootaa64.efi", "other.efi")

    assert architectures(reader(volume)) == {"x64", "ARM64"}


def test_a_directory_of_fat32_is_followed_through_its_clusters() -> None:
    assert architectures(reader(fat32(b"BOOTX64 EFI"))) == {"x64"}
    assert architectures(reader(fat32(b"BOOTAA64EFI"))) == {"ARM64"}
    assert architectures(reader(fat32())) == frozenset()


@pytest.mark.parametrize("content", [b"", b"\xff" * SECTOR, b"\0" * 510 + b"\x55\xaa", NTFS])
def test_what_is_no_fat_says_nothing(content: bytes) -> None:
    assert architectures(reader(content)) == frozenset()


def test_a_directory_that_goes_in_a_circle_ends() -> None:
    volume = bytearray(fat32(b"BOOTX64 EFI"))
    struct.pack_into("<I", volume, 32 * SECTOR + 9 * 4, 4)

    assert architectures(reader(bytes(volume))) == {"x64"}


def disk_with(tmp_path: Path, system: bytes) -> Path:
    raw = gpt_disk(tmp_path / "disk.raw", NTFS)
    with raw.open("r+b") as file:
        file.seek(ESP_BEGIN)
        file.write(system)
    target = raw.with_suffix(".vhdx")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", str(raw), str(target)], check=True)
    return target


def test_a_disk_for_arm64_is_refused(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, fat32(b"BOOTAA64EFI"))

    with pytest.raises(ConfigurationError, match=r"disk\.vhdx is for ARM64"):
        look_at_disk(disk)


def test_a_disk_for_x64_is_taken(tmp_path: Path) -> None:
    assert look_at_disk(disk_with(tmp_path, fat32(b"BOOTX64 EFI"))).format == "vhdx"
