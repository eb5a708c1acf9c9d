"""The registry that a driver expects to find: what its INF adds, what its driver.yaml gives, what a .reg file has.

Sources: the WDK's "INF AddReg directive", and the format of .reg files (Windows Registry Editor Version 5.00).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigurationError
from harness.minifilter.inf import Inf

Plain = str | int | bool | Sequence[str]
"""A value as YAML has it: REG_SZ, REG_DWORD or REG_MULTI_SZ."""

_DWORD = 1 << 32
_NO_CLOBBER, _DELETE, _APPEND, _KEY_ONLY = 0x2, 0x4, 0x8, 0x10
_TYPE_MASK = 0xFFFF0001
_TYPES = {
    0x00000000: "REG_SZ",
    0x00000001: "REG_BINARY",
    0x00010000: "REG_MULTI_SZ",
    0x00010001: "REG_DWORD",
    0x00020000: "REG_EXPAND_SZ",
    0x000B0001: "REG_QWORD",
}
"""FLG_ADDREG_TYPE_* of an AddReg line."""
_IN_REG_FILES = {"hex": "REG_BINARY", "hex(2)": "REG_EXPAND_SZ", "hex(7)": "REG_MULTI_SZ", "hex(b)": "REG_QWORD"}
_ROOTS = {"HKEY_LOCAL_MACHINE": "HKLM", "HKLM": "HKLM"}


@dataclass(frozen=True)
class RegistryValue:
    r"""A value: its key, below that of the service unless it begins with `HKLM\`, and its data as reg.exe takes it."""

    key: str
    name: str
    type: str
    data: str


def of_parameters(values: Mapping[str, Plain]) -> Iterator[RegistryValue]:
    """What driver.yaml gives as `parameters`: values of the service's Parameters key."""
    for name, value in values.items():
        if isinstance(value, int):
            kind = "REG_DWORD" if 0 <= value < _DWORD else "REG_QWORD"
            yield RegistryValue("Parameters", name, kind, str(int(value)))
        elif isinstance(value, str):
            yield RegistryValue("Parameters", name, "REG_SZ", value)
        else:
            yield RegistryValue("Parameters", name, "REG_MULTI_SZ", r"\0".join(value))


def of_inf(inf: Inf, build: int) -> Iterator[RegistryValue]:
    """What an INF adds to the registry for a build of x64 Windows; ConfigurationError for a type it cannot mean."""
    found: dict[tuple[str, str], RegistryValue] = {}
    for fields in inf.registry(build):
        root, key, name, flags, *data = [*fields, "", "", "", ""][: max(len(fields), 4)]
        number = int(flags or "0", 0)
        place = {"HKR": key, "HKLM": rf"HKLM\{key}"}.get(root.upper())
        if place is None or number & _KEY_ONLY or (not name and not data):
            continue
        kind = _TYPES.get(number & _TYPE_MASK)
        if kind is None:
            raise ConfigurationError(
                f"{inf.name} adds the value {name!r} of a type that fltlab does not know", details=(f"flags {flags}",)
            )
        where = place.lower(), name.lower()
        before = found.pop(where, None)
        if number & _DELETE or (number & _NO_CLOBBER and before is not None):
            if before is not None and not number & _DELETE:
                found[where] = before
            continue
        if number & _APPEND and before is not None:
            there = before.data.split(r"\0")
            data = [*there, *(item for item in data if item not in there)]
        found[where] = RegistryValue(place, name, kind, _inf_data(kind, data))
    yield from found.values()


def _inf_data(kind: str, data: Sequence[str]) -> str:
    match kind:
        case "REG_MULTI_SZ":
            return r"\0".join(data)
        case "REG_BINARY":
            return "".join(f"{int(part, 16):02x}" for part in data if part)
        case _:
            return data[0] if data else "0" if kind in {"REG_DWORD", "REG_QWORD"} else ""


def of_reg_file(path: Path) -> tuple[RegistryValue, ...]:
    """What a .reg file has below HKEY_LOCAL_MACHINE; ConfigurationError names the line that is wrong."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", "replace")
    found: list[RegistryValue] = []
    key = None
    for number, line in _lines(text):
        if line.startswith("["):
            key = _key(path, number, line)
        elif key is not None:
            found.append(_value(path, number, key, line))
        elif not line.startswith(("Windows Registry Editor", "REGEDIT")):
            raise _wrong(path, number, "it stands before the first [key]")
    return tuple(found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    begun = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = begun + raw.strip()
        begun = ""
        if line.endswith("\\") and "=hex" in line:
            begun = line[:-1]
        elif line and not line.startswith(";"):
            yield number, line


def _key(path: Path, number: int, line: str) -> str:
    root, _, rest = line.strip("[]").partition("\\")
    if line.startswith("[-") or root.upper() not in _ROOTS:
        raise _wrong(path, number, f"{line} is no key below HKEY_LOCAL_MACHINE that could be added")
    return rf"{_ROOTS[root.upper()]}\{rest}"


def _value(path: Path, number: int, key: str, line: str) -> RegistryValue:
    match = re.fullmatch(r'(@|"(?:[^"\\]|\\.)*")\s*=\s*(.*)', line)
    if match is None:
        raise _wrong(path, number, f"{line!r} is no value")
    name = "" if match[1] == "@" else _unescaped(match[1])
    data = match[2]
    if data.startswith('"'):
        return RegistryValue(key, name, "REG_SZ", _unescaped(data))
    kind, _, digits = data.partition(":")
    try:
        if kind == "dword":
            return RegistryValue(key, name, "REG_DWORD", str(int(digits, 16)))
        content = bytes(int(part, 16) for part in digits.split(",") if part.strip())
        return RegistryValue(key, name, _IN_REG_FILES[kind], _of_bytes(_IN_REG_FILES[kind], content))
    except (ValueError, KeyError):
        raise _wrong(path, number, f"{data!r} is no data of a value") from None


def _of_bytes(kind: str, content: bytes) -> str:
    match kind:
        case "REG_BINARY":
            return content.hex()
        case "REG_QWORD":
            return str(int.from_bytes(content, "little"))
        case _:
            return content.decode("utf-16-le", "replace").rstrip("\0").replace("\0", r"\0")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _wrong(path: Path, number: int, what: str) -> ConfigurationError:
    return ConfigurationError(f"{path.name} line {number}: {what}", hint="regedit's export is such a file")
