"""Synthetic Windows ISOs, made as Microsoft's are: files in UDF only, two UEFI boot images to choose from.

The WIMs are made by wimlib; nothing of Microsoft's is in them.
"""

import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pycdlib

BLANK_BOOT_IMAGE = b"\0" * 2048


@dataclass(frozen=True)
class FakeEdition:
    """What a synthetic WIM says about one of its images."""

    edition_id: str
    name: str
    installation: str = "Client"
    architecture: int = 9
    build: int = 26100
    languages: Sequence[str] = ("en-US",)
    properties: Mapping[str, str] = field(default_factory=dict)


CLIENT_EDITIONS = (
    FakeEdition("Core", "Windows 11 Home"),
    FakeEdition("CoreN", "Windows 11 Home N"),
    FakeEdition("Education", "Windows 11 Education"),
    FakeEdition("Professional", "Windows 11 Pro"),
    FakeEdition("ProfessionalN", "Windows 11 Pro N"),
)
SERVER_EDITIONS = (
    FakeEdition("ServerStandardEval", "Windows Server 2022 SERVERSTANDARDCORE", "Server Core", build=20348),
    FakeEdition("ServerStandardEval", "Windows Server 2022 SERVERSTANDARD", "Server", build=20348),
    FakeEdition("ServerDatacenterEval", "Windows Server 2022 SERVERDATACENTERCORE", "Server Core", build=20348),
    FakeEdition("ServerDatacenterEval", "Windows Server 2022 SERVERDATACENTER", "Server", build=20348),
)


def make_wim(path: Path, editions: Sequence[FakeEdition], *, solid: bool = False) -> Path:
    """Make a WIM (or, solid, an ESD) with one tiny image for each edition."""
    tree = path.parent / f"{path.name}.tree"
    (tree / "Windows" / "System32").mkdir(parents=True)
    (tree / "Windows" / "System32" / "ntoskrnl.exe").write_bytes(b"not Windows")
    for number, edition in enumerate(editions, 1):
        compress = ["--solid", "--compress=LZMS"] if solid else ["--compress=LZX"]
        command = ["capture", str(tree), str(path), edition.name, *compress] if number == 1 else None
        run_wimlib(*(command or ["append", str(tree), str(path), edition.name]))
        facts = {
            "WINDOWS/ARCH": str(edition.architecture),
            "WINDOWS/EDITIONID": edition.edition_id,
            "WINDOWS/INSTALLATIONTYPE": edition.installation,
            "WINDOWS/VERSION/MAJOR": "10",
            "WINDOWS/VERSION/BUILD": str(edition.build),
            "WINDOWS/VERSION/SPBUILD": "1",
            **{f"WINDOWS/LANGUAGES/LANGUAGE[{n}]": tag for n, tag in enumerate(edition.languages, 1)},
            "WINDOWS/LANGUAGES/DEFAULT": edition.languages[0] if edition.languages else "",
            **edition.properties,
        }
        words = [f"--image-property={name}={value}" for name, value in facts.items() if value]
        run_wimlib("info", str(path), str(number), *words)
    return path


def run_wimlib(*arguments: str) -> None:
    subprocess.run(["wimlib-imagex", *arguments], check=True, capture_output=True)


CHUNK = 16 << 20
_ZEROS = bytes(CHUNK)


class Holed:
    """Writes a file in which runs of zeros are holes: one of many gigabytes takes up next to nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._longest = 0

    def write(self, data: bytes) -> int:
        if data == _ZEROS[: len(data)]:
            self._file.seek(len(data), io.SEEK_CUR)
        else:
            self._file.write(data)
        self._longest = max(self._longest, self._file.tell())
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def flush(self) -> None:
        self._file.flush()

    def end(self) -> None:
        """Give the file its length."""
        self._file.truncate(self._longest)


class HoledSource:
    """Reads a file whose holes nobody need read."""

    mode = "rb"

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._at = 0

    def read(self, size: int) -> bytes:
        try:
            data = os.lseek(self._descriptor, self._at, os.SEEK_DATA)
        except OSError:  # nothing but a hole until the end
            data = self._at + size
        content = _ZEROS[:size] if data >= self._at + size else os.pread(self._descriptor, size, self._at)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at


def enlarge_wim(path: Path, size: int) -> Path:
    """Put what a WIM says of its images at the end of `size` bytes, as a large one has it; the rest is a hole."""
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[0x48 : 0x48 + 7], "little")
    offset = int.from_bytes(content[0x50:0x58], "little")
    described = content[offset : offset + length]
    content[0x50:0x58] = (size - length).to_bytes(8, "little")
    with path.open("wb") as file:
        file.write(content)
        file.seek(size - length)
        file.write(described)
    return path


@dataclass(frozen=True)
class FakeIso:
    """The files of a synthetic ISO beside the install image, and its two boot images."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    prompt: bytes = BLANK_BOOT_IMAGE
    no_prompt: bytes | None = BLANK_BOOT_IMAGE
    label: str = "FLTLAB_FAKE"


def make_iso(path: Path, install_image: Path | None, iso: FakeIso | None = None, *, name: str = "install.wim") -> Path:
    """Make an ISO whose files are in UDF only, booted through an El Torito catalog with a BIOS and a UEFI entry."""
    iso = iso or FakeIso()
    made = pycdlib.PyCdlib()
    made.new(interchange_level=3, udf="2.60", vol_ident=iso.label)
    made.add_fp(io.BytesIO(b"This disc contains a UDF file system.\r\n"), 39, iso_path="/README.TXT;1")
    files = {"/efi/boot/bootx64.efi": b"MZ", **iso.files}
    directories: set[str] = set()

    def directory_of(target: str) -> None:
        parts = target.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            directory = "/" + "/".join(parts[:depth])
            if directory not in directories:
                made.add_directory(udf_path=directory)
                directories.add(directory)

    for target, content in files.items():
        directory_of(target)
        made.add_fp(io.BytesIO(content), len(content), udf_path=target)
    boot_images = {"BIOS.;1": ("/boot/etfsboot.com", b"\xeb\xfe" + bytes(2046))}
    boot_images["EFI.;1"] = ("/efi/microsoft/boot/efisys.bin", iso.prompt)
    for iso_name, (target, content) in boot_images.items():
        directory_of(target)
        made.add_fp(io.BytesIO(content), len(content), iso_path=f"/{iso_name}", udf_path=target)
    if iso.no_prompt is not None:
        target = "/efi/microsoft/boot/efisys_noprompt.bin"
        made.add_fp(io.BytesIO(iso.no_prompt), len(iso.no_prompt), udf_path=target)
    made.add_eltorito("/BIOS.;1", bootcatfile="/BOOT.CAT;1", boot_load_size=4)
    made.add_eltorito("/EFI.;1", efi=True, platform_id=0xEF, boot_load_size=1)
    with install_image.open("rb") if install_image else io.BytesIO() as file:
        if install_image is not None:
            directory_of(f"/sources/{name}")
            source = HoledSource(file) if isinstance(file, io.BufferedReader) else file
            made.add_fp(source, install_image.stat().st_size, udf_path=f"/sources/{name}")
        with path.open("wb") as out:
            holed = Holed(out)
            made.write_fp(holed, blocksize=CHUNK)
            holed.end()
    made.close()
    return path
