"""The C run-time library, the rest: case, searching and sorting, numbers as text, the _s functions, wide and narrow."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.loader.exports import I32, I64, NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.rtl.text import (
    EINVAL,
    ERANGE,
    copy_safely,
    downcase,
    encode,
    from_ansi,
    to_ansi,
    upcase,
)

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_TRUNCATE = (1 << 64) - 1
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


# -- case


@export(NTOSKRNL, "_wcsupr")
def wcsupr(k: "Kernel", text: int) -> int:
    k.memory.write(text, encode(upcase(k.memory.read_wide(text))))
    return text


@export(NTOSKRNL, "_wcslwr", "wcslwr")
def wcslwr(k: "Kernel", text: int) -> int:
    k.memory.write(text, encode(downcase(k.memory.read_wide(text))))
    return text


@export(NTOSKRNL, "_strupr")
def strupr(k: "Kernel", text: int) -> int:
    k.memory.write(text, k.memory.read_cstring(text).upper())
    return text


@export(NTOSKRNL, "_strlwr", "strlwr")
def strlwr(k: "Kernel", text: int) -> int:
    k.memory.write(text, k.memory.read_cstring(text).lower())
    return text


@export(NTOSKRNL, "_strrev")
def strrev(k: "Kernel", text: int) -> int:
    k.memory.write(text, k.memory.read_cstring(text)[::-1])
    return text


@export(NTOSKRNL, "_wcsrev")
def wcsrev(k: "Kernel", text: int) -> int:
    k.memory.write(text, encode(k.memory.read_wide(text)[::-1]))
    return text


# -- searching and sorting


@export(NTOSKRNL, "bsearch")
def bsearch(k: "Kernel", key: int, base: int, count: int, size: int, compare: int) -> KernelCode:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        answer = (yield Call(compare, key, base + size * middle)) & 0xFFFF_FFFF
        if not answer:
            return base + size * middle
        low, high = (low, middle) if answer >> 31 else (middle + 1, high)
    return 0


@export(NTOSKRNL, "qsort")
def qsort(k: "Kernel", base: int, count: int, size: int, compare: int) -> KernelCode:
    """By insertion with a binary search: each comparison is a call of the driver's."""
    for index in range(1, count):
        low, high = 0, index
        while low < high:
            middle = (low + high) // 2
            answer = (yield Call(compare, base + size * index, base + size * middle)) & 0xFFFF_FFFF
            low, high = (low, middle) if answer >> 31 else (middle + 1, high)
        if low != index:
            item = k.memory.read(base + size * index, size)
            rest = k.memory.read(base + size * low, size * (index - low))
            k.memory.write(base + size * low, item + rest)


# -- concatenation and copies with a limit


@export(NTOSKRNL, "strncat")
def strncat(k: "Kernel", target: int, source: int, count: int) -> int:
    data = k.memory.read_cstring(source, count)[:count]
    k.memory.write(target + len(k.memory.read_cstring(target)), data + b"\0")
    return target


def _limited(data: bytes, count: int, unit: int, room: int) -> tuple[bytes, bool]:
    """As much of a source as `count` allows, and whether it was cut by _TRUNCATE."""
    if count != _TRUNCATE:
        return data[: unit * count], False
    kept = data[: unit * (room - 1)]
    return kept, len(kept) < len(data)


@export(NTOSKRNL, "strncpy_s")
def strncpy_s(k: "Kernel", target: int, room: int, source: int, count: int) -> int:
    data, cut = _limited(k.memory.read_cstring(source), count, 1, room)
    return copy_safely(k, target, room, data, 1) or (80 if cut else 0)


@export(NTOSKRNL, "strncat_s")
def strncat_s(k: "Kernel", target: int, room: int, source: int, count: int) -> int:
    before = k.memory.read_cstring(target)
    data, cut = _limited(k.memory.read_cstring(source), count, 1, room - len(before))
    return copy_safely(k, target, room, before + data, 1) or (80 if cut else 0)


