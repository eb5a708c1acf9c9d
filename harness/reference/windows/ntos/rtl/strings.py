"""Counted strings: UNICODE_STRING and ANSI_STRING.

Case is folded character by character, as Windows does; code pages are the Western one (1252).
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import I8, KERNEL_AND_USER, NTOSKRNL, U16, U32, export
from harness.reference.windows.ntos.ex.driver_pool import free
from harness.reference.windows.ntos.rtl.text import (
    allocate_buffer,
    downcase,
    encode,
    from_ansi,
    set_string,
    to_ansi,
    upcase,
)
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_MAXIMUM = 0xFFFE
_SOME_NOT_MAPPED = 0x107


def _ansi_at(k: "Kernel", address: int) -> bytes:
    view = UnicodeString(k.memory, address)
    length = view.length
    return k.memory.read(view.buffer, length) if length else b""


@export(KERNEL_AND_USER, "RtlInitUnicodeString")
def rtl_init_unicode_string(k: "Kernel", target: int, source: int) -> int:
    length = min(len(encode(k.memory.read_wide(source))), _MAXIMUM - 2) if source else 0
    set_string(k, target, source, length, length + 2 if source else 0)
    return 0


@export(KERNEL_AND_USER, "RtlInitUnicodeStringEx")
def rtl_init_unicode_string_ex(k: "Kernel", target: int, source: int) -> int:
    if source and len(encode(k.memory.read_wide(source))) > _MAXIMUM - 2:
        return int(NtStatus.NAME_TOO_LONG)
    return rtl_init_unicode_string(k, target, source)


@export(KERNEL_AND_USER, "RtlInitAnsiString", "RtlInitString", "RtlInitUTF8String")
def rtl_init_ansi_string(k: "Kernel", target: int, source: int) -> int:
    length = min(len(k.memory.read_cstring(source)), _MAXIMUM) if source else 0
    set_string(k, target, source, length, length + 1 if source else 0)
    return 0


@export(KERNEL_AND_USER, "RtlCopyUnicodeString", max_irql=Irql.DISPATCH)
def rtl_copy_unicode_string(k: "Kernel", target: int, source: int) -> int:
    view = UnicodeString(k.memory, target)
    if not source:
        view.length = 0
        return 0
    other = UnicodeString(k.memory, source)
    data = k.memory.read(other.buffer, min(other.length, view.maximum_length)) if other.length else b""
    if data:
        k.memory.write(view.buffer, data)
    view.length = len(data)
    if len(data) + 2 <= view.maximum_length:
        k.memory.write(view.buffer + len(data), b"\0\0")
    return 0


@export(NTOSKRNL, "RtlCopyString")
def rtl_copy_string(k: "Kernel", target: int, source: int) -> int:
    view = UnicodeString(k.memory, target)
    data = _ansi_at(k, source)[: view.maximum_length] if source else b""
    if data:
        k.memory.write(view.buffer, data)
    view.length = len(data)
    return 0


def _append(k: "Kernel", target: int, data: bytes) -> int:
    view = UnicodeString(k.memory, target)
    length, maximum = view.length, view.maximum_length
    if length + len(data) > maximum:
        return int(NtStatus.BUFFER_TOO_SMALL)
    if data:
        k.memory.write(view.buffer + length, data)
        view.length = length + len(data)
        if length + len(data) + 2 <= maximum:
            k.memory.write(view.buffer + length + len(data), b"\0\0")
    return 0


@export(KERNEL_AND_USER, "RtlAppendUnicodeStringToString", max_irql=Irql.DISPATCH)
def rtl_append_unicode_string_to_string(k: "Kernel", target: int, source: int) -> int:
    return _append(k, target, _ansi_at(k, source))


@export(KERNEL_AND_USER, "RtlAppendUnicodeToString", max_irql=Irql.DISPATCH)
def rtl_append_unicode_to_string(k: "Kernel", target: int, source: int) -> int:
    return _append(k, target, encode(k.memory.read_wide(source))) if source else 0


def _compare(first: str, second: str, *, insensitive: bool) -> int:
    if insensitive:
        first, second = upcase(first), upcase(second)
    one, other = encode(first), encode(second)
    for index in range(0, min(len(one), len(other)), 2):
        difference = int.from_bytes(one[index : index + 2], "little") - int.from_bytes(
            other[index : index + 2], "little"
        )
        if difference:
            return difference
    return (len(one) - len(other)) // 2


@export(KERNEL_AND_USER, "RtlCompareUnicodeString", max_irql=Irql.APC)
def rtl_compare_unicode_string(k: "Kernel", first: int, second: int, insensitive: bool) -> int:
    return (
        _compare(k.memory.read_unicode_string(first), k.memory.read_unicode_string(second), insensitive=insensitive)
        & 0xFFFF_FFFF
    )


@export(NTOSKRNL, "RtlCompareUnicodeStrings", max_irql=Irql.APC)
def rtl_compare_unicode_strings(
    k: "Kernel", first: int, first_length: int, second: int, second_length: int, insensitive: bool
) -> int:
    one = k.memory.read(first, 2 * first_length).decode("utf-16-le", "surrogatepass")
    other = k.memory.read(second, 2 * second_length).decode("utf-16-le", "surrogatepass")
    return _compare(one, other, insensitive=insensitive) & 0xFFFF_FFFF


@export(KERNEL_AND_USER, "RtlEqualUnicodeString", max_irql=Irql.APC)
def rtl_equal_unicode_string(k: "Kernel", first: int, second: int, insensitive: bool) -> bool:
    one, other = k.memory.read_unicode_string(first), k.memory.read_unicode_string(second)
    return len(one) == len(other) and (upcase(one) == upcase(other) if insensitive else one == other)


@export(KERNEL_AND_USER, "RtlPrefixUnicodeString", max_irql=Irql.APC)
def rtl_prefix_unicode_string(k: "Kernel", first: int, second: int, insensitive: bool) -> bool:
    one, other = k.memory.read_unicode_string(first), k.memory.read_unicode_string(second)
    return upcase(other).startswith(upcase(one)) if insensitive else other.startswith(one)


@export(NTOSKRNL, "RtlSuffixUnicodeString", max_irql=Irql.APC)
def rtl_suffix_unicode_string(k: "Kernel", first: int, second: int, insensitive: bool) -> bool:
    one, other = k.memory.read_unicode_string(first), k.memory.read_unicode_string(second)
    return upcase(other).endswith(upcase(one)) if insensitive else other.endswith(one)


@export(NTOSKRNL, "RtlEqualString", max_irql=Irql.APC)
def rtl_equal_string(k: "Kernel", first: int, second: int, insensitive: bool) -> bool:
    one, other = from_ansi(_ansi_at(k, first)), from_ansi(_ansi_at(k, second))
    return upcase(one) == upcase(other) if insensitive else one == other


@export(NTOSKRNL, "RtlCompareString", max_irql=Irql.APC)
def rtl_compare_string(k: "Kernel", first: int, second: int, insensitive: bool) -> int:
    one, other = from_ansi(_ansi_at(k, first)), from_ansi(_ansi_at(k, second))
    return _compare(one, other, insensitive=insensitive) & 0xFFFF_FFFF


@export(NTOSKRNL, "RtlPrefixString", max_irql=Irql.APC)
def rtl_prefix_string(k: "Kernel", first: int, second: int, insensitive: bool) -> bool:
    one, other = from_ansi(_ansi_at(k, first)), from_ansi(_ansi_at(k, second))
    return upcase(other).startswith(upcase(one)) if insensitive else other.startswith(one)


@export(NTOSKRNL, "RtlHashUnicodeString", max_irql=Irql.APC)
def rtl_hash_unicode_string(k: "Kernel", source: int, insensitive: bool, algorithm: U32, result: int) -> int:
    """The X65599 hash."""
    if algorithm > 1:
        return int(NtStatus.INVALID_PARAMETER)
    text = k.memory.read_unicode_string(source)
    value = 0
    for character in upcase(text) if insensitive else text:
        value = (value * 65599 + ord(character)) & 0xFFFF_FFFF
    k.memory.write_u32(result, value)
    return 0


@export(KERNEL_AND_USER, "RtlUpcaseUnicodeChar", max_irql=Irql.APC)
def rtl_upcase_unicode_char(k: "Kernel", character: U16) -> int:
    del k
    return ord(upcase(chr(character)))


@export(NTOSKRNL, "RtlDowncaseUnicodeChar", max_irql=Irql.APC)
def rtl_downcase_unicode_char(k: "Kernel", character: U16) -> int:
    del k
    return ord(downcase(chr(character)))


@export(NTOSKRNL, "RtlUpperChar")
def rtl_upper_char(k: "Kernel", character: I8) -> int:
    del k
    return to_ansi(upcase(from_ansi(bytes((character & 0xFF,)))))[0]


def _transform(k: "Kernel", target: int, text: str, *, allocate: bool) -> int:
    data = encode(text)
    view = UnicodeString(k.memory, target)
    if allocate:
        set_string(k, target, allocate_buffer(k, len(data) or 2), len(data), len(data))
    elif len(data) > view.maximum_length:
        return int(NtStatus.BUFFER_OVERFLOW)
    else:
        view.length = len(data)
    if data:
        k.memory.write(view.buffer, data)
    return 0


@export(KERNEL_AND_USER, "RtlUpcaseUnicodeString", max_irql=Irql.APC)
def rtl_upcase_unicode_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _transform(k, target, upcase(k.memory.read_unicode_string(source)), allocate=allocate)


@export(NTOSKRNL, "RtlDowncaseUnicodeString", max_irql=Irql.APC)
def rtl_downcase_unicode_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _transform(k, target, downcase(k.memory.read_unicode_string(source)), allocate=allocate)


@export(NTOSKRNL, "RtlAnsiStringToUnicodeString", "RtlOemStringToUnicodeString", max_irql=Irql.APC)
def rtl_ansi_string_to_unicode_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _terminated(k, target, encode(from_ansi(_ansi_at(k, source))), 2, allocate=allocate)


@export(NTOSKRNL, "RtlUnicodeStringToAnsiString", "RtlUnicodeStringToOemString", max_irql=Irql.APC)
def rtl_unicode_string_to_ansi_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _terminated(k, target, to_ansi(k.memory.read_unicode_string(source)), 1, allocate=allocate)


@export(NTOSKRNL, "RtlUpcaseUnicodeStringToAnsiString", max_irql=Irql.APC)
def rtl_upcase_unicode_string_to_ansi_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    return _terminated(k, target, to_ansi(upcase(k.memory.read_unicode_string(source))), 1, allocate=allocate)


@export(NTOSKRNL, "RtlUnicodeStringToUTF8String", max_irql=Irql.APC)
def rtl_unicode_string_to_utf8_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    """SOME_NOT_MAPPED where half of a surrogate pair has become U+FFFD."""
    raw = _ansi_at(k, source)
    data = raw.decode("utf-16-le", "replace").encode()
    status = _terminated(k, target, data, 1, allocate=allocate)
    return status or _mapped(raw, "utf-16-le")


@export(NTOSKRNL, "RtlUTF8StringToUnicodeString", max_irql=Irql.APC)
def rtl_utf8_string_to_unicode_string(k: "Kernel", target: int, source: int, allocate: bool) -> int:
    """SOME_NOT_MAPPED where bytes that are no UTF-8 have become U+FFFD."""
    raw = _ansi_at(k, source)
    status = _terminated(k, target, encode(raw.decode("utf-8", "replace")), 2, allocate=allocate)
    return status or _mapped(raw, "utf-8")


def _mapped(raw: bytes, code: str) -> int:
    try:
        raw.decode(code)
    except UnicodeDecodeError:
        return _SOME_NOT_MAPPED
    return 0


def _terminated(k: "Kernel", target: int, data: bytes, unit: int, *, allocate: bool) -> int:
    """Store a converted string with its terminator, in a new buffer or the one there is."""
    if len(data) > _MAXIMUM - unit:
        return int(NtStatus.INVALID_PARAMETER_2)
    view = UnicodeString(k.memory, target)
    size = len(data) + unit
    if allocate:
        set_string(k, target, allocate_buffer(k, size), len(data), size)
    elif size > view.maximum_length:
        return int(NtStatus.BUFFER_OVERFLOW)
    else:
        view.length = len(data)
    k.memory.write(view.buffer, data + bytes(unit))
    return 0


_FREE = ("RtlFreeUnicodeString", "RtlFreeAnsiString", "RtlFreeOemString", "RtlFreeUTF8String")


@export(NTOSKRNL, *_FREE, max_irql=Irql.APC)
def rtl_free_string(k: "Kernel", target: int) -> int:
    view = UnicodeString(k.memory, target)
    if view.buffer:
        free(k, view.buffer, None)
        view.clear()
    return 0


@export(NTOSKRNL, "RtlDuplicateUnicodeString", max_irql=Irql.APC)
def rtl_duplicate_unicode_string(k: "Kernel", flags: U32, source: int, target: int) -> int:
    terminate, empty = flags & 1, flags & 2
    data = _ansi_at(k, source) if source else b""
    if not data and not empty:
        set_string(k, target, 0, 0, 0)
        return 0
    size = len(data) + (2 if terminate else 0)
    buffer = allocate_buffer(k, size or 2)
    k.memory.write(buffer, data)
    set_string(k, target, buffer, len(data), size)
    return 0
