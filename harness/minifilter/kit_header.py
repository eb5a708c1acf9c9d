"""Makes drivers/include/kitmetadata.h: what the driver kit declares and mingw-w64's kernel headers lack.

Names, numbers, layouts and prototypes come from Microsoft's metadata, so they need no second check; which of them are
lacking is asked of the compiler. `python -m harness.minifilter.kit_header` writes the file anew; a test holds the
committed one against the metadata.
"""

import ast
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.attempt import attempt
from harness.errors import HostError
from harness.minifilter.imports import INCLUDE, import_list
from harness.minifilter.metadata import PACKAGE, package_directory
from harness.minifilter.toolchain import KERNEL_TARGET, TARGET, Toolchain, find_toolchain

Answer = TypeVar("Answer")
HEADER = INCLUDE / "kitmetadata.h"

ROOMS = (
    "Wdk/Foundation",
    "Wdk/Storage/FileSystem",
    "Wdk/System/SystemServices",
    "Wdk/System/Registry",
    "Wdk/System/Threading",
    "Wdk/System/SystemInformation",
    "Win32/Foundation",
    "Win32/Security",
    "Win32/Storage/FileSystem",
    "Win32/System/IO",
    "Win32/System/Ioctl",
    "Win32/System/Memory",
    "Win32/System/SystemServices",
)
CONSTANTS = re.compile(
    r"(FSCTL|IOCTL_(STORAGE|DISK|VOLUME)|IO_REPARSE_TAG|FILE|SL|POOL|IRP_MN|FO|TRANSACTION_NOTIFY|MM_COPY|OPLOCK|"
    r"REQUEST_OPLOCK|SUPPORTED_FS_FEATURES|OB|FLT|FSRTL|SEC|OBJ|EX|PS|CM|REG|KEY|TOKEN|SECURITY|ECP|FS|USN|"
    r"RTL_QUERY_REGISTRY|STATUS|MDL|IO|SYMLINK|VOLSNAPCONTROLTYPE|SE|PROCESS|THREAD)_[A-Z0-9_]+"
)
STRUCTURES = re.compile(
    r"(FILE_\w+(INFORMATION|INFORMATION_EX|INPUT|OUTPUT|BUFFER|ID_128|TRIM|TRIM_RANGE)|REPARSE_DATA_BUFFER_EX|"
    r"\w+_ECP_CONTEXT|KEY_\w+_INFORMATION|MM_COPY_ADDRESS|FSCTL_\w+|DUPLICATE_EXTENTS_DATA|REG_\w+_INFORMATION|"
    r"FILE_ID_128|OPLOCK_KEY_CONTEXT|PS_\w+)"
)
SCALARS = {
    "UInt32": "ULONG", "Int32": "LONG", "UInt16": "USHORT", "Int16": "SHORT", "Byte": "UCHAR", "SByte": "CHAR",
    "UInt64": "ULONGLONG", "Int64": "LARGE_INTEGER", "VoidPtr": "PVOID", "Char": "WCHAR", "IntPtr": "LONG_PTR",
    "UIntPtr": "ULONG_PTR", "Guid": "GUID", "Void": "VOID", "Single": "float", "Double": "double",
}  # fmt: skip
# What mingw-w64 names otherwise, or a macro of ours stands for.
LEFT_OUT = frozenset({"FILE_RENAME_INFORMATION", "FILE_LINK_INFORMATION"})


class _UnknownTypeError(Exception):
    """A type that cannot be written in C."""


@dataclass
class _Catalogue:
    """What the metadata says, by name."""

    constants: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Type (that of an enumeration, or a number's) and value."""
    enumerations: dict[str, list[str]] = field(default_factory=dict)
    structures: dict[str, ast.ClassDef] = field(default_factory=dict)
    guids: dict[str, str] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    pointers: dict[str, ast.FunctionDef] = field(default_factory=dict)


def _read(directory: Path) -> _Catalogue:
    found = _Catalogue()
    for room in ROOMS:
        path = directory / "Windows" / room / "__init__.py"
        if not path.is_file():
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            _take(found, node)
    return found


def _take(found: _Catalogue, node: ast.stmt) -> None:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        if isinstance(node.value, ast.Call):  # Guid('{...}')
            if node.target.id.startswith("GUID_"):
                found.guids[node.target.id] = ast.literal_eval(node.value.args[0])
            return
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            return
        kind = ast.unparse(node.annotation).rpartition(".")[2]
        if isinstance(value, int):
            found.constants.setdefault(node.target.id, (kind, value))
            if kind in found.enumerations:
                found.enumerations[kind].append(node.target.id)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Name):
        if node.value.id in ("Int32", "UInt32"):
            found.enumerations.setdefault(node.targets[0].id, [])
    elif isinstance(node, ast.ClassDef):
        found.structures.setdefault(node.name, node)
    elif isinstance(node, ast.FunctionDef) and node.decorator_list:
        decorator = ast.unparse(node.decorator_list[0])
        if decorator == "winfunctype_pointer":
            found.pointers.setdefault(node.name, node)
        elif decorator.startswith(("winfunctype('ntoskrnl.exe'", "winfunctype('ntdll.dll'")):
            found.functions.setdefault(node.name, node)


