"""A Windows ISO as the user has it: what is on it, read without mounting and without a copy.

Microsoft's ISOs keep their files in UDF only; the ISO 9660 side has a README that says so. Both are tried.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from harness.errors import ConfigurationError, HostError
from harness.host import fingerprint
from harness.image.windows.wim import DamagedMediaError, Edition, read_editions

SECTOR = 2048
_PRIMARY_DESCRIPTOR = 16 * SECTOR
_INSTALL_IMAGES = ("/sources/install.wim", "/sources/install.esd")
_OTHER_INSTALL_IMAGES = ("/x64/sources/install.esd", "/x64/sources/install.wim", "/sources/install.swm")
_NO_PROMPT = "/efi/microsoft/boot/efisys_noprompt.bin"
_LOADERS = {"/efi/boot/bootx64.efi": "x64", "/efi/boot/bootaa64.efi": "ARM64"}


@dataclass(frozen=True)
class Media:
    """What a Windows ISO holds, as far as an installation needs it.

    `no_prompt_sector` is where the boot image without "Press any key" begins (2048-byte sectors), None if it is absent.
    """

    path: Path
    size: int
    label: str
    install_image: str
    editions: tuple[Edition, ...]
    no_prompt_sector: int | None
    loaders: frozenset[str]

    def list_editions(self) -> tuple[str, ...]:
        """Return the editions as lines of a list."""
        return (
            "index edition               installation build  arch   language name",
            *(edition.line() for edition in self.editions),
        )


def read_media(path: Path) -> Media:
    """Look into a Windows ISO; raise ConfigurationError when it is none, or is damaged."""
    path = path.absolute()
    size = _check_size(path)
    with _opened(path) as iso:
        tree = _Tree(iso)
        image = next((name for name in _INSTALL_IMAGES if tree.has(name)), None)
        if image is None:
            raise _no_install_image(path, tree)
        length = tree.length(image)
        first = tree.sector(image)
        if first * SECTOR + length > size:
            raise _cut_short(path, first * SECTOR + length, size)
        with tree.open(image) as file:
            editions = read_editions(file, length, f"{image} in {path.name}")
        return Media(
            path=path,
            size=size,
            label=tree.label,
            install_image=image,
            editions=editions,
            no_prompt_sector=tree.sector(_NO_PROMPT) if tree.has(_NO_PROMPT) else None,
            loaders=frozenset(kind for name, kind in _LOADERS.items() if tree.has(name)),
        )


def check_digest(path: Path, expected: str) -> str:
    """Return the SHA-256 of an ISO; raise ConfigurationError unless it is the one the user gave."""
    wanted = expected.strip().lower()
    if len(wanted) != 64 or not set(wanted) <= set("0123456789abcdef"):
        raise ConfigurationError(f"{expected!r} is no SHA-256", hint="--sha256 takes 64 hexadecimal digits")
    actual = fingerprint.of_file(path)
    if actual != wanted:
        raise DamagedMediaError(
            f"{path} is not the file whose SHA-256 was given",
            details=(f"SHA-256 is {actual}", f"expected    {wanted}"),
            hint="download it again",
        )
    return actual


def _check_size(path: Path) -> int:
    """Return the size of an ISO, having looked whether it has the length that its own descriptor says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(_PRIMARY_DESCRIPTOR)
            descriptor = file.read(SECTOR)
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no ISO {path}", hint="--iso FILE names the Windows ISO") from error
    except OSError as error:
        raise ConfigurationError(f"the ISO {path} cannot be read: {error}") from error
    if len(descriptor) < SECTOR or descriptor[1:6] not in {b"CD001", b"BEA01"}:
        raise DamagedMediaError(
            f"{path} is no ISO image",
            details=(f"{size} bytes; no volume descriptor at sector 16",),
            hint="give the ISO itself, not an archive or a disk image (a VHDX goes to: fltlab image import)",
        )
    if descriptor[:6] == b"\x01CD001":
        sectors = struct.unpack_from("<I", descriptor, 80)[0]
        if sectors * SECTOR > size:
            raise _cut_short(path, sectors * SECTOR, size)
    return size