@export(NTOSKRNL, "wcsncat_s")
def wcsncat_s(k: "Kernel", target: int, room: int, source: int, count: int) -> int:
    before = encode(k.memory.read_wide(target))
    data, cut = _limited(encode(k.memory.read_wide(source)), count, 2, room - len(before) // 2)
    return copy_safely(k, target, room, before + data, 2) or (80 if cut else 0)


@export(NTOSKRNL, "strtok_s")
def strtok_s(k: "Kernel", text: int, delimiters: int, context: int) -> int:
    at, stops = text or k.memory.read_u64(context), k.memory.read_cstring(delimiters)
    if not at:
        return 0
    while (byte := k.memory.read_u8(at)) and byte in stops:
        at += 1
    if not k.memory.read_u8(at):
        k.memory.write_u64(context, at)
        return 0
    end = at
    while (byte := k.memory.read_u8(end)) and byte not in stops:
        end += 1
    if k.memory.read_u8(end):
        k.memory.write_u8(end, 0)
        end += 1
    k.memory.write_u64(context, end)
    return at


# -- numbers as text


def _digits(value: int, radix: int) -> str:
    """In a base that the C library has: of another no number can be written, and nothing is."""
    if not 2 <= radix <= len(_DIGITS):
        return ""
    text = ""
    while True:
        value, digit = divmod(value, radix)
        text = _DIGITS[digit] + text
        if not value:
            return text


def _number(value: int, radix: int, bits: int, *, signed: bool) -> str:
    """Only in base 10 is a sign a sign."""
    if signed and radix == 10 and value < 0:
        return "-" + _digits(-value, radix)
    return _digits(value & (1 << bits) - 1, radix)


def _store(k: "Kernel", text: str, target: int, room: int, *, wide: bool) -> int:
    unit = 2 if wide else 1
    if not target or not room:
        return EINVAL
    if len(text) >= room:
        k.memory.write(target, bytes(unit))
        return ERANGE
    k.memory.write(target, (encode(text) if wide else text.encode("ascii")) + bytes(unit))
    return 0


@export(NTOSKRNL, "_itoa")
def itoa(k: "Kernel", value: I32, target: int, radix: I32) -> int:
    _store(k, _number(value, radix, 32, signed=True), target, 66, wide=False)
    return target


@export(NTOSKRNL, "_itow")
def itow(k: "Kernel", value: I32, target: int, radix: I32) -> int:
    _store(k, _number(value, radix, 32, signed=True), target, 66, wide=True)
    return target


@export(NTOSKRNL, "_itoa_s", "_ltoa_s")
def itoa_s(k: "Kernel", value: I32, target: int, room: int, radix: I32) -> int:
    return _store(k, _number(value, radix, 32, signed=True), target, room, wide=False)


@export(NTOSKRNL, "_itow_s", "_ltow_s")
def itow_s(k: "Kernel", value: I32, target: int, room: int, radix: I32) -> int:
    return _store(k, _number(value, radix, 32, signed=True), target, room, wide=True)


@export(NTOSKRNL, "_ultoa_s")
def ultoa_s(k: "Kernel", value: U32, target: int, room: int, radix: I32) -> int:
    return _store(k, _digits(value, radix), target, room, wide=False)


@export(NTOSKRNL, "_ultow_s")
def ultow_s(k: "Kernel", value: U32, target: int, room: int, radix: I32) -> int:
    return _store(k, _digits(value, radix), target, room, wide=True)


@export(NTOSKRNL, "_i64toa_s")
def i64toa_s(k: "Kernel", value: I64, target: int, room: int, radix: I32) -> int:
    return _store(k, _number(value, radix, 64, signed=True), target, room, wide=False)


@export(NTOSKRNL, "_i64tow_s")
def i64tow_s(k: "Kernel", value: I64, target: int, room: int, radix: I32) -> int:
    return _store(k, _number(value, radix, 64, signed=True), target, room, wide=True)


@export(NTOSKRNL, "_ui64toa_s")
def ui64toa_s(k: "Kernel", value: int, target: int, room: int, radix: I32) -> int:
    return _store(k, _digits(value, radix), target, room, wide=False)


@export(NTOSKRNL, "_ui64tow_s")
def ui64tow_s(k: "Kernel", value: int, target: int, room: int, radix: I32) -> int:
    return _store(k, _digits(value, radix), target, room, wide=True)


# -- wide and narrow


@export(NTOSKRNL, "mbstowcs")
def mbstowcs(k: "Kernel", target: int, source: int, count: int) -> int:
    text = from_ansi(k.memory.read_cstring(source))
    if target:
        data = encode(text[:count]) + (b"\0\0" if len(text) < count else b"")
        k.memory.write(target, data)
    return min(len(text), count) if target else len(text)


@export(NTOSKRNL, "wcstombs")
def wcstombs(k: "Kernel", target: int, source: int, count: int) -> int:
    data = to_ansi(k.memory.read_wide(source))
    if target:
        k.memory.write(target, data[:count] + (b"\0" if len(data) < count else b""))
    return min(len(data), count) if target else len(data)


@export(NTOSKRNL, "_purecall")
def purecall(k: "Kernel") -> int:
    k.bugcheck(BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION, message="a pure virtual function was called")
