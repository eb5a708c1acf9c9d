"""The C run-time library, continued: characters, numbers, printf."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import I32, KERNEL_AND_USER, NTOSKRNL, U16, U32, Variadic, export
from harness.reference.windows.ntos.kd.debug_output import va_list
from harness.reference.windows.ntos.rtl.printf import format_text
from harness.reference.windows.ntos.rtl.text import copy_safely, downcase, encode, upcase

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_ALL = (1 << 64) - 1


# -- characters and numbers


@export(KERNEL_AND_USER, "toupper")
def toupper(k: "Kernel", character: I32) -> int:
    del k
    return ord(upcase(chr(character))) if 0 < character < 0x80 else character


@export(KERNEL_AND_USER, "tolower")
def tolower(k: "Kernel", character: I32) -> int:
    del k
    return ord(downcase(chr(character))) if 0 < character < 0x80 else character


@export(KERNEL_AND_USER, "towupper")
def towupper(k: "Kernel", character: U16) -> int:
    del k
    return ord(upcase(chr(character)))


@export(KERNEL_AND_USER, "towlower")
def towlower(k: "Kernel", character: U16) -> int:
    del k
    return ord(downcase(chr(character)))


def _classifier(name: str, accepts: Callable[[str], bool]) -> None:
    @export(KERNEL_AND_USER, name)
    def classify(k: "Kernel", character: U16) -> bool:
        del k
        return character < 0x80 and accepts(chr(character))


for _name, _accepts in (
    ("isdigit", str.isdigit),
    ("isalpha", str.isalpha),
    ("isalnum", str.isalnum),
    ("isspace", str.isspace),
    ("isupper", str.isupper),
    ("islower", str.islower),
    ("isprint", str.isprintable),
    ("isxdigit", lambda character: character in "0123456789abcdefABCDEF"),
    ("iswdigit", str.isdigit),
    ("iswalpha", str.isalpha),
    ("iswalnum", str.isalnum),
    ("iswspace", str.isspace),
    ("iswxdigit", lambda character: character in "0123456789abcdefABCDEF"),
):
    _classifier(_name, _accepts)

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def parse_integer(text: str, base: int) -> tuple[int, int]:
    """strtol: the value and how many characters it took (0 if there is none)."""
    start = len(text) - len(text.lstrip(" \t\r\n\v\f"))
    at = start
    negative = text[at : at + 1] == "-"
    if text[at : at + 1] in ("-", "+"):
        at += 1
    if base in (0, 16) and text[at : at + 2].lower() == "0x":
        at += 2
        base = 16
    elif base == 0:
        base = 8 if text[at : at + 1] == "0" else 10
    value, first = 0, at
    while at < len(text):
        digit = _DIGITS.find(text[at].lower())
        if not 0 <= digit < base:
            break
        value = value * base + digit
        at += 1
    if at == first:
        return 0, 0
    return (-value if negative else value), at


def _parse(k: "Kernel", text: str, address: int, end: int, base: int, *, unit: int, bits: int, signed: bool) -> int:
    value, used = parse_integer(text, base)
    if end:
        k.memory.write_u64(end, address + unit * used)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (-(1 << bits) + 1, (1 << bits) - 1)
    return max(low, min(high, value)) & _ALL


@export(KERNEL_AND_USER, "strtol")
def strtol(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, _latin(k, text), text, end, base, unit=1, bits=32, signed=True)


@export(KERNEL_AND_USER, "strtoul")
def strtoul(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, _latin(k, text), text, end, base, unit=1, bits=32, signed=False)


@export(KERNEL_AND_USER, "_strtoui64")
def strtoui64(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, _latin(k, text), text, end, base, unit=1, bits=64, signed=False)


@export(KERNEL_AND_USER, "_strtoi64")
def strtoi64(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, _latin(k, text), text, end, base, unit=1, bits=64, signed=True)


@export(KERNEL_AND_USER, "wcstol")
def wcstol(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, k.memory.read_wide(text), text, end, base, unit=2, bits=32, signed=True)


@export(KERNEL_AND_USER, "wcstoul")
def wcstoul(k: "Kernel", text: int, end: int, base: I32) -> int:
    return _parse(k, k.memory.read_wide(text), text, end, base, unit=2, bits=32, signed=False)


@export(KERNEL_AND_USER, "atoi", "atol")
def atoi(k: "Kernel", text: int) -> int:
    return parse_integer(_latin(k, text), 10)[0] & 0xFFFF_FFFF


@export(KERNEL_AND_USER, "_atoi64")
def atoi64(k: "Kernel", text: int) -> int:
    return parse_integer(_latin(k, text), 10)[0] & _ALL


@export(KERNEL_AND_USER, "_wtoi", "_wtol")
def wtoi(k: "Kernel", text: int) -> int:
    return parse_integer(k.memory.read_wide(text), 10)[0] & 0xFFFF_FFFF


@export(KERNEL_AND_USER, "_wtoi64")
def wtoi64(k: "Kernel", text: int) -> int:
    return parse_integer(k.memory.read_wide(text), 10)[0] & _ALL


def _latin(k: "Kernel", address: int) -> str:
    return k.memory.read_cstring(address).decode("latin-1")


# -- printf


def _store(k: "Kernel", target: int, room: int, text: str, *, wide: bool) -> int:
    """_snprintf: the length, or -1 if it does not fit; a string that fits exactly has no terminator."""
    data = encode(text) if wide else text.encode("latin-1", "replace")
    unit = 2 if wide else 1
    count = len(data) // unit
    if not target:
        return count
    k.memory.write(target, data[: room * unit])
    if count < room:
        k.memory.write(target + len(data), bytes(unit))
    return count if count <= room else _ALL


def _format(k: "Kernel", template: int, arguments: Variadic, *, wide: bool) -> str:
    text = k.memory.read_wide(template) if wide else _latin(k, template)
    return format_text(k.memory, text, arguments, wide=wide)


@export(KERNEL_AND_USER, "_snprintf", variadic=True)
def snprintf(k: "Kernel", target: int, room: int, template: int, arguments: Variadic) -> int:
    return _store(k, target, room, _format(k, template, arguments, wide=False), wide=False)


@export(KERNEL_AND_USER, "_vsnprintf")
def vsnprintf(k: "Kernel", target: int, room: int, template: int, arguments: int) -> int:
    return _store(k, target, room, _format(k, template, va_list(k, arguments), wide=False), wide=False)


@export(KERNEL_AND_USER, "_snwprintf", variadic=True)
def snwprintf(k: "Kernel", target: int, room: int, template: int, arguments: Variadic) -> int:
    return _store(k, target, room, _format(k, template, arguments, wide=True), wide=True)


@export(KERNEL_AND_USER, "_vsnwprintf")
def vsnwprintf(k: "Kernel", target: int, room: int, template: int, arguments: int) -> int:
    return _store(k, target, room, _format(k, template, va_list(k, arguments), wide=True), wide=True)


@export(KERNEL_AND_USER, "sprintf", variadic=True)
def sprintf(k: "Kernel", target: int, template: int, arguments: Variadic) -> int:
    return _store(k, target, 1 << 20, _format(k, template, arguments, wide=False), wide=False)


@export(KERNEL_AND_USER, "vsprintf")
def vsprintf(k: "Kernel", target: int, template: int, arguments: int) -> int:
    return _store(k, target, 1 << 20, _format(k, template, va_list(k, arguments), wide=False), wide=False)


@export(KERNEL_AND_USER, "swprintf", variadic=True)
def swprintf(k: "Kernel", target: int, template: int, arguments: Variadic) -> int:
    return _store(k, target, 1 << 20, _format(k, template, arguments, wide=True), wide=True)


def _store_safely(k: "Kernel", target: int, room: int, text: str, *, wide: bool) -> int:
    data = encode(text) if wide else text.encode("latin-1", "replace")
    unit = 2 if wide else 1
    return _ALL if copy_safely(k, target, room, data, unit) else len(data) // unit


@export(NTOSKRNL, "sprintf_s", variadic=True)
def sprintf_s(k: "Kernel", target: int, room: int, template: int, arguments: Variadic) -> int:
    return _store_safely(k, target, room, _format(k, template, arguments, wide=False), wide=False)


@export(NTOSKRNL, "swprintf_s", variadic=True)
def swprintf_s(k: "Kernel", target: int, room: int, template: int, arguments: Variadic) -> int:
    return _store_safely(k, target, room, _format(k, template, arguments, wide=True), wide=True)


@export(NTOSKRNL, "vsprintf_s")
def vsprintf_s(k: "Kernel", target: int, room: int, template: int, arguments: int) -> int:
    return _store_safely(k, target, room, _format(k, template, va_list(k, arguments), wide=False), wide=False)


@export(NTOSKRNL, "vswprintf_s")
def vswprintf_s(k: "Kernel", target: int, room: int, template: int, arguments: int) -> int:
    return _store_safely(k, target, room, _format(k, template, va_list(k, arguments), wide=True), wide=True)


def _store_limited(k: "Kernel", target: int, room: int, count: int, text: str, *, wide: bool) -> int:
    """At most `count` characters; with _TRUNCATE as many as there is room for, and -1 for what was cut."""
    limit = room - 1 if count == _ALL & (1 << 64) - 1 else count
    length = _store_safely(k, target, room, text[:limit], wide=wide)
    return length if len(text) <= limit else _ALL


@export(NTOSKRNL, "_snprintf_s", variadic=True)
def snprintf_s(k: "Kernel", target: int, room: int, count: int, template: int, arguments: Variadic) -> int:
    return _store_limited(k, target, room, count, _format(k, template, arguments, wide=False), wide=False)


@export(NTOSKRNL, "_snwprintf_s", variadic=True)
def snwprintf_s(k: "Kernel", target: int, room: int, count: int, template: int, arguments: Variadic) -> int:
    return _store_limited(k, target, room, count, _format(k, template, arguments, wide=True), wide=True)


@export(NTOSKRNL, "_vsnprintf_s")
def vsnprintf_s(k: "Kernel", target: int, room: int, count: int, template: int, arguments: int) -> int:
    text = _format(k, template, va_list(k, arguments), wide=False)
    return _store_limited(k, target, room, count, text, wide=False)


@export(NTOSKRNL, "_vsnwprintf_s")
def vsnwprintf_s(k: "Kernel", target: int, room: int, count: int, template: int, arguments: int) -> int:
    text = _format(k, template, va_list(k, arguments), wide=True)
    return _store_limited(k, target, room, count, text, wide=True)


@export(NTOSKRNL, "rand")
def rand(k: "Kernel") -> int:
    return k.random.getrandbits(15)


@export(NTOSKRNL, "srand")
def srand(k: "Kernel", seed: U32) -> int:
    """The generator is the kernel's seeded one."""
    del k, seed
    return 0


@export(KERNEL_AND_USER, "RtlRandomEx", "RtlRandom")
def rtl_random_ex(k: "Kernel", seed: int) -> int:
    value = k.random.getrandbits(31)
    k.memory.write_u32(seed, value)
    return value
