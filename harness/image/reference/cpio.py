"""Archives that the Linux kernel unpacks into its initramfs: cpio in the format "newc", the same bytes every time.

See Documentation/driver-api/early-userspace/buffer-format.rst of Linux; archives may be put one after the other.
"""

import stat
from dataclasses import dataclass, field

_DIRECTORY = stat.S_IFDIR | 0o755
_TRAILER = "TRAILER!!!"


@dataclass
class Archive:
    """An archive in the making. A file's directories are added before it."""

    _entries: list[tuple[str, int, bytes]] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def directory(self, name: str) -> None:
        """Add a directory, and those above it."""
        parent, _, _ = name.rpartition("/")
        if parent:
            self.directory(parent)
        self._add(name, _DIRECTORY, b"")

    def file(self, name: str, content: bytes, permissions: int = 0o644) -> None:
        """Add a regular file."""
        parent, _, _ = name.rpartition("/")
        if parent:
            self.directory(parent)
        self._add(name, stat.S_IFREG | permissions, content)

    def to_bytes(self) -> bytes:
        """Return the archive, padded to 4 bytes so that another may follow."""
        parts = [_record(number, *entry) for number, entry in enumerate(self._entries, 1)]
        return b"".join([*parts, _record(0, _TRAILER, 0, b"")])

    def _add(self, name: str, mode: int, content: bytes) -> None:
        if name not in self._names:
            self._names.add(name)
            self._entries.append((name, mode, content))


def _record(inode: int, name: str, mode: int, content: bytes) -> bytes:
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(raw), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + raw) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
