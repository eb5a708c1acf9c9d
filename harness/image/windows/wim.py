"""The editions in a Windows image file (install.wim, install.esd): its header and its XML, nothing else of it.

Source: Microsoft's "Windows Imaging File Format (WIM)" white paper. The header has 208 bytes; a resource is described
by 24 bytes: stored size (7 bytes) and flags (1), offset (8), original size (8). The XML is never compressed.
"""

import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from harness.errors import ConfigurationError

MAGIC = b"MSWIM\0\0\0"
HEADER_SIZE = 208
_XML_RESOURCE = 0x48
_PARTS = struct.Struct("<HH")
_PARTS_AT = 0x28
_LONGEST_XML = 32 << 20


class DamagedMediaError(ConfigurationError):
    """The user's ISO or image file is cut short, or not what it says it is."""


class Architecture(Enum):
    """Processor architectures as a WIM's XML numbers them (PROCESSOR_ARCHITECTURE_*)."""

    X86 = 0
    ARM = 5
    IA64 = 6
    X64 = 9
    ARM64 = 12


class Readable(Protocol):
    """A file that can be read at any place."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""

    def read(self, size: int = -1, /) -> bytes:
        """Read from there."""


@dataclass(frozen=True)
class Edition:
    """One image in a WIM. Texts that the WIM lacks are empty, the build is 0."""

    index: int
    name: str
    edition_id: str
    installation: str
    architecture: Architecture | None
    build: int
    service_pack_build: int
    languages: tuple[str, ...]
    default_language: str
    total_bytes: int

    @property
    def is_evaluation(self) -> bool:
        """Whether this edition runs for a limited time only: Microsoft's ids of such editions end in Eval."""
        return self.edition_id.endswith("Eval")

    def line(self) -> str:
        """Return this edition as a line of a list."""
        arch = self.architecture.name.lower() if self.architecture else "?"
        return (
            f"{self.index:3}  {self.edition_id or '-':22} {self.installation or '-':12} {self.build or '-':<6} {arch:6}"
            f" {','.join(self.languages) or '-':8} {self.name}"
        ).rstrip()


def read_editions(file: Readable, size: int, name: str) -> tuple[Edition, ...]:
    """Return the editions of the WIM in `file`, which has `size` bytes; `name` is what an error calls it."""
    return parse_xml(_read_xml(file, size, name), name)


def parse_xml(data: bytes, name: str) -> tuple[Edition, ...]:
    """Return the editions that a WIM's XML lists."""
    try:
        root = ET.fromstring(data.decode("utf-16"))  # noqa: S314 - expat takes no external entities; the size is bounded
        editions = tuple(_edition(image) for image in root.iter("IMAGE"))
    except (UnicodeDecodeError, ET.ParseError, ValueError) as error:
        raise DamagedMediaError(f"the list of editions in {name} cannot be read: {error}") from error
    if not editions:
        raise DamagedMediaError(f"{name} contains no image of Windows")
    return editions


def _read_xml(file: Readable, size: int, name: str) -> bytes:
    file.seek(0)
    header = file.read(HEADER_SIZE)
    if len(header) < HEADER_SIZE or header[:8] != MAGIC:
        raise DamagedMediaError(
            f"{name} is no Windows image file", details=(f"it begins with {header[:8].hex(' ') or 'nothing'}",)
        )
    part, parts = _PARTS.unpack_from(header, _PARTS_AT)
    if parts > 1:
        raise ConfigurationError(
            f"{name} is part {part} of a Windows image file in {parts} parts",
            hint="use an ISO with a whole install.wim or install.esd, as Microsoft's downloads have it",
        )
    length = int.from_bytes(header[_XML_RESOURCE : _XML_RESOURCE + 7], "little")
    offset, original = struct.unpack_from("<QQ", header, _XML_RESOURCE + 8)
    if length == 0 or length > _LONGEST_XML or length != original:
        raise DamagedMediaError(f"the header of {name} describes no list of editions ({length} of {original} bytes)")
    if offset + length > size:
        raise DamagedMediaError(
            f"{name} is cut short",
            details=(f"its list of editions ends at byte {offset + length}, the file has {size}",),
            hint="download the ISO again and compare its SHA-256 with the one on Microsoft's page",
        )
    file.seek(offset)
    data = file.read(length)
    if len(data) != length:
        raise DamagedMediaError(f"{name} ends within its list of editions")
    return data


def _edition(image: ET.Element) -> Edition:
    def text(path: str) -> str:
        return (image.findtext(path) or "").strip()

    def number(path: str) -> int:
        return int(text(path) or "0")

    architecture = text("WINDOWS/ARCH")
    known = {item.value for item in Architecture}
    languages = tuple((item.text or "").strip() for item in image.iterfind("WINDOWS/LANGUAGES/LANGUAGE"))
    return Edition(
        index=int(image.get("INDEX", "0")),
        name=text("NAME") or text("DISPLAYNAME"),
        edition_id=text("WINDOWS/EDITIONID"),
        installation=text("WINDOWS/INSTALLATIONTYPE"),
        architecture=Architecture(int(architecture)) if architecture and int(architecture) in known else None,
        build=number("WINDOWS/VERSION/BUILD"),
        service_pack_build=number("WINDOWS/VERSION/SPBUILD"),
        languages=tuple(item for item in languages if item),
        default_language=text("WINDOWS/LANGUAGES/DEFAULT") or (languages[0] if languages else ""),
        total_bytes=number("TOTALBYTES"),
    )
