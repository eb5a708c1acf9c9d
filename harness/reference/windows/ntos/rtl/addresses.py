"""Addresses of networks as text: RtlIpv4AddressToString, RtlIpv6AddressToString and their Ex (ip2string.h)."""

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U16, U32, export
from harness.reference.windows.ntos.rtl.text import encode

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _ipv4(k: "Kernel", address: int) -> str:
    return str(IPv4Address(k.memory.read(address, 4)))


def _ipv6(k: "Kernel", address: int) -> str:
    """As RFC 5952 has it, and addresses of IPv4 in it with dots."""
    found = IPv6Address(k.memory.read(address, 16))
    return f"::ffff:{found.ipv4_mapped}" if found.ipv4_mapped is not None else str(found)


def _port(port: int) -> int:
    """A port is handed over in the byte order of the network."""
    return int.from_bytes(port.to_bytes(2, "little"), "big")


def _ipv4_with(k: "Kernel", address: int, port: int) -> str:
    return _ipv4(k, address) + (f":{_port(port)}" if port else "")


def _ipv6_with(k: "Kernel", address: int, scope: int, port: int) -> str:
    text = _ipv6(k, address) + (f"%{scope}" if scope else "")
    return f"[{text}]:{_port(port)}" if port else text


def _data(text: str, *, wide: bool) -> bytes:
    return encode(f"{text}\0") if wide else f"{text}\0".encode("ascii")


def _put(k: "Kernel", target: int, text: str, *, wide: bool) -> int:
    """Write a text with its NUL; where that is."""
    data = _data(text, wide=wide)
    k.memory.write(target, data)
    return target + len(data) - (2 if wide else 1)


def _put_within(k: "Kernel", target: int, length: int, text: str, *, wide: bool) -> int:
    """Write a text if there is room; `length` holds characters with the NUL: those that fit, and then those needed."""
    if not target or not length:
        return int(NtStatus.INVALID_PARAMETER)
    room = k.memory.read_u32(length)
    k.memory.write_u32(length, len(text) + 1)
    if room <= len(text):
        return int(NtStatus.INVALID_PARAMETER)
    _put(k, target, text, wide=wide)
    return 0


@export(NTOSKRNL, "RtlIpv4AddressToStringA")
def ipv4_to_string(k: "Kernel", address: int, target: int) -> int:
    return _put(k, target, _ipv4(k, address), wide=False)


@export(NTOSKRNL, "RtlIpv4AddressToStringW")
def ipv4_to_wide_string(k: "Kernel", address: int, target: int) -> int:
    return _put(k, target, _ipv4(k, address), wide=True)


@export(NTOSKRNL, "RtlIpv6AddressToStringA")
def ipv6_to_string(k: "Kernel", address: int, target: int) -> int:
    return _put(k, target, _ipv6(k, address), wide=False)


@export(NTOSKRNL, "RtlIpv6AddressToStringW")
def ipv6_to_wide_string(k: "Kernel", address: int, target: int) -> int:
    return _put(k, target, _ipv6(k, address), wide=True)


@export(NTOSKRNL, "RtlIpv4AddressToStringExA")
def ipv4_to_string_ex(k: "Kernel", address: int, port: U16, target: int, length: int) -> int:
    return _put_within(k, target, length, _ipv4_with(k, address, port), wide=False)


@export(NTOSKRNL, "RtlIpv4AddressToStringExW")
def ipv4_to_wide_string_ex(k: "Kernel", address: int, port: U16, target: int, length: int) -> int:
    return _put_within(k, target, length, _ipv4_with(k, address, port), wide=True)


@export(NTOSKRNL, "RtlIpv6AddressToStringExA")
def ipv6_to_string_ex(k: "Kernel", address: int, scope: U32, port: U16, target: int, length: int) -> int:
    return _put_within(k, target, length, _ipv6_with(k, address, scope, port), wide=False)


@export(NTOSKRNL, "RtlIpv6AddressToStringExW")
def ipv6_to_wide_string_ex(k: "Kernel", address: int, scope: U32, port: U16, target: int, length: int) -> int:
    return _put_within(k, target, length, _ipv6_with(k, address, scope, port), wide=True)
