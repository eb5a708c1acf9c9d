"""Counted strings, continued: between code pages and UTF-8, numbers, and the rest."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.rtl.text import allocate_buffer, encode, from_ansi, set_string, to_ansi
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


@export(NTOSKRNL, "RtlAnsiStringToUnicodeSize", "RtlxAnsiStringToUnicodeSize", max_irql=Irql.APC)
def rtl_ansi_string_to_unicode_size(k: "Kernel", source: int) -> int:
    return 2 * UnicodeString(k.memory, source).length + 2


@export(NTOSKRNL, "RtlUnicodeStringToAnsiSize", "RtlxUnicodeStringToAnsiSize", max_irql=Irql.APC)
def rtl_unicode_string_to_ansi_size(k: "Kernel", source: int) -> int:
    return len(to_ansi(k.memory.read_unicode_string(source))) + 1


@export(NTOSKRNL, "RtlUnicodeToMultiByteN", max_irql=Irql.APC)
def rtl_unicode_to_multi_byte_n(k: "Kernel", target: int, maximum: U32, written: int, source: int, size: U32) -> int:
    data = to_ansi(k.memory.read(source, size).decode("utf-16-le", "surrogatepass"))[:maximum]
    if data:
        k.memory.write(target, data)
    if written:
        k.memory.write_u32(written, len(data))
    return 0


@export(NTOSKRNL, "RtlMultiByteToUnicodeN", max_irql=Irql.APC)
def rtl_multi_byte_to_unicode_n(k: "Kernel", target: int, maximum: U32, written: int, source: int, size: U32) -> int:
    data = encode(from_ansi(k.memory.read(source, size)))[:maximum]
    if data:
        k.memory.write(target, data)
    if written:
        k.memory.write_u32(written, len(data))
    return 0


@export(NTOSKRNL, "RtlUnicodeToUTF8N", max_irql=Irql.APC)
def rtl_unicode_to_utf8n(k: "Kernel", target: int, maximum: U32, written: int, source: int, size: U32) -> int:
    data = k.memory.read(source, size).decode("utf-16-le", "replace").encode()
    return _convert(k, target, maximum, written, data)


@export(NTOSKRNL, "RtlUTF8ToUnicodeN", max_irql=Irql.APC)
def rtl_utf8_to_unicode_n(k: "Kernel", target: int, maximum: U32, written: int, source: int, size: U32) -> int:
    return _convert(k, target, maximum, written, encode(k.memory.read(source, size).decode("utf-8", "replace")))


def _convert(k: "Kernel", target: int, maximum: int, written: int, data: bytes) -> int:
    if target:
        k.memory.write(target, data[:maximum])
    if written:
        k.memory.write_u32(written, len(data) if not target else min(len(data), maximum))
    return int(NtStatus.BUFFER_TOO_SMALL) if target and len(data) > maximum else 0


@export(NTOSKRNL, "RtlAnsiCharToUnicodeChar", max_irql=Irql.APC)
def rtl_ansi_char_to_unicode_char(k: "Kernel", pointer: int) -> int:
    """Converts the character at *pointer and moves it on."""
    source = k.memory.read_u64(pointer)
    k.memory.write_u64(pointer, source + 1)
    return ord(from_ansi(k.memory.read(source, 1)))


_DIGITS = "0123456789ABCDEF"


def _number_text(value: int, base: int) -> str | None:
    base = base or 10
    if base not in (2, 8, 10, 16):
        return None
    digits = ""
    while value:
        value, digit = divmod(value, base)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@export(NTOSKRNL, "RtlIntegerToUnicodeString", max_irql=Irql.APC)
def rtl_integer_to_unicode_string(k: "Kernel", value: U32, base: U32, target: int) -> int:
    return _number(k, value, base, target)


@export(NTOSKRNL, "RtlInt64ToUnicodeString", max_irql=Irql.APC)
def rtl_int64_to_unicode_string(k: "Kernel", value: int, base: U32, target: int) -> int:
    return _number(k, value, base, target)


def _number(k: "Kernel", value: int, base: int, target: int) -> int:
    text = _number_text(value, base)
    if text is None:
        return int(NtStatus.INVALID_PARAMETER)
    view = UnicodeString(k.memory, target)
    data = encode(text)
    if len(data) > view.maximum_length:
        return int(NtStatus.BUFFER_OVERFLOW)
    k.memory.write(view.buffer, data)
    view.length = len(data)
    if len(data) + 2 <= view.maximum_length:
        k.memory.write(view.buffer + len(data), b"\0\0")
    return 0


@export(NTOSKRNL, "RtlUnicodeStringToInteger", max_irql=Irql.APC)
def rtl_unicode_string_to_integer(k: "Kernel", source: int, base: U32, result: int) -> int:
    text = k.memory.read_unicode_string(source).lstrip(" \t")
    negative = text.startswith("-")
    text = text.lstrip("+-").upper()
    prefixes = {"0X": 16, "0O": 8, "0B": 2}
    if not base:
        base = prefixes.get(text[:2], 10)
        if text[:2] in prefixes:
            text = text[2:]
    if base not in (2, 8, 10, 16):
        return int(NtStatus.INVALID_PARAMETER)
    value = 0
    for character in text:
        digit = _DIGITS.find(character)
        if digit < 0 or digit >= base:
            break
        value = value * base + digit
    k.memory.write_u32(result, -value if negative else value)
    return 0


def guid_text(raw: bytes) -> str:
    """A GUID in registry form."""
    first = int.from_bytes(raw[0:4], "little")
    second = int.from_bytes(raw[4:6], "little")
    third = int.from_bytes(raw[6:8], "little")
    return f"{{{first:08X}-{second:04X}-{third:04X}-{raw[8:10].hex().upper()}-{raw[10:16].hex().upper()}}}"


@export(NTOSKRNL, "RtlStringFromGUID", max_irql=Irql.APC)
def rtl_string_from_guid(k: "Kernel", guid: int, target: int) -> int:
    data = encode(guid_text(k.memory.read(guid, 16)))
    buffer = allocate_buffer(k, len(data) + 2)
    k.memory.write(buffer, data + b"\0\0")
    set_string(k, target, buffer, len(data), len(data) + 2)
    return 0


@export(NTOSKRNL, "RtlGUIDFromString", max_irql=Irql.APC)
def rtl_guid_from_string(k: "Kernel", source: int, guid: int) -> int:
    text = k.memory.read_unicode_string(source)
    digits = text.strip("{}").replace("-", "")
    if len(text) != 38 or len(digits) != 32 or not all(c in "0123456789abcdefABCDEF" for c in digits):
        return int(NtStatus.INVALID_PARAMETER)
    raw = bytes.fromhex(digits)
    k.memory.write(guid, raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:])
    return 0
