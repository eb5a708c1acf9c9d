"""Extended attributes: FILE_FULL_EA_INFORMATION lists, read, merged and answered as NTFS does."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.inode import Inode

_ENTRY = Struct("<IBBH")
NEED_EA = 0x80
_FORBIDDEN = frozenset(b'"*+,/:;<=>?[\\]|') | set(range(32))
_MOST = 0xFFFF
_OF_THE_KERNEL, _PURGED = "$KERNEL.", "$KERNEL.PURGE."
"""Prefixes of what only a request with IRP_MN_KERNEL_CALL sets, and of what goes when the file's data changes."""


@dataclass(frozen=True, slots=True)
class Ea:
    """One extended attribute."""

    name: str
    value: bytes
    flags: int = 0

    def pack(self) -> bytes:
        """FILE_FULL_EA_INFORMATION, the offset of the next one left out."""
        name = self.name.encode("latin-1")
        return _ENTRY.pack(0, self.flags, len(name), len(self.value)) + name + b"\0" + self.value


def _name(raw: bytes) -> str:
    if not raw or not _FORBIDDEN.isdisjoint(raw):
        raise StatusError(NtStatus.INVALID_EA_NAME)
    return raw.decode("latin-1").upper()


def parse(data: bytes) -> tuple[Ea, ...]:
    """Read a list. EA_LIST_INCONSISTENT for what is none, INVALID_EA_NAME for a name that cannot be."""
    found, at = [], 0
    while True:
        if at + _ENTRY.size > len(data):
            raise StatusError(NtStatus.EA_LIST_INCONSISTENT)
        step, flags, name_length, value_length = _ENTRY.unpack_from(data, at)
        begin = at + _ENTRY.size
        end = begin + name_length + 1 + value_length
        if end > len(data) or data[begin + name_length] != 0:
            raise StatusError(NtStatus.EA_LIST_INCONSISTENT)
        if flags & ~NEED_EA:
            raise StatusError(NtStatus.INVALID_EA_NAME)
        value = data[begin + name_length + 1 : end]
        found.append(Ea(_name(data[begin : begin + name_length]), value, flags))
        if not step:
            return tuple(found)
        if step % 4 or at + step < end:
            raise StatusError(NtStatus.EA_LIST_INCONSISTENT)
        at += step


def parse_names(data: bytes) -> tuple[str, ...]:
    """Read FILE_GET_EA_INFORMATION."""
    found, at = [], 0
    while True:
        if at + 5 > len(data):
            raise StatusError(NtStatus.EA_LIST_INCONSISTENT)
        step, length = int.from_bytes(data[at : at + 4], "little"), data[at + 4]
        if at + 5 + length > len(data):
            raise StatusError(NtStatus.EA_LIST_INCONSISTENT)
        found.append(_name(data[at + 5 : at + 5 + length]))
        if not step:
            return tuple(found)
        at += step


def settable(eas: Sequence[Ea], *, kernel_call: bool) -> Sequence[Ea]:
    """What a request may set of a list ("Kernel Extended Attributes").

    The kernel's own come in lists of their own, and from nobody else: another's are ignored without a word.
    """
    kernel = [ea for ea in eas if ea.name.startswith(_OF_THE_KERNEL)]
    if kernel and len(kernel) < len(eas):
        raise StatusError(NtStatus.INTERMIXED_KERNEL_EA_OPERATION)
    return () if kernel and not kernel_call else eas


def data_changed(inode: "Inode") -> None:
    """Data or reparse point of a file have changed: what vouched for them goes."""
    if inode.eas:
        inode.eas = {name: ea for name, ea in inode.eas.items() if not name.startswith(_PURGED)}


def apply(inode: "Inode", eas: Sequence[Ea]) -> None:
    """Merge a list into what a file has: an empty value takes an attribute away."""
    merged = dict(inode.eas)
    for ea in eas:
        if ea.value:
            merged[ea.name] = (ea.flags, ea.value)
        else:
            merged.pop(ea.name, None)
    if _packed_size(merged) > _MOST:
        raise StatusError(NtStatus.EA_TOO_LARGE)
    inode.eas = merged


def of(inode: "Inode") -> list[Ea]:
    """All that a file has."""
    return [Ea(name, value, flags) for name, (flags, value) in inode.eas.items()]


def _packed_size(eas: dict[str, tuple[int, bytes]]) -> int:
    return sum(5 + len(name) + len(value) for name, (_, value) in eas.items())


def size(inode: "Inode") -> int:
    """EaSize: what the attributes take packed, with four bytes for the list; 0 for none."""
    return _packed_size(inode.eas) + 4 if inode.eas else 0


def answer(eas: Sequence[Ea], room: int, *, single: bool) -> tuple[bytes, int]:
    """As many whole entries as fit: (bytes, how many)."""
    out, last, count = bytearray(), 0, 0
    for ea in eas[:1] if single else eas:
        padding = -len(out) % 4
        entry = ea.pack()
        if len(out) + padding + len(entry) > room:
            break
        out += bytes(padding)
        if count:
            out[last : last + 4] = (len(out) - last).to_bytes(4, "little")
        last = len(out)
        out += entry
        count += 1
    return bytes(out), count
