"""What every driver must pass before it goes into a guest, read from its PE image.

Ours are held to everything. A user's driver is held to what the loader of Windows demands, and to importing nothing
that nobody exports; the rest are warnings.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pefile

from harness.errors import ConfigurationError
from harness.minifilter.imports import import_list, known_modules
from harness.minifilter.package import PackageKind

MACHINES = {0x014C: "x86", 0x8664: "x64", 0x01C4: "ARM", 0xAA64: "ARM64"}
SUBSYSTEMS = {1: "native", 2: "Windows GUI", 3: "Windows console", 10: "EFI application", 11: "EFI boot driver"}
DISCARDABLE, EXECUTABLE, WRITABLE = 0x02000000, 0x20000000, 0x80000000
RELOCATIONS_STRIPPED = 0x0001

# DllCharacteristics: high-entropy ASLR, ASLR, no execution of data, terminal server aware.
HARDENING = {0x0020: "HIGH_ENTROPY_VA", 0x0040: "DYNAMIC_BASE", 0x0100: "NX_COMPAT", 0x8000: "TERMINAL_SERVER_AWARE"}
TERMINAL_SERVER_AWARE = 0x8000  # which only programs can be
DRIVER_MODULES = frozenset({"fltmgr.sys", "ntoskrnl.exe", "hal.dll"})
PROGRAM_MODULES = frozenset({"ntdll.dll", "fltlib.dll"})


class Severity(Enum):
    """An error keeps the driver out of a guest; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with an image. `code` is stable, `message` is for people."""

    code: str
    message: str
    severity: Severity = Severity.ERROR


def check_image(path: Path, ours: bool, kind: PackageKind = PackageKind.DRIVER) -> list[Finding]:
    """Check one built or prebuilt image; an empty list means that nothing is wrong."""
    if not path.is_file():
        raise ConfigurationError(
            f"{path} cannot be read",
            details=("it is a directory" if path.is_dir() else "there is no such file",),
            hint="name a .sys file",
        )
    try:
        image = pefile.PE(str(path), fast_load=True)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    except (pefile.PEFormatError, *DAMAGED) as error:
        return [Finding("not-pe", f"{path.name} is not a Windows image: {error}")]
    try:
        return _findings(image, path, ours, kind)
    except DAMAGED as error:
        return [Finding("damaged", f"{path.name} is damaged: {type(error).__name__}: {error}")]


DAMAGED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    struct.error,
    RecursionError,
    MemoryError,
)
"""What pefile, and those who read what it found, run into in an image whose parts lie about each other."""


def _findings(image: Any, path: Path, ours: bool, kind: PackageKind) -> list[Finding]:
    with image:
        wrong_kind = [*_check_machine(image), *_check_subsystem(image, kind)]
        if wrong_kind:  # what follows would only repeat it in other words
            return wrong_kind
        image.parse_data_directories(
            [
                pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"],
                pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_DEBUG"],
            ]
        )
        findings = [*_check_imports(image, ours, kind), *_check_checksum(image)]
        findings += _check_relocations(image) if kind is PackageKind.DRIVER else []
        if ours:
            findings += [*_check_entry(image, kind), *_check_sections(image), *_check_hardening(image, kind)]
            findings += [*_check_signature(image), *check_pdb(image, path.with_suffix(".pdb"))]
        else:
            findings += [_warning(finding) for finding in (*_check_sections(image), *_check_hardening(image, kind))]
        return findings


def _warning(finding: Finding) -> Finding:
    return Finding(finding.code, finding.message, Severity.WARNING)


def _check_machine(image: Any) -> Iterator[Finding]:
    machine = image.FILE_HEADER.Machine
    if machine != 0x8664:
        name = MACHINES.get(machine, f"machine {machine:#06x}")
        yield Finding("not-x64", f"it is for {name}; the guests run x64")


def _check_subsystem(image: Any, kind: PackageKind) -> Iterator[Finding]:
    subsystem = image.OPTIONAL_HEADER.Subsystem
    wanted = 1 if kind is PackageKind.DRIVER else 3
    if subsystem != wanted:
        name = SUBSYSTEMS.get(subsystem, f"number {subsystem}")
        what = "a driver" if kind is PackageKind.DRIVER else "fltlab's program"
        yield Finding("wrong-subsystem", f"its subsystem is {name}; {what} has {SUBSYSTEMS[wanted]}")


def _check_imports(image: Any, ours: bool, kind: PackageKind) -> Iterator[Finding]:
    lists = known_modules()
    allowed = DRIVER_MODULES if kind is PackageKind.DRIVER else PROGRAM_MODULES
    for entry in getattr(image, "DIRECTORY_ENTRY_IMPORT", ()):
        module = entry.dll.decode(errors="replace")
        if ours and module.lower() not in allowed:
            yield Finding("foreign-module", f"it imports from {module}; ours import from {', '.join(sorted(allowed))}")
        if module.lower() not in lists:
            if not ours:
                message = f"it imports from {module}, of which fltlab has no import list"
                yield Finding("unknown-module", message, Severity.WARNING)
            continue
        exported = import_list(lists[module.lower()])
        for imported in entry.imports:
            if imported.name is None:
                yield Finding(
                    "ordinal-import", f"it imports ordinal {imported.ordinal} from {module}", Severity.WARNING
                )
            elif imported.name.decode(errors="replace") not in exported:
                name = imported.name.decode(errors="replace")
                yield Finding("missing-export", f"it imports {name} from {module}, which does not export it")


def _check_checksum(image: Any) -> Iterator[Finding]:
    if not image.verify_checksum():
        stored = image.OPTIONAL_HEADER.CheckSum
        yield Finding("wrong-checksum", f"its checksum is {stored:#010x}; Windows loads no driver with a wrong one")


def _check_relocations(image: Any) -> Iterator[Finding]:
    # Without a directory there is nothing to relocate; what is stripped would have been needed.
    if image.FILE_HEADER.Characteristics & RELOCATIONS_STRIPPED:
        yield Finding("no-relocations", "its relocations are stripped: it cannot be loaded where the kernel wants it")


def _check_entry(image: Any, kind: PackageKind) -> Iterator[Finding]:
    if kind is not PackageKind.DRIVER:
        return
    section = image.get_section_by_rva(image.OPTIONAL_HEADER.AddressOfEntryPoint)
    name = section.Name.rstrip(b"\0").decode(errors="replace") if section else "no section"
    if not section or name != "INIT" or not section.Characteristics & DISCARDABLE:
        yield Finding("entry-not-discardable", f"its entry point is in {name}, not in a discardable INIT section")


def _check_sections(image: Any) -> Iterator[Finding]:
    for section in image.sections:
        if section.Characteristics & WRITABLE and section.Characteristics & EXECUTABLE:
            name = section.Name.rstrip(b"\0").decode(errors="replace")
            yield Finding("writable-code", f"its section {name} is both writable and executable")


def _check_hardening(image: Any, kind: PackageKind) -> Iterator[Finding]:
    flags = image.OPTIONAL_HEADER.DllCharacteristics | (TERMINAL_SERVER_AWARE if kind is PackageKind.LIBRARY else 0)
    missing = [name for bit, name in HARDENING.items() if not flags & bit]
    if missing:
        yield Finding("not-hardened", f"its DllCharacteristics {flags:#06x} lack {', '.join(missing)}")


def _check_signature(image: Any) -> Iterator[Finding]:
    directory = image.OPTIONAL_HEADER.DATA_DIRECTORY[pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_SECURITY"]]
    if directory.Size == 0:
        yield Finding("not-signed", "it is not signed; x64 Windows loads signed drivers only")


def image_pdb_guid(image: Any) -> bytes | None:
    """The GUID by which an image names its PDB, or None."""
    for entry in getattr(image, "DIRECTORY_ENTRY_DEBUG", ()):
        data = image.get_data(entry.struct.AddressOfRawData, min(entry.struct.SizeOfData, 24))
        if data[:4] == b"RSDS":
            return bytes(data[4:20])
    return None


def pdb_guid(path: Path) -> bytes | None:
    """The GUID in a PDB: bytes 12 to 28 of stream 1 of its multi-stream file; None if the file is not a PDB."""
    with path.open("rb") as file:
        header = file.read(56)
        if not header.startswith(b"Microsoft C/C++ MSF 7.00"):
            return None
        block_size, _, _, directory_size, _, map_block = struct.unpack_from("<6I", header, 32)

        def block(number: int) -> bytes:
            file.seek(number * block_size)
            return file.read(block_size)

        count = -(-directory_size // block_size)
        numbers = struct.unpack_from(f"<{count}I", block(map_block))
        directory = b"".join(block(number) for number in numbers)
        streams = struct.unpack_from("<I", directory)[0]
        sizes = struct.unpack_from(f"<{streams}I", directory, 4)
        blocks_of_first = -(-sizes[0] // block_size) if sizes[0] != 0xFFFFFFFF else 0
        (first,) = struct.unpack_from("<I", directory, 4 + 4 * streams + 4 * blocks_of_first)
        return block(first)[12:28]


def check_pdb(image: Any, pdb: Path) -> Iterator[Finding]:
    """Whether the PDB beside an image is its own."""
    wanted = image_pdb_guid(image)
    if wanted is None:
        yield Finding("no-debug-information", "it names no PDB")
    elif not pdb.is_file():
        yield Finding("no-pdb", f"there is no {pdb.name} beside it")
    elif pdb_guid(pdb) != wanted:
        yield Finding("foreign-pdb", f"{pdb.name} belongs to another build of it")


def require_good(path: Path, ours: bool, kind: PackageKind = PackageKind.DRIVER) -> list[Finding]:
    """Check an image; raise ConfigurationError if there is an error, return the warnings otherwise."""
    findings = check_image(path, ours, kind)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise ConfigurationError(
            f"{path.name} cannot be used: {errors[0].message}",
            details=(*(finding.message for finding in errors[1:]), str(path)),
            hint=None if ours else "fltlab takes x64 file-system minifilters for Windows 10 or later",
        )
    return findings
