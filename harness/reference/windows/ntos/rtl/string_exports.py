"""Counted strings, the rest: OEM code page, single-byte strings, numbers, altitudes, names of DOS."""

import re
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.ntos.rtl.text import allocate_buffer, encode, from_ansi, set_string, to_ansi, upcase
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_OEM = "cp437"
_LONGEST = 0xFFFE
_NAME_OF_DOS = re.compile(rb"[^\x00-\x20\"*+,./:;<=>?\[\\\]|]{1,8}(\.[^\x00-\x20\"*+,./:;<=>?\[\\\]|]{1,3})?")


def _text(k: "Kernel", source: int, size: int) -> str:
    return k.memory.read(source, size).decode("utf-16-le", "surrogatepass")


def _bytes(k: "Kernel", string: int) -> bytes:
    view = UnicodeString(k.memory, string)
    return k.memory.read(view.buffer, view.length)


@export(NTOSKRNL, "RtlInitAnsiStringEx", "RtlInitStringEx", "RtlInitUTF8StringEx")
def rtl_init_ansi_string_ex(k: "Kernel", target: int, source: int) -> int:
    """NAME_TOO_LONG for what no counted string can hold."""
    length = len(k.memory.read_cstring(source)) if source else 0
    if length >= _LONGEST:
        return int(NtStatus.NAME_TOO_LONG)
    set_string(k, target, source, length, length + 1 if source else 0)
    return 0


@export(NTOSKRNL, "RtlCreateUnicodeString", max_irql=Irql.PASSIVE)
def rtl_create_unicode_string(k: "Kernel", target: int, source: int) -> bool:
    """A copy, which RtlFreeUnicodeString gives back."""
    data = encode(k.memory.read_wide(source))
    if len(data) > _LONGEST - 2:
        return False
    buffer = allocate_buffer(k, len(data) + 2)
    k.memory.write(buffer, data + b"\0\0")
    set_string(k, target, buffer, len(data), len(data) + 2)
    return True


@export(NTOSKRNL, "RtlValidateUnicodeString", max_irql=Irql.APC)
def rtl_validate_unicode_string(k: "Kernel", flags: U32, string: int) -> int:
    if flags:
        return int(NtStatus.INVALID_PARAMETER)
    if not string:
        return 0
    view = UnicodeString(k.memory, string)
    bad = view.length & 1 or view.maximum_length & 1 or view.length > view.maximum_length
    return int(NtStatus.INVALID_PARAMETER) if bad or (view.length and not view.buffer) else 0


def _append(k: "Kernel", target: int, data: bytes) -> int:
    view = UnicodeString(k.memory, target)
    if view.length + len(data) > view.maximum_length:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(view.buffer + view.length, data)
    view.length += len(data)
    return 0


@export(NTOSKRNL, "RtlAppendStringToString")
def rtl_append_string_to_string(k: "Kernel", target: int, source: int) -> int:
    return _append(k, target, _bytes(k, source))


@export(NTOSKRNL, "RtlAppendAsciizToString")
def rtl_append_asciiz_to_string(k: "Kernel", target: int, source: int) -> int:
    return _append(k, target, k.memory.read_cstring(source)) if source else 0


@export(NTOSKRNL, "RtlUpperString")
def rtl_upper_string(k: "Kernel", target: int, source: int) -> int:
    """As much as there is room for."""
    view = UnicodeString(k.memory, target)
    data = to_ansi(upcase(from_ansi(_bytes(k, source))))[: view.maximum_length]
    k.memory.write(view.buffer, data)
    view.length = len(data)
    return 0


# -- the OEM code page


@export(NTOSKRNL, "RtlOemStringToUnicodeSize", "RtlxOemStringToUnicodeSize", max_irql=Irql.PASSIVE)
def rtl_oem_string_to_unicode_size(k: "Kernel", source: int) -> int:
    return 2 * UnicodeString(k.memory, source).length + 2


@export(NTOSKRNL, "RtlUnicodeStringToOemSize", "RtlxUnicodeStringToOemSize", max_irql=Irql.PASSIVE)
def rtl_unicode_string_to_oem_size(k: "Kernel", source: int) -> int:
    return UnicodeString(k.memory, source).length // 2 + 1