class _Writer:
    """Writes declarations, each after those it needs."""

    def __init__(self, catalogue: _Catalogue, lacking: frozenset[str]) -> None:
        self._catalogue = catalogue
        self._lacking = lacking
        self._done: dict[str, str] = {}
        self._open: set[str] = set()

    # -- types

    def type_of(self, node: ast.expr) -> str:
        """A type in C; what it needs is declared before."""
        if isinstance(node, ast.Call):  # POINTER(X)
            return f"{self.type_of(node.args[0])} *"
        name = ast.unparse(node).rpartition(".")[2]
        if name in SCALARS:
            return SCALARS[name]
        self.require(name)
        return name

    def require(self, name: str) -> None:
        """Declare a type that the headers lack."""
        if name not in self._lacking or name in self._done:
            return
        if name in self._open:
            raise _UnknownTypeError(name)
        self._open.add(name)
        known = self._catalogue
        if name in known.structures:
            text = self._structure(known.structures[name])
        elif name in known.enumerations:
            text = self._enumeration(name)
        elif name in known.pointers:
            node = known.pointers[name]
            text = f"typedef {self._result(node)} (NTAPI *{name})({self._parameters(node)});"
        else:
            raise _UnknownTypeError(name)
        self._open.discard(name)
        self._done[name] = text

    def _enumeration(self, name: str) -> str:
        members = self._catalogue.enumerations[name]
        if not members:
            raise _UnknownTypeError(name)
        lines = [
            f"    {member} = {self._catalogue.constants[member][1]},"
            for member in members
            if member in self._lacking and not CONSTANTS.fullmatch(member)
        ]
        if not lines:
            return f"typedef ULONG {name};"
        return "\n".join([f"typedef enum _{name} {{", *lines, f"}} {name}, *P{name};"])

    def _structure(self, node: ast.ClassDef) -> str:
        body = "\n".join(self._members(node, "    "))
        kind = "union" if ast.unparse(node.bases[0]) == "Union" else "struct"
        text = f"typedef {kind} _{node.name} {{\n{body}\n}} {node.name}, *P{node.name};"
        return f"#pragma pack(push, {self._pack(node)})\n{text}\n#pragma pack(pop)" if self._pack(node) else text

    @staticmethod
    def _pack(node: ast.ClassDef) -> int:
        for item in node.body:
            if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "_pack_":
                return int(ast.literal_eval(item.value))
        return 0

    def _members(self, node: ast.ClassDef, indent: str) -> Iterator[str]:
        inner = {item.name: item for item in node.body if isinstance(item, ast.ClassDef)}
        for item in node.body:
            if isinstance(item, ast.AnnAssign):
                yield from self._member(node.name, ast.unparse(item.target), item.annotation, inner, indent)

    def _member(
        self, owner: str, name: str, kind: ast.expr, inner: dict[str, ast.ClassDef], indent: str
    ) -> Iterator[str]:
        suffix = ""
        if isinstance(kind, ast.Subscript) and isinstance(kind.slice, ast.Tuple):  # Annotated[X, a bit field]
            kind, width = kind.slice.elts
            suffix = f" : {ast.unparse(width).partition('(')[2].rstrip(')')}"
        if isinstance(kind, ast.Subscript):  # FlexibleArray[X]
            kind, suffix = kind.slice, "[1]"
        if isinstance(kind, ast.BinOp):  # X * 12
            suffix = f"[{ast.unparse(kind.right)}]"
            kind = kind.left
        spelled = ast.unparse(kind)
        if spelled in inner:
            word = "union" if ast.unparse(inner[spelled].bases[0]) == "Union" else "struct"
            shown = "" if name.startswith("Anonymous") else f" {name}"
            yield f"{indent}{word} {{"
            yield from self._members(inner[spelled], indent + "    ")
            yield f"{indent}}}{shown}{suffix};"
            return
        text = self.type_of(kind)
        if text == "LARGE_INTEGER" and re.search(r"Usn", name):
            text = "LONGLONG"
        if text == owner:
            text = f"struct _{owner}"
        yield f"{indent}{text}{'' if text.endswith('*') else ' '}{name}{suffix};"

    # -- functions

    def _result(self, node: ast.FunctionDef) -> str:
        assert node.returns is not None
        text = self.type_of(node.returns)
        return "LONGLONG" if text == "LARGE_INTEGER" else text

    def _parameters(self, node: ast.FunctionDef) -> str:
        words = []
        for argument in node.args.args:
            assert argument.annotation is not None
            text = self.type_of(argument.annotation)
            words.append(f"{text}{'' if text.endswith('*') else ' '}{argument.arg}")
        return ", ".join(words) or "VOID"

    def function(self, name: str) -> str:
        """A prototype."""
        node = self._catalogue.functions[name]
        return f"NTKERNELAPI {self._result(node)} NTAPI {name}({self._parameters(node)});"

    @property
    def types(self) -> list[str]:
        return list(self._done.values())


