"""Addresses of networks from text: RtlIpv4StringToAddress, RtlIpv6StringToAddress and their Ex (ip2string.h)."""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_NUMBER = r"(?:0[xX][0-9A-Fa-f]+|[0-9]+)"
_IPV4 = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,3}}")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_IPV6_EX = re.compile(r"(\[)?([0-9A-Fa-f:.]{2,45})(?:%([0-9]{1,10}))?(?(1)\](?::([0-9]{1,5}))?)")
_PORT = re.compile(r":([0-9]{1,5})")
_LONGEST = 80
_Found = tuple[bytes, int]
"""An address, and the length of its text."""


def _number(text: str) -> int:
    """In hexadecimal, octal or decimal; -1 for an octal one that is none."""
    try:
        return int(text, 16 if text[:2].lower() == "0x" else 8 if text[0] == "0" else 10)
    except ValueError:
        return -1


def _ipv4(text: str, *, strict: bool) -> _Found | None:
    """Four parts with dots between them; without `strict` fewer, of which the last has the bytes that lack."""
    match = _IPV4.match(text)
    parts = [_number(part) for part in match.group().split(".")] if match else []
    if match is None or (strict and len(parts) < 4) or any(not 0 <= part <= 255 for part in parts[:-1]):
        return None
    size = 5 - len(parts)
    if not 0 <= parts[-1] < 1 << 8 * size:
        return None
    return bytes(parts[:-1]) + parts[-1].to_bytes(size, "big"), match.end()


def _ipv6(text: str) -> _Found | None:
    """The longest beginning that is one."""
    match = _IPV6.match(text)
    for end in range(match.end() if match else 0, 1, -1):
        try:
            return IPv6Address(text[:end]).packed, end
        except ValueError:
            continue
    return None


def _text(k: "Kernel", at: int, *, wide: bool) -> str:
    return k.memory.read_wide(at) if wide else k.memory.read_cstring(at).decode("latin-1")


def _parse(
    k: "Kernel", at: int, terminator: int, address: int, found: Callable[[str], _Found | None], *, wide: bool
) -> int:
    """Store the address, and where its text ends."""
    got = found(_text(k, at, wide=wide)[:_LONGEST])
    if got is None:
        k.memory.write_u64(terminator, at)
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u64(terminator, at + got[1] * (2 if wide else 1))
    k.memory.write(address, got[0])
    return 0


def _store_port(k: "Kernel", at: int, port: str | None) -> bool:
    """In the byte order of the network; 0 where the text has none."""
    number = int(port or 0)
    if number <= 0xFFFF:
        k.memory.write(at, number.to_bytes(2, "big"))
    return number <= 0xFFFF


def _ipv4_whole(k: "Kernel", text: str, strict: int, address: int, port: int) -> int:
    got = _ipv4(text[:_LONGEST], strict=bool(strict))
    rest = text[got[1] :] if got is not None else ""
    match = _PORT.fullmatch(rest)
    if got is None or (rest and match is None) or not _store_port(k, port, match.group(1) if match else None):
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(address, got[0])
    return 0


def _ipv6_whole(k: "Kernel", text: str, address: int, scope: int, port: int) -> int:
    match = _IPV6_EX.fullmatch(text[:_LONGEST])
    got = _ipv6(match.group(2)) if match else None
    if match is None or got is None or got[1] != len(match.group(2)) or int(match.group(3) or 0) > 0xFFFF_FFFF:
        return int(NtStatus.INVALID_PARAMETER)
    if not _store_port(k, port, match.group(4)):
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u32(scope, int(match.group(3) or 0))
    k.memory.write(address, got[0])
    return 0


@export(NTOSKRNL, "RtlIpv4StringToAddressA")
def ipv4_of_string(k: "Kernel", text: int, strict: U8, terminator: int, address: int) -> int:
    return _parse(k, text, terminator, address, lambda found: _ipv4(found, strict=bool(strict)), wide=False)


@export(NTOSKRNL, "RtlIpv4StringToAddressW")
def ipv4_of_wide_string(k: "Kernel", text: int, strict: U8, terminator: int, address: int) -> int:
    return _parse(k, text, terminator, address, lambda found: _ipv4(found, strict=bool(strict)), wide=True)


@export(NTOSKRNL, "RtlIpv6StringToAddressA")
def ipv6_of_string(k: "Kernel", text: int, terminator: int, address: int) -> int:
    return _parse(k, text, terminator, address, _ipv6, wide=False)


@export(NTOSKRNL, "RtlIpv6StringToAddressW")
def ipv6_of_wide_string(k: "Kernel", text: int, terminator: int, address: int) -> int:
    return _parse(k, text, terminator, address, _ipv6, wide=True)


@export(NTOSKRNL, "RtlIpv4StringToAddressExA")
def ipv4_of_string_ex(k: "Kernel", text: int, strict: U8, address: int, port: int) -> int:
    return _ipv4_whole(k, _text(k, text, wide=False), strict, address, port)


@export(NTOSKRNL, "RtlIpv4StringToAddressExW")
def ipv4_of_wide_string_ex(k: "Kernel", text: int, strict: U8, address: int, port: int) -> int:
    return _ipv4_whole(k, _text(k, text, wide=True), strict, address, port)


@export(NTOSKRNL, "RtlIpv6StringToAddressExA")
def ipv6_of_string_ex(k: "Kernel", text: int, address: int, scope: int, port: int) -> int:
    return _ipv6_whole(k, _text(k, text, wide=False), address, scope, port)


@export(NTOSKRNL, "RtlIpv6StringToAddressExW")
def ipv6_of_wide_string_ex(k: "Kernel", text: int, address: int, scope: int, port: int) -> int:
    return _ipv6_whole(k, _text(k, text, wide=True), address, scope, port)
