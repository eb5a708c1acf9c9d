"""The C run-time library that ntoskrnl.exe and ntdll.dll export: strings, numbers, printf."""

from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import I32, KERNEL_AND_USER, U16, export
from harness.reference.windows.ntos.rtl.text import EINVAL, ERANGE, copy_safely, downcase, encode

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_ALL = (1 << 64) - 1


# -- lengths and searches


@export(KERNEL_AND_USER, "strlen")
def strlen(k: "Kernel", text: int) -> int:
    return len(k.memory.read_cstring(text))


@export(KERNEL_AND_USER, "wcslen")
def wcslen(k: "Kernel", text: int) -> int:
    return len(_wide(k, text))


@export(KERNEL_AND_USER, "strnlen")
def strnlen(k: "Kernel", text: int, limit: int) -> int:
    return len(k.memory.read_cstring(text, limit))


@export(KERNEL_AND_USER, "wcsnlen")
def wcsnlen(k: "Kernel", text: int, limit: int) -> int:
    return len(encode(k.memory.read_wide(text, limit))) // 2


def _wide(k: "Kernel", address: int, limit: int | None = None) -> list[int]:
    """A wide string as UTF-16 units."""
    raw = encode(k.memory.read_wide(address, limit))
    return [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]


def _fold(units: list[int]) -> list[int]:
    return [ord(downcase(chr(unit))) for unit in units]


def _bytes(k: "Kernel", address: int, limit: int | None = None) -> list[int]:
    return list(k.memory.read_cstring(address, limit))


def _order(first: list[int], second: list[int]) -> int:
    return (first > second) - (first < second) & _ALL


@export(KERNEL_AND_USER, "strcmp")
def strcmp(k: "Kernel", first: int, second: int) -> int:
    return _order(_bytes(k, first), _bytes(k, second))


@export(KERNEL_AND_USER, "strncmp")
def strncmp(k: "Kernel", first: int, second: int, limit: int) -> int:
    return _order(_bytes(k, first, limit), _bytes(k, second, limit))


@export(KERNEL_AND_USER, "_stricmp")
def stricmp(k: "Kernel", first: int, second: int) -> int:
    return _order(_fold(_bytes(k, first)), _fold(_bytes(k, second)))


@export(KERNEL_AND_USER, "_strnicmp")
def strnicmp(k: "Kernel", first: int, second: int, limit: int) -> int:
    return _order(_fold(_bytes(k, first, limit)), _fold(_bytes(k, second, limit)))


@export(KERNEL_AND_USER, "wcscmp")
def wcscmp(k: "Kernel", first: int, second: int) -> int:
    return _order(_wide(k, first), _wide(k, second))


@export(KERNEL_AND_USER, "wcsncmp")
def wcsncmp(k: "Kernel", first: int, second: int, limit: int) -> int:
    return _order(_wide(k, first, limit), _wide(k, second, limit))


@export(KERNEL_AND_USER, "_wcsicmp")
def wcsicmp(k: "Kernel", first: int, second: int) -> int:
    return _order(_fold(_wide(k, first)), _fold(_wide(k, second)))


@export(KERNEL_AND_USER, "_wcsnicmp")
def wcsnicmp(k: "Kernel", first: int, second: int, limit: int) -> int:
    return _order(_fold(_wide(k, first, limit)), _fold(_wide(k, second, limit)))


def _find(text: list[int], unit: int, address: int, size: int, *, last: bool) -> int:
    """Strchr and its like; the terminator is part of the string."""
    text = [*text, 0]
    if unit not in text:
        return 0
    index = len(text) - 1 - text[::-1].index(unit) if last else text.index(unit)
    return address + size * index


@export(KERNEL_AND_USER, "strchr")
def strchr(k: "Kernel", text: int, character: I32) -> int:
    return _find(_bytes(k, text), character & 0xFF, text, 1, last=False)


@export(KERNEL_AND_USER, "strrchr")
def strrchr(k: "Kernel", text: int, character: I32) -> int:
    return _find(_bytes(k, text), character & 0xFF, text, 1, last=True)


@export(KERNEL_AND_USER, "wcschr")
def wcschr(k: "Kernel", text: int, character: U16) -> int:
    return _find(_wide(k, text), character, text, 2, last=False)


@export(KERNEL_AND_USER, "wcsrchr")
def wcsrchr(k: "Kernel", text: int, character: U16) -> int:
    return _find(_wide(k, text), character, text, 2, last=True)


@export(KERNEL_AND_USER, "strstr")
def strstr(k: "Kernel", text: int, wanted: int) -> int:
    index = k.memory.read_cstring(text).find(k.memory.read_cstring(wanted))
    return text + index if index >= 0 else 0


@export(KERNEL_AND_USER, "wcsstr")
def wcsstr(k: "Kernel", text: int, wanted: int) -> int:
    index = k.memory.read_wide(text).find(k.memory.read_wide(wanted))
    return text + 2 * index if index >= 0 else 0