def _lacking(toolchain: Toolchain, names: Sequence[str]) -> frozenset[str]:
    """Which of these the headers do not declare."""
    lines = [
        "#define FLTLAB_NO_KIT_METADATA",
        "#include <fltkernel.h>",
        "#include <ntddstor.h>",
        "#include <ntdddisk.h>",
        "#include <mountmgr.h>",
        "#include <bcrypt.h>",
    ]
    for index, name in enumerate(names):
        lines += [
            f"#ifndef {name}",
            f'#line {index + 1} "name"',
            f"static int lacks{index} = sizeof({name});",
            "#endif",
        ]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "names.c"
        source.write_text("\n".join(lines) + "\n", encoding="ascii")
        command: list[str | Path] = [
            toolchain.clang, *TARGET, *KERNEL_TARGET, "-w", "-ferror-limit=0", "-fsyntax-only",
            f"-I{INCLUDE}", "-isystem", toolchain.mingw, "-isystem", toolchain.mingw / "ddk", source,
        ]  # fmt: skip
        done = attempt(command)
    numbers = re.findall(r"^name:(\d+):\d+: error: (?:use of undeclared|unknown type)", done.stderr, re.MULTILINE)
    return frozenset(names[int(number) - 1] for number in numbers)


def make_header(toolchain: Toolchain) -> str:
    """The text of kitmetadata.h. HostError if the metadata is not installed."""
    directory = package_directory()
    if directory is None:
        raise HostError(f"{PACKAGE} is not installed", hint="./fltlab test installs what the checks need")
    known = _read(directory)
    exported = import_list("ntoskrnl")
    functions = [name for name in known.functions if name in exported]
    constants = [name for name in known.constants if CONSTANTS.fullmatch(name)]
    members = [name for names in known.enumerations.values() for name in names]
    types = [*known.structures, *known.enumerations, *known.pointers, *_referenced(known)]
    names = {*functions, *constants, *members, *types, *known.guids}
    lacking = _lacking(toolchain, sorted(names)) - LEFT_OUT
    writer = _Writer(known, lacking)
    numbers = [_define(name, *known.constants[name]) for name in constants if name in lacking]
    numbers += [
        f"#define {member} (({kind}){known.constants[member][1]})"
        for kind, names in known.enumerations.items()
        if kind not in lacking
        for member in names
        if member in lacking and not CONSTANTS.fullmatch(member)
    ]
    for name in known.structures:
        if name in lacking and STRUCTURES.fullmatch(name):
            _try(writer.require, name)
    guids = [_guid(name, known.guids[name]) for name in sorted(known.guids) if name in lacking]
    prototypes = [text for name in functions if name in lacking if (text := _try(writer.function, name))]
    return "\n".join([_HEAD, *sorted(set(numbers)), "", *guids, "", *writer.types, "", *prototypes, _TAIL])


def _referenced(known: _Catalogue) -> Iterator[str]:
    """The names of all types that declarations need, of other rooms too."""
    for node in (*known.structures.values(), *known.functions.values(), *known.pointers.values()):
        for item in ast.walk(node):
            if isinstance(item, ast.Attribute) and ast.unparse(item).startswith("win32more."):
                yield item.attr


def _try(function: Callable[[str], Answer], name: str) -> Answer | None:
    try:
        return function(name)
    except _UnknownTypeError:
        return None


def _guid(name: str, text: str) -> str:
    value = uuid.UUID(text)
    parts = [f"0x{value.time_low:08x}", f"0x{value.time_mid:04x}", f"0x{value.time_hi_version:04x}"]
    return f"DEFINE_GUID({name}, {', '.join([*parts, *(f'0x{byte:02x}' for byte in value.bytes[8:])])});"


def _define(name: str, kind: str, value: int) -> str:
    if name.startswith("STATUS_") or kind == "NTSTATUS":
        return f"#define {name} ((NTSTATUS)0x{value & 0xFFFFFFFF:08X}L)"
    return (
        f"#define {name} 0x{value & 0xFFFFFFFF:X}" if -(1 << 31) <= value < 1 << 32 else f"#define {name} {value:#x}ULL"
    )


_HEAD = """\
/*
 * kitmetadata.h: what the driver kit declares and mingw-w64's kernel headers lack.
 *
 * Made from Microsoft's metadata by harness/minifilter/kit_header.py: do not edit.
 */

#ifndef KITMETADATA_H
#define KITMETADATA_H

/* clang-format off */
"""
_TAIL = """
/* clang-format on */

#endif /* KITMETADATA_H */
"""

if __name__ == "__main__":
    HEADER.write_text(make_header(find_toolchain()), encoding="ascii")
