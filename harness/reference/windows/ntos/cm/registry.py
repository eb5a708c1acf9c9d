"""The registry: keys as nested Python objects, filled from what a driver's load supplies.

The wire form of a key is `{name: {"type": "REG_SZ", "value": ...} | {"key": {...}}}`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class ValueType(IntEnum):
    """REG_* types."""

    REG_NONE = 0
    REG_SZ = 1
    REG_EXPAND_SZ = 2
    REG_BINARY = 3
    REG_DWORD = 4
    REG_MULTI_SZ = 7
    REG_QWORD = 11


@dataclass(frozen=True, slots=True)
class Value:
    """A registry value."""

    name: str
    type: ValueType
    data: bytes


@dataclass(slots=True, eq=False)
class Key:
    """A registry key. Names are case-insensitive; their first spelling is kept."""

    name: str
    keys: dict[str, "Key"] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def key(self, name: str) -> "Key | None":
        return self.keys.get(name.lower())

    def make(self, name: str) -> "Key":
        """The subkey, made if it lacks."""
        return self.keys.setdefault(name.lower(), Key(name))

    def value(self, name: str) -> Value | None:
        return self.values.get(name.lower())

    def set(self, name: str, kind: ValueType, data: bytes) -> None:
        self.values[name.lower()] = Value(name, kind, data)


def encode(kind: ValueType, value: object) -> bytes:
    """A Python value as the bytes the registry keeps."""
    if kind in (ValueType.REG_SZ, ValueType.REG_EXPAND_SZ):
        return (str(value) + "\0").encode("utf-16-le")
    if kind is ValueType.REG_MULTI_SZ:
        assert isinstance(value, list | tuple)
        return ("".join(f"{item}\0" for item in value) + "\0").encode("utf-16-le")
    if kind is ValueType.REG_DWORD:
        return int(str(value), 0).to_bytes(4, "little")
    if kind is ValueType.REG_QWORD:
        return int(str(value), 0).to_bytes(8, "little")
    return value if isinstance(value, bytes) else bytes.fromhex(str(value))


class Registry:
    r"""The tree below \REGISTRY."""

    SERVICES = r"\REGISTRY\MACHINE\SYSTEM\CurrentControlSet\Services"

    def __init__(self) -> None:
        self.root = Key("REGISTRY")
        self.changed = False
        """Drivers have changed something since somebody else last set it or looked."""
        self.missed: deque[str] = deque(maxlen=8)
        """What drivers have asked for last that was not there, in words: why many a driver does not load."""
        self.make(self.SERVICES)

    @property
    def machine(self) -> Key:
        r"""\REGISTRY\MACHINE."""
        return self.root.make("MACHINE")

    @staticmethod
    def _parts(path: str) -> list[str]:
        parts = [part for part in path.split("\\") if part]
        if not parts or parts[0].upper() != "REGISTRY":
            return []
        # ControlSet001 is what CurrentControlSet links to; drivers are given the former's path.
        return ["CurrentControlSet" if part.lower() == "controlset001" else part for part in parts[1:]]

    def find(self, path: str) -> Key | None:
        """The key at an absolute path."""
        parts = self._parts(path)
        key: Key | None = self.root if parts or path.strip("\\").upper() == "REGISTRY" else None
        for part in parts:
            if key is None:
                return None
            key = key.key(part)
        return key

    def make(self, path: str) -> Key:
        """The key at an absolute path, made with all above it."""
        key = self.root
        for part in self._parts(path):
            key = key.make(part)
        return key

    @staticmethod
    def is_below(key: Key, above: Key) -> bool:
        """Whether a key is anywhere below another."""
        pending = list(above.keys.values())
        while pending:
            at = pending.pop()
            if at is key:
                return True
            pending += at.keys.values()
        return False

    def parent_of(self, key: Key) -> Key | None:
        """The key that has this one; None for the root, and for one that is gone."""
        pending = [self.root]
        while pending:
            at = pending.pop()
            if at.key(key.name) is key:
                return at
            pending += at.keys.values()
        return None

    def path_of(self, key: Key) -> str:
        r"""The whole name of a key, as the kernel spells it: CurrentControlSet is a link. "" for one that is gone."""
        pending = [(r"\REGISTRY", self.root)]
        while pending:
            path, at = pending.pop()
            if at is key:
                return path
            names = {
                child: "ControlSet001" if child.name == "CurrentControlSet" else child.name
                for child in at.keys.values()
            }
            pending += [(f"{path}\\{name}", child) for child, name in names.items()]
        return ""

    def remove(self, key: Key) -> bool:
        """Delete a key that has no subkeys; False if it has some or is not in the tree."""
        parent = None if key.keys else self.parent_of(key)
        if parent is None:
            return False
        del parent.keys[key.name.lower()]
        return True

    def load(self, path: str, content: Mapping[str, Any]) -> Key:
        """Replace the key at `path` by `content` in wire form."""
        key = self.make(path)
        key.keys.clear()
        key.values.clear()
        _fill(key, content)
        return key


def _fill(key: Key, content: Mapping[str, Any]) -> None:
    for name, item in content.items():
        if "key" in item:
            _fill(key.make(name), item["key"])
        else:
            kind = ValueType[item["type"]]
            key.set(name, kind, encode(kind, item["value"]))
