"""UEFI programs, and the disks and boot images they are put on."""

import struct
import subprocess
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

from harness.minifilter.toolchain import find_toolchain

SOURCE = Path(__file__).with_name("efi") / "program.c"
SECTOR = 512
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


@dataclass(frozen=True)
class Program:
    """A role of program.c, and what it says; see there."""

    role: str
    text: str = ""
    second: str = ""
    third: str = ""
    seconds: int = 5
    image: Path | None = None

    def build(self, directory: Path) -> bytes:
        """Compile and link it."""
        name = directory / self.role.lower()
        defines = [f"-DROLE_{self.role}", f"-DSECONDS={self.seconds}"]
        texts = {"TEXT": self.text, "SECOND": self.second, "THIRD": self.third, "IMAGE": str(self.image or "")}
        defines += [f'-D{key}="{_escaped(value)}"' for key, value in texts.items()]
        tools = find_toolchain()
        compiler = [tools.clang, "--target=x86_64-unknown-windows", "-ffreestanding", "-fshort-wchar", "-mno-red-zone"]
        compiler += ["-fno-stack-protector", "-mno-stack-arg-probe", "-O1", "-Wall", "-Werror", "-c"]
        subprocess.run([*compiler, *defines, str(SOURCE), "-o", f"{name}.obj"], check=True)
        linker = [tools.linker, "/subsystem:efi_application", "/entry:Main", "/nodefaultlib", "/dynamicbase"]
        subprocess.run([*linker, f"/out:{name}.efi", f"{name}.obj"], check=True)
        return Path(f"{name}.efi").read_bytes()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n")


def fat_image(program: bytes, sectors: int = 2880) -> bytes:
    r"""Return a FAT12 file system of that many sectors that holds \EFI\BOOT\BOOTX64.EFI and nothing else."""
    fat_sectors, root_entries, reserved = 9, 224, 1
    boot = bytearray(SECTOR)
    boot[0:3] = b"\xeb\x3c\x90"
    boot[3:11] = b"FLTLAB  "
    struct.pack_into(
        "<HBHBHHBHHHII", boot, 11, SECTOR, 1, reserved, 2, root_entries, sectors, 0xF0, fat_sectors, 18, 2, 0, 0
    )
    boot[38] = 0x29
    boot[43:54], boot[54:62] = b"FLTLAB     ", b"FAT12   "
    boot[510:512] = b"\x55\xaa"

    clusters = -(-len(program) // SECTOR)
    chains = [[2], [3], list(range(4, 4 + clusters))]  # \EFI, \EFI\BOOT, the program
    table = [0xFF0, 0xFFF] + [0] * (fat_sectors * SECTOR * 2 // 3 - 2)
    for chain in chains:
        for cluster, following in zip(chain, [*chain[1:], 0xFFF], strict=True):
            table[cluster] = following
    fat = bytearray(fat_sectors * SECTOR)
    for number, value in enumerate(table):
        at = number * 3 // 2
        if at + 1 < len(fat):
            old = struct.unpack_from("<H", fat, at)[0]
            struct.pack_into("<H", fat, at, old | (value << 4 if number % 2 else value))

    def entry(name: bytes, attributes: int, cluster: int, size: int = 0) -> bytes:
        return struct.pack("<11sB8xHHHHI", name, attributes, 0, 0, 0x21, cluster, size)

    root = entry(b"EFI        ", 0x10, 2).ljust(root_entries * 32, b"\0")
    efi = (entry(b".          ", 0x10, 2) + entry(b"..         ", 0x10, 0) + entry(b"BOOT       ", 0x10, 3)).ljust(
        SECTOR, b"\0"
    )
    file = entry(b"BOOTX64 EFI", 0x20, 4, len(program))
    boot_dir = (entry(b".          ", 0x10, 3) + entry(b"..         ", 0x10, 2) + file).ljust(SECTOR, b"\0")
    data = efi + boot_dir + program.ljust(clusters * SECTOR, b"\0")
    return (bytes(boot) + bytes(fat) * 2 + root + data).ljust(sectors * SECTOR, b"\0")


def disk_image(program: bytes, total: int) -> bytes:
    """Return the beginning of a disk of `total` sectors: a GPT with one EFI system partition that holds the program."""
    first, partition = 64, fat_image(program, 96)
    last = first + len(partition) // SECTOR - 1
    label = "System".encode("utf-16-le")
    entry = struct.pack("<16s16sQQQ72s", ESP.bytes_le, uuid.UUID(int=7).bytes_le, first, last, 0, label)
    entries = entry.ljust(128 * 128, b"\0")
    disk = uuid.UUID(int=9).bytes_le
    header = struct.pack(
        *("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, total - 1, 34, total - 34, disk, 2, 128, 128),
        zlib.crc32(entries),
    )
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    protective = bytearray(SECTOR)
    struct.pack_into("<B3sB3sII", protective, 446, 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(total - 1, 0xFFFFFFFF))
    protective[510:512] = b"\x55\xaa"
    return (bytes(protective) + header.ljust(SECTOR, b"\0") + entries).ljust(first * SECTOR, b"\0") + partition