@export(KERNEL_AND_USER, "memchr")
def memchr(k: "Kernel", buffer: int, value: I32, size: int) -> int:
    index = k.memory.read(buffer, size).find(value & 0xFF) if size else -1
    return buffer + index if index >= 0 else 0


def _span(text: list[int], accepted: list[int], *, inside: bool) -> int:
    wanted = set(accepted)
    for index, unit in enumerate(text):
        if (unit in wanted) is not inside:
            return index
    return len(text)


@export(KERNEL_AND_USER, "strspn")
def strspn(k: "Kernel", text: int, accepted: int) -> int:
    return _span(_bytes(k, text), _bytes(k, accepted), inside=True)


@export(KERNEL_AND_USER, "wcsspn")
def wcsspn(k: "Kernel", text: int, accepted: int) -> int:
    return _span(_wide(k, text), _wide(k, accepted), inside=True)


@export(KERNEL_AND_USER, "wcscspn")
def wcscspn(k: "Kernel", text: int, rejected: int) -> int:
    return _span(_wide(k, text), _wide(k, rejected), inside=False)


# -- copies


@export(KERNEL_AND_USER, "strcpy")
def strcpy(k: "Kernel", target: int, source: int) -> int:
    k.memory.write(target, k.memory.read_cstring(source) + b"\0")
    return target


@export(KERNEL_AND_USER, "wcscpy")
def wcscpy(k: "Kernel", target: int, source: int) -> int:
    k.memory.write(target, encode(k.memory.read_wide(source)) + b"\0\0")
    return target


@export(KERNEL_AND_USER, "strncpy")
def strncpy(k: "Kernel", target: int, source: int, limit: int) -> int:
    k.memory.write(target, k.memory.read_cstring(source, limit).ljust(limit, b"\0"))
    return target


@export(KERNEL_AND_USER, "wcsncpy")
def wcsncpy(k: "Kernel", target: int, source: int, limit: int) -> int:
    k.memory.write(target, encode(k.memory.read_wide(source, limit)).ljust(2 * limit, b"\0"))
    return target


@export(KERNEL_AND_USER, "strcat")
def strcat(k: "Kernel", target: int, source: int) -> int:
    k.memory.write(target + len(k.memory.read_cstring(target)), k.memory.read_cstring(source) + b"\0")
    return target


@export(KERNEL_AND_USER, "wcscat")
def wcscat(k: "Kernel", target: int, source: int) -> int:
    end = target + len(encode(k.memory.read_wide(target)))
    k.memory.write(end, encode(k.memory.read_wide(source)) + b"\0\0")
    return target


@export(KERNEL_AND_USER, "wcsncat")
def wcsncat(k: "Kernel", target: int, source: int, limit: int) -> int:
    end = target + len(encode(k.memory.read_wide(target)))
    k.memory.write(end, encode(k.memory.read_wide(source, limit)) + b"\0\0")
    return target


@export(KERNEL_AND_USER, "strcpy_s")
def strcpy_s(k: "Kernel", target: int, room: int, source: int) -> int:
    return copy_safely(k, target, room, k.memory.read_cstring(source), 1) if source else EINVAL


@export(KERNEL_AND_USER, "wcscpy_s")
def wcscpy_s(k: "Kernel", target: int, room: int, source: int) -> int:
    return copy_safely(k, target, room, encode(k.memory.read_wide(source)), 2) if source else EINVAL


@export(KERNEL_AND_USER, "wcscat_s")
def wcscat_s(k: "Kernel", target: int, room: int, source: int) -> int:
    if not target or not source:
        return EINVAL
    return copy_safely(k, target, room, encode(k.memory.read_wide(target) + k.memory.read_wide(source)), 2)


@export(KERNEL_AND_USER, "strcat_s")
def strcat_s(k: "Kernel", target: int, room: int, source: int) -> int:
    if not target or not source:
        return EINVAL
    return copy_safely(k, target, room, k.memory.read_cstring(target) + k.memory.read_cstring(source), 1)


@export(KERNEL_AND_USER, "wcsncpy_s")
def wcsncpy_s(k: "Kernel", target: int, room: int, source: int, limit: int) -> int:
    truncate = limit == _ALL
    data = encode(k.memory.read_wide(source, room if truncate else limit))
    if truncate:
        data = data[: 2 * (room - 1)]
    return copy_safely(k, target, room, data, 2)


@export(KERNEL_AND_USER, "memcpy_s")
def memcpy_s(k: "Kernel", target: int, room: int, source: int, size: int) -> int:
    """A target that is too small is cleared."""
    return _copy(k, target, room, source, size, clears=True)


@export(KERNEL_AND_USER, "memmove_s")
def memmove_s(k: "Kernel", target: int, room: int, source: int, size: int) -> int:
    """A target that is too small stays as it is."""
    return _copy(k, target, room, source, size, clears=False)


def _copy(k: "Kernel", target: int, room: int, source: int, size: int, *, clears: bool) -> int:
    if not size:
        return 0
    if not target or not source or size > room:
        if clears and target and room:
            k.memory.write(target, bytes(room))
        return EINVAL if not target or not source else ERANGE
    k.memory.write(target, k.memory.read(source, size))
    return 0
