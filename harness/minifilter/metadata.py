"""Microsoft's metadata of the filter manager's interface, as sizes, offsets and numbers.

The package win32more-microsoft-windows-wdk-win32metadata has it as ctypes classes that import on Windows only. Here a
process of its own imports them behind stand-ins for the Windows parts of ctypes and prints what they say as JSON.
What is wrong or different in it is left out or mended here: FLT_PARAMETERS lacks the pointer alignment of its members,
an array of one element at the end of a structure counts as empty, and IRP_MJ_* values above 0x7F come sign-extended.
"""

import ctypes
import json
import re
import sys
import types
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

from harness.attempt import attempt
from harness.errors import HostError

PACKAGE = "win32more-microsoft-windows-wdk-win32metadata"
MODULE = "win32more.Windows.Wdk.Storage.FileSystem.Minifilters"
WRONG = frozenset({"FLT_PARAMETERS"})
OPEN_ENDED = frozenset({"FLT_TAG_DATA_BUFFER"})


@dataclass(frozen=True)
class Structure:
    """A structure: its size if it has one, and its members' offsets (of anonymous unions by their own names)."""

    size: int | None
    offsets: dict[str, int]


@dataclass(frozen=True)
class Metadata:
    """What the metadata says about fltkernel.h."""

    structures: dict[str, Structure]
    constants: dict[str, int]
    functions: frozenset[str]


def package_directory() -> Path | None:
    try:
        for file in files(PACKAGE) or ():
            if file.match("win32more/Windows/Wdk/Storage/FileSystem/Minifilters/__init__.py"):
                return Path(str(file.locate())).parents[5]
    except PackageNotFoundError:
        return None
    return None


def metadata_version() -> str:
    """Which metadata is installed; nothing if none is."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


@cache
def read_metadata() -> Metadata | None:
    """Read the metadata; None if its package is not installed (it comes with fltlab's `dev` extra)."""
    directory = package_directory()
    if directory is None:
        return None
    done = attempt(
        [sys.executable, "-m", "harness.minifilter.metadata", directory], cwd=Path(__file__).resolve().parents[2]
    )
    if done.returncode != 0:
        raise HostError(
            f"the metadata of {PACKAGE} cannot be read",
            details=tuple(done.stderr.strip().splitlines()[-5:]),
            hint=f"reinstall {PACKAGE}",
        )
    content = json.loads(done.stdout)
    return Metadata(
        structures={name: Structure(**value) for name, value in content["structures"].items()},
        constants=content["constants"],
        functions=frozenset(content["functions"]),
    )


def _import_on_linux(directory: Path) -> types.ModuleType:
    """Import the metadata's module with stand-ins; only in a process that does nothing else."""

    class NoLibraries:
        def __getattr__(self, name: str) -> ctypes.CDLL:
            return ctypes.CDLL(None)

    stand_ins: dict[str, Any] = {
        "WINFUNCTYPE": ctypes.CFUNCTYPE,
        "FormatError": lambda *_: "",
        "GetLastError": lambda: 0,
        "WinError": OSError,
        "windll": NoLibraries(),
        "c_wchar": ctypes.c_uint16,  # four bytes on Linux
    }
    for name, value in stand_ins.items():
        setattr(ctypes, name, value)
    sys.version += " (AMD64)"  # this is how it finds the architecture
    package = types.ModuleType("win32more")
    package.__path__ = [str(directory)]
    sys.modules["win32more"] = package
    __import__(MODULE)
    return sys.modules[MODULE]


def _offsets(structure: Any, base: int = 0) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, kind in structure._fields_:
        offset = base + getattr(structure, name).offset
        if name.startswith("Anonymous"):
            found |= _offsets(kind, offset)
        else:
            found[name] = offset
    return found


def _describe(directory: Path) -> dict[str, Any]:
    module = _import_on_linux(directory)
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    structures = {}
    for name in re.findall(r"^class (FLT_\w+)\((?:Structure|Union)\)", source, re.MULTILINE):
        if name not in WRONG:
            kind = getattr(module, name)
            size = None if name in OPEN_ENDED else ctypes.sizeof(kind)
            structures[name] = {"size": size, "offsets": _offsets(kind)}
    constants = {}
    for name, value in re.findall(r"^(\w+): [\w.]+ = (-?\d+)$", source, re.MULTILINE):
        constants[name] = int(value) & (0xFF if name.startswith("IRP_MJ_") else 0xFFFFFFFF)
    functions = re.findall(r"^@winfunctype\('FLTMGR\.SYS'[^)]*\)\ndef (\w+)\(", source, re.MULTILINE)
    return {"structures": structures, "constants": constants, "functions": functions}


if __name__ == "__main__":
    print(json.dumps(_describe(Path(sys.argv[1]))))
