"""The kernel's printf: DbgPrint and the _snprintf family, with Microsoft's additions (%Z, %wZ, %ws, %I64, %S)."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import Variadic

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

_CONVERSION = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?"
    r"(?P<size>I64|I32|I|hh|h|ll|l|w|z|t|j)?(?P<kind>[diouxXpcCsSZeEfgGaAn%])"
)
_WIDE_64 = {"I64", "ll", "I", "z", "t", "j"}


def format_text(memory: "Memory", template: str, arguments: Variadic, *, wide: bool = False) -> str:
    """Expand `template`. `wide` says what %s and %c mean: in the wide functions they take wide strings."""

    def expand(match: re.Match[str]) -> str:
        return _expand(memory, match, arguments.next, wide)

    return _CONVERSION.sub(expand, template)


def _expand(memory: "Memory", match: re.Match[str], take: Callable[[], int], wide: bool) -> str:
    kind, size, flags = match["kind"], match["size"] or "", match["flags"]
    if kind == "%":
        return "%"
    width = _signed(take(), 32) if match["width"] == "*" else int(match["width"] or 0)
    if width < 0:
        flags, width = flags + "-", -width
    precision: int | None = None
    if match["precision"] is not None:
        precision = _signed(take(), 32) if match["precision"] == "*" else int(match["precision"] or 0)
        if precision < 0:
            precision = None
    if kind in "sSZcC":
        text = _text(memory, kind, size, take(), wide, precision)
        return _pad(text, flags.replace("0", ""), width)
    if kind == "p":
        return _pad(f"{take():016X}", flags, width)
    if kind in "eEfgGaAn":
        # Kernel code has no floating point in variable arguments; show the bits rather than guess.
        return _pad(f"0x{take():016X}", flags, width)
    return _integer(kind, flags, width, precision, take(), 64 if size in _WIDE_64 else {"h": 16, "hh": 8}.get(size, 32))


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _text(memory: "Memory", kind: str, size: str, value: int, wide: bool, precision: int | None) -> str:
    is_wide = size in ("l", "w") or (wide and kind in "sc" and size != "h") or (not wide and kind in "SC")
    if kind in "cC":
        return chr(value & 0xFFFF) if is_wide else bytes((value & 0xFF,)).decode("latin-1")
    if not value:
        return "(null)"
    if kind == "Z":
        text = memory.read_unicode_string(value) if size == "w" else _ansi_string(memory, value)
    elif is_wide:
        text = memory.read_wide(value, precision)
    else:
        text = memory.read_cstring(value, precision).decode("latin-1")
    return text if precision is None else text[:precision]


def _ansi_string(memory: "Memory", address: int) -> str:
    length = memory.read_u16(address)
    return memory.read(memory.read_u64(address + 8), length).decode("latin-1")


def _integer(kind: str, flags: str, width: int, precision: int | None, value: int, bits: int) -> str:
    value &= (1 << bits) - 1
    sign = ""
    if kind in "di":
        value = _signed(value, bits)
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        digits = str(abs(value))
    elif kind == "u":
        digits = str(value)
    elif kind == "o":
        digits = ("0" if "#" in flags else "") + format(value, "o")
    else:
        digits = format(value, kind)
        if "#" in flags and value:
            sign = "0" + kind
    if precision is not None:
        digits = digits.rjust(precision, "0")
        flags = flags.replace("0", "")
    if "0" in flags and "-" not in flags:
        digits = digits.rjust(width - len(sign), "0")
    return _pad(sign + digits, flags, width)


def _pad(text: str, flags: str, width: int) -> str:
    if "-" in flags:
        return text.ljust(width)
    return text.rjust(width, "0" if "0" in flags else " ")