def _cut_short(path: Path, expected: int, size: int) -> DamagedMediaError:
    return DamagedMediaError(
        f"{path} is cut short",
        details=(f"it says that it has {expected} bytes, there are {size}",),
        hint="download it again and compare its SHA-256 with the one on Microsoft's page",
    )


def _no_install_image(path: Path, tree: "_Tree") -> ConfigurationError:
    other = next((name for name in _OTHER_INSTALL_IMAGES if tree.has(name)), None)
    if other is not None:
        return ConfigurationError(
            f"{path} is no ISO that fltlab can install from: it has {other}, not a whole install image in /sources",
            hint="use an x64 ISO as Microsoft's download pages and evaluation center offer it",
        )
    return ConfigurationError(
        f"{path} is no Windows installation ISO",
        details=("there is neither /sources/install.wim nor /sources/install.esd on it", f"at its top: {tree.top()}"),
    )


# What pycdlib lets through, beside its own exceptions, when structures are damaged (tests/windows fuzzes it).
_DAMAGE = (PyCdlibException, OSError, struct.error, LookupError, AttributeError, TypeError, ValueError, ArithmeticError)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an ISO; whatever the library stumbles over while it is open is damage of the ISO."""
    iso = pycdlib.PyCdlib()
    try:
        iso.open(str(path))
        try:
            yield iso
        finally:
            iso.close()
    except _DAMAGE as error:
        raise DamagedMediaError(
            f"{path} cannot be read as an ISO: {error}",
            hint="compare its SHA-256 with the one on Microsoft's page",
        ) from error


class _Tree:
    """The files of an ISO by their paths, whatever the case, in UDF where there is one and in ISO 9660 else."""

    def __init__(self, iso: Any) -> None:
        self._iso = iso
        self._kind = "udf_path" if iso.has_udf() else "joliet_path" if iso.has_joliet() else "iso_path"
        self._real: dict[str, str | None] = {"/": "/"}

    @property
    def label(self) -> str:
        """The name of the volume."""
        return bytes(self._iso.pvd.volume_identifier).decode("ascii", "replace").strip()

    def has(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return self._find(path) is not None

    def length(self, path: str) -> int:
        """Return how many bytes a file has."""
        return int(self._record(path).get_data_length())

    def sector(self, path: str) -> int:
        """Return the sector of 2048 bytes that a file begins at."""
        record = self._record(path)
        inode = record.inode
        if inode is None:
            raise DamagedMediaError(f"{path} on the ISO has no data")
        return int(inode.extent_location())

    @contextmanager
    def open(self, path: str) -> Iterator[Any]:
        """Open a file to read."""
        with self._iso.open_file_from_iso(**{self._kind: self._found(path)}) as file:
            yield file

    def top(self) -> str:
        """Return the names at the top of the ISO, for an error."""
        return ", ".join(sorted(self._names("/"))) or "nothing"

    def _names(self, directory: str) -> dict[str, str]:
        found = {}
        for child in self._iso.list_children(**{self._kind: directory}):
            if child is None or child.is_dot() or child.is_dotdot():
                continue
            identifier = child.file_identifier()
            name = identifier.decode("utf-8", "replace").split(";")[0].rstrip(".")
            if name:
                found[name.lower()] = identifier.decode("utf-8", "replace")
        return found

    def _find(self, path: str) -> str | None:
        if path not in self._real:
            above, _, name = path.rpartition("/")
            directory = self._find(above or "/")
            real: str | None = None
            if directory is not None and (directory == "/" or self._iso.get_record(**{self._kind: directory}).is_dir()):
                real = self._names(directory).get(name.lower())
            self._real[path] = None if real is None else f"{directory.rstrip('/') if directory else ''}/{real}"
        return self._real[path]

    def _found(self, path: str) -> str:
        found = self._find(path)
        if found is None:
            raise HostError(f"there is no {path} on the ISO")
        return found

    def _record(self, path: str) -> Any:
        return self._iso.get_record(**{self._kind: self._found(path)})
