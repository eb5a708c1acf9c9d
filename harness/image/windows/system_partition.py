"""The EFI system partition of a user's disk, read only as far as it tells for which processor its Windows is."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECTOR = 512
Read = Callable[[int, int], bytes]
"""Reads a part of the partition: offset and length in bytes, multiples of a sector."""

LOADERS = {b"BOOTX64 EFI": "x64", b"BOOTAA64EFI": "ARM64", b"BOOTIA32EFI": "x86", b"BOOTARM EFI": "ARM"}
"""The names in `EFI\\Boot` by which firmware of each architecture starts a disk, as FAT writes them."""

_WAY = (b"EFI        ", b"BOOT       ")
_VOLUME = 0x08
_MOST_CLUSTERS = 256
"""A directory longer than that is damage."""


def architectures(read: Read) -> frozenset[str]:
    """The architectures whose firmware starts a system partition; empty where it does not say."""
    volume = _Volume.of(read)
    if volume is None:
        return frozenset()
    names = volume.root()
    for step in _WAY:
        cluster = names.get(step)
        if not cluster:
            return frozenset()
        names = volume.directory(cluster)
    return frozenset(LOADERS[name] for name in names if name in LOADERS)


@dataclass(frozen=True)
class _Volume:
    """A FAT volume: where its table, its root and its clusters are, in sectors."""

    read: Read
    cluster: int
    table: int
    root_begin: int
    root_sectors: int
    data: int
    bits: int
    root_cluster: int

    @classmethod
    def of(cls, read: Read) -> "_Volume | None":
        boot = read(0, SECTOR)
        size, cluster, reserved, tables, entries, small, _, short = struct.unpack_from("<HBHBHHBH", boot, 11)
        if boot[510:] != b"\x55\xaa" or size != SECTOR or not cluster or cluster & (cluster - 1) or not tables:
            return None
        table_sectors = short or struct.unpack_from("<I", boot, 36)[0]
        root_sectors = (entries * 32 + SECTOR - 1) // SECTOR
        root = reserved + tables * table_sectors
        data = root + root_sectors
        clusters = ((small or struct.unpack_from("<I", boot, 32)[0]) - data) // cluster
        bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
        first = struct.unpack_from("<I", boot, 44)[0] if bits == 32 else 0
        return cls(read, cluster, reserved, root, root_sectors, data, bits, first)

    def root(self) -> dict[bytes, int]:
        """The root's names, with their first clusters."""
        if self.bits == 32:
            return self.directory(self.root_cluster)
        return dict(_entries(self.read(self.root_begin * SECTOR, self.root_sectors * SECTOR)))

    def directory(self, cluster: int) -> dict[bytes, int]:
        """A directory's names, with their first clusters."""
        content = b""
        last = (1 << min(self.bits, 28)) - 9
        for _ in range(_MOST_CLUSTERS):
            if not 2 <= cluster < last:
                break
            begin = self.data + (cluster - 2) * self.cluster
            content += self.read(begin * SECTOR, self.cluster * SECTOR)
            cluster = self._next(cluster)
        return dict(_entries(content))

    def _next(self, cluster: int) -> int:
        at = cluster * self.bits // 8
        sectors = self.read(self.table * SECTOR + at // SECTOR * SECTOR, 2 * SECTOR)
        if self.bits == 32:
            return int(struct.unpack_from("<I", sectors, at % SECTOR)[0]) & 0x0FFFFFFF
        value = int(struct.unpack_from("<H", sectors, at % SECTOR)[0])
        if self.bits == 16:
            return value
        return value >> 4 if cluster % 2 else value & 0xFFF


def _entries(content: bytes) -> Iterator[tuple[bytes, int]]:
    for at in range(0, len(content) - 31, 32):
        name, flags, high, low = struct.unpack_from("<11sB8xH4xH", content, at)
        if name[0] == 0:
            return
        if name[0] != 0xE5 and not flags & _VOLUME:
            yield name, high << 16 | low