@export(NTOSKRNL, "RtlUnicodeToMultiByteSize", max_irql=Irql.PASSIVE)
def rtl_unicode_to_multi_byte_size(k: "Kernel", size_pointer: int, source: int, size: U32) -> int:
    k.memory.write_u32(size_pointer, len(to_ansi(_text(k, source, size))))
    return 0


@export(NTOSKRNL, "RtlMultiByteToUnicodeSize", max_irql=Irql.PASSIVE)
def rtl_multi_byte_to_unicode_size(k: "Kernel", size_pointer: int, source: int, size: U32) -> int:
    k.memory.write_u32(size_pointer, 2 * len(k.memory.read(source, size)))
    return 0


def _store(k: "Kernel", data: bytes, target: int, room: int, written: int) -> int:
    k.memory.write(target, data[:room])
    if written:
        k.memory.write_u32(written, min(len(data), room))
    return 0 if len(data) <= room else int(NtStatus.BUFFER_OVERFLOW)


@export(NTOSKRNL, "RtlUnicodeToOemN", max_irql=Irql.PASSIVE)
def rtl_unicode_to_oem_n(k: "Kernel", target: int, room: U32, written: int, source: int, size: U32) -> int:
    return _store(k, _text(k, source, size).encode(_OEM, "replace"), target, room, written)


@export(NTOSKRNL, "RtlUpcaseUnicodeToOemN", max_irql=Irql.PASSIVE)
def rtl_upcase_unicode_to_oem_n(k: "Kernel", target: int, room: U32, written: int, source: int, size: U32) -> int:
    return _store(k, upcase(_text(k, source, size)).encode(_OEM, "replace"), target, room, written)


@export(NTOSKRNL, "RtlUpcaseUnicodeToMultiByteN", max_irql=Irql.PASSIVE)
def rtl_upcase_unicode_to_multi_byte_n(
    k: "Kernel", target: int, room: U32, written: int, source: int, size: U32
) -> int:
    return _store(k, to_ansi(upcase(_text(k, source, size))), target, room, written)


@export(NTOSKRNL, "RtlOemToUnicodeN", max_irql=Irql.PASSIVE)
def rtl_oem_to_unicode_n(k: "Kernel", target: int, room: U32, written: int, source: int, size: U32) -> int:
    return _store(k, encode(k.memory.read(source, size).decode(_OEM)), target, room & ~1, written)


def _counted(k: "Kernel", target: int, data: bytes, allocate: bool) -> int:
    """A string without a NUL behind it."""
    if allocate:
        buffer = allocate_buffer(k, max(len(data), 1))
        set_string(k, target, buffer, len(data), len(data))
    elif UnicodeString(k.memory, target).maximum_length < len(data):
        return int(NtStatus.BUFFER_OVERFLOW)
    view = UnicodeString(k.memory, target)
    k.memory.write(view.buffer, data)
    view.length = len(data)
    return 0


@export(NTOSKRNL, "RtlOemStringToCountedUnicodeString", max_irql=Irql.PASSIVE)
def rtl_oem_string_to_counted_unicode_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _counted(k, target, encode(_bytes(k, source).decode(_OEM)), allocate)


@export(NTOSKRNL, "RtlUnicodeStringToCountedOemString", max_irql=Irql.PASSIVE)
def rtl_unicode_string_to_counted_oem_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _counted(k, target, k.memory.read_unicode_string(source).encode(_OEM, "replace"), allocate)


@export(NTOSKRNL, "RtlUpcaseUnicodeStringToCountedOemString", max_irql=Irql.PASSIVE)
def rtl_upcase_unicode_string_to_counted_oem_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _counted(k, target, upcase(k.memory.read_unicode_string(source)).encode(_OEM, "replace"), allocate)


@export(NTOSKRNL, "RtlUpcaseUnicodeStringToOemString", max_irql=Irql.PASSIVE)
def rtl_upcase_unicode_string_to_oem_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    data = upcase(k.memory.read_unicode_string(source)).encode(_OEM, "replace") + b"\0"
    status = _counted(k, target, data, allocate)
    if not status:
        UnicodeString(k.memory, target).length -= 1
    return status


