"""Where on the volume the clusters of files are: what defragmenters, backups and filters ask by FSCTLs.

The bytes are the host's, so there are no sectors to read. But the answers agree with one another: no cluster is two
files', and the bitmap has as many free ones as the volume says it has.
"""

from typing import TYPE_CHECKING

from harness.reference.windows.fs.inode import CLUSTER, SPARSE_UNIT, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.reference.windows.fs.filesystem import FileSystem

_FIRST = 16
"""Boot sector and what goes with it."""
_HOLE = -1
"""LCN of what is not allocated."""
Run = tuple[int, int, int]
"""First VCN, first LCN or -1 for a hole, and how many clusters."""


class ClusterMap:
    """The clusters of one volume. A file gets some when somebody first asks where it is, and keeps them."""

    def __init__(self, files: "FileSystem") -> None:
        self._files = files
        self._next = _FIRST
        self._places: dict[Stream, dict[int, int]] = {}
        """Of each stream, the LCN of every VCN that is allocated."""

    def runs(self, stream: Stream) -> list[Run]:
        """Where a stream is, holes of a sparse one between."""
        places = self._place(stream)
        found: list[Run] = []
        for vcn in range(self._length(stream)):
            lcn = places.get(vcn, _HOLE)
            if found:
                first, at, count = found[-1]
                if lcn == (_HOLE if at == _HOLE else at + count):
                    found[-1] = (first, at, count + 1)
                    continue
            found.append((vcn, lcn, 1))
        return found

    def bitmap(self, start: int) -> bytes:
        """Which clusters from `start`, a multiple of 8, are in use; the last bits of the last byte are zero."""
        total, free = (size // CLUSTER for size in self._files.store.space())
        used = set(range(_FIRST))
        for inode in self._files.store.inodes():
            for stream in inode.streams.values():
                if not stream.directory:
                    used.update(self._place(stream).values())
        elsewhere = max(total - free - len(used), 0)  # files of the host's that nobody has asked for, at the end
        bits = bytearray(-(-total // 8))
        _set(bits, total - elsewhere, total)
        for lcn in used:
            bits[lcn >> 3] |= 1 << (lcn & 7)
        return bytes(bits[start // 8 :])

    def _length(self, stream: Stream) -> int:
        """In clusters, holes included."""
        size = self._files.size(stream) if stream.allocated is not None else self._files.allocation(stream)
        return -(-size // CLUSTER)

    def _allocated(self, stream: Stream) -> "Iterator[int]":
        length, unit = self._length(stream), SPARSE_UNIT // CLUSTER
        if stream.allocated is None:
            yield from range(length)
            return
        for piece in sorted(stream.allocated):
            yield from range(piece * unit, min((piece + 1) * unit, length))

    def _place(self, stream: Stream) -> dict[int, int]:
        before = self._places.get(stream, {})
        wanted = list(self._allocated(stream))
        new = sum(vcn not in before for vcn in wanted)
        if new and self._next + new > self._files.store.space()[0] // CLUSTER:
            self._places.clear()  # all are laid out anew
            self._next, before = _FIRST, {}
        places = self._places[stream] = {}
        for vcn in wanted:
            lcn = before.get(vcn)
            if lcn is None:
                lcn, self._next = self._next, self._next + 1
            places[vcn] = lcn
        return places


def _set(bits: bytearray, begin: int, end: int) -> None:
    """Set a range of bits."""
    while begin < end and begin & 7:
        bits[begin >> 3] |= 1 << (begin & 7)
        begin += 1
    whole = (end - begin) >> 3
    bits[begin >> 3 : (begin >> 3) + whole] = b"\xff" * whole
    for at in range(begin + 8 * whole, end):
        bits[at >> 3] |= 1 << (at & 7)