@export(NTOSKRNL, "RtlIsValidOemCharacter", max_irql=Irql.PASSIVE)
def rtl_is_valid_oem_character(k: "Kernel", character: int) -> bool:
    """The character becomes upper case, or an underscore if the code page lacks it."""
    text = upcase(chr(k.memory.read_u16(character)))
    valid = text.encode(_OEM, "replace").decode(_OEM) == text
    k.memory.write_u16(character, ord(text) if valid else ord("_"))
    return valid


@export(NTOSKRNL, "RtlIsNameLegalDOS8Dot3", max_irql=Irql.PASSIVE)
def rtl_is_name_legal_dos_8_dot_3(k: "Kernel", name: int, oem: int, spaces: int) -> bool:
    """With room for it the name in the OEM code page; and whether there are spaces in it."""
    text = k.memory.read_unicode_string(name)
    data = upcase(text).encode(_OEM, "replace")
    has_spaces = b" " in data
    legal = text in (".", "..") or bool(_NAME_OF_DOS.fullmatch(data.replace(b" ", b"_")))
    if legal and oem:
        view = UnicodeString(k.memory, oem)
        if view.maximum_length < len(data):
            return False
        k.memory.write(view.buffer, data)
        view.length = len(data)
    if legal and spaces:
        k.memory.write_u8(spaces, has_spaces)
    return legal


# -- numbers and altitudes


def _number(text: str, base: int) -> tuple[int, int] | None:
    """(value, characters used) of what stands at the beginning of a text; None for a base that there is not."""
    match = re.match(r"[\x00-\x20]*([+-]?)", text)
    assert match is not None
    at, sign = match.end(), match.group(1)
    if not base:
        base = {"0x": 16, "0o": 8, "0b": 2}.get(text[at : at + 2].lower(), 10)
        at += 2 if base != 10 else 0
    if base not in (2, 8, 10, 16):
        return None
    value = 0
    while at < len(text) and text[at].isascii() and text[at].isalnum() and int(text[at], 36) < base:
        value, at = value * base + int(text[at], base), at + 1
    return -value if sign == "-" else value, at


@export(NTOSKRNL, "RtlCharToInteger", max_irql=Irql.PASSIVE)
def rtl_char_to_integer(k: "Kernel", source: int, base: U32, value: int) -> int:
    found = _number(from_ansi(k.memory.read_cstring(source)), base)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u32(value, found[0] & 0xFFFF_FFFF)
    return 0


@export(NTOSKRNL, "RtlIntegerToChar", max_irql=Irql.PASSIVE)
def rtl_integer_to_char(k: "Kernel", value: U32, base: U32, room: U32, target: int) -> int:
    """With a NUL behind it, if there is room for one."""
    formats = {0: "d", 2: "b", 8: "o", 10: "d", 16: "X"}
    if base not in formats:
        return int(NtStatus.INVALID_PARAMETER)
    data = format(value, formats[base]).encode("ascii")
    if len(data) > room:
        return int(NtStatus.BUFFER_OVERFLOW)
    k.memory.write(target, data + b"\0" if len(data) < room else data)
    return 0


@export(NTOSKRNL, "RtlUnicodeStringToInt64", max_irql=Irql.PASSIVE)
def rtl_unicode_string_to_int64(k: "Kernel", string: int, base: U32, value: int, end: int) -> int:
    found = _number(k.memory.read_unicode_string(string), base)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u64(value, found[0] & (1 << 64) - 1)
    if end:
        k.memory.write_u64(end, UnicodeString(k.memory, string).buffer + 2 * found[1])
    return 0


@export(NTOSKRNL, "RtlCompareAltitudes", max_irql=Irql.PASSIVE)
def rtl_compare_altitudes(k: "Kernel", first: int, second: int) -> int:
    """Less than, equal to or greater than 0, as decimal numbers of any length."""
    keys = []
    for string in (first, second):
        whole, _, fraction = k.memory.read_unicode_string(string).partition(".")
        keys.append((int(whole or "0"), fraction.rstrip("0")))
    return ((keys[0] > keys[1]) - (keys[0] < keys[1])) & 0xFFFF_FFFF
