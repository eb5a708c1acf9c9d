r"""The guest's registry: keys and values below HKLM, kept in one JSON file."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.wire.codec import decode, encode
from harness.wire.kernel import RegistryKey, RegistryValue

ROOTS = {"HKLM": "HKEY_LOCAL_MACHINE", "HKEY_LOCAL_MACHINE": "HKEY_LOCAL_MACHINE"}
SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"
TYPES = ("REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD", "REG_BINARY")

Value = str | int | list[str] | bytes


class NoSuchKey(Exception):
    """The key or value is not there."""


class Key:
    """One key: its name as written, its values and its subkeys, both found without case."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, tuple[str, str, Value]] = {}
        self.keys: dict[str, Key] = {}

    def set(self, name: str, kind: str, value: Value) -> None:
        """Set a value."""
        self.values[name.casefold()] = (name, kind, value)

    def get(self, name: str) -> Value:
        """A value; NoSuchKey if it is not there."""
        try:
            return self.values[name.casefold()][2]
        except KeyError:
            raise NoSuchKey(name) from None

    def as_message(self) -> RegistryKey:
        """The key as the reference kernel takes it, and as it is kept."""
        values = tuple(RegistryValue(name, kind, encoded(kind, value)) for name, kind, value in self.values.values())
        return RegistryKey(self.name, values, tuple(key.as_message() for key in self.keys.values()))

    @classmethod
    def from_message(cls, message: RegistryKey) -> "Key":
        """The opposite of `as_message`."""
        key = cls(message.name)
        for value in message.values:
            key.set(value.name, value.type, _decode(value.type, value.data))
        for child in message.keys:
            key.keys[child.name.casefold()] = cls.from_message(child)
        return key


def encoded(kind: str, value: Value) -> bytes:
    """A value as the registry keeps it."""
    if isinstance(value, list):
        return ("".join(f"{item}\0" for item in value) + "\0").encode("utf-16-le")
    if isinstance(value, int):
        return value.to_bytes(8 if kind == "REG_QWORD" else 4, "little")
    return value if isinstance(value, bytes) else (value + "\0").encode("utf-16-le")


def _decode(kind: str, data: bytes) -> Value:
    """A value as reg shows it; drivers may have stored data that does not fit its type."""
    if kind in ("REG_SZ", "REG_EXPAND_SZ"):
        return data.decode("utf-16-le", "replace").rstrip("\0")
    if kind == "REG_MULTI_SZ":
        return [part for part in data.decode("utf-16-le", "replace").split("\0") if part]
    if kind in ("REG_DWORD", "REG_QWORD") and len(data) in (4, 8):
        return int.from_bytes(data, "little")
    return data


class Registry:
    """The whole registry. Every change is on disk before the command that made it ends: that one `save`s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._root = Key("HKEY_LOCAL_MACHINE")
        if path.exists():
            self._root = Key.from_message(decode(RegistryKey, path.read_text(encoding="utf-8")))
        self.version = 0
        """Counts changes."""
        self._saved = 0

    def below_machine(self, path: str) -> str:
        """A path without its root; NoSuchKey for a root that there is not."""
        return "\\".join(self._parts(path))

    def _parts(self, path: str) -> list[str]:
        parts = [part for part in path.replace("/", "\\").strip("\\").split("\\") if part]
        if not parts or parts[0].upper() not in ROOTS:
            raise NoSuchKey(path)
        return parts[1:]

    def key(self, path: str, *, create: bool = False) -> Key:
        r"""The key at a path such as HKLM\SYSTEM\...; NoSuchKey, or made when `create`."""
        with self._lock:
            key = self._root
            for part in self._parts(path):
                child = key.keys.get(part.casefold())
                if child is None:
                    if not create:
                        raise NoSuchKey(path)
                    child = key.keys[part.casefold()] = Key(part)
                key = child
            return key

    def set(self, path: str, name: str, kind: str, value: Value) -> None:
        """Set a value, making its key."""
        with self._lock:
            self.key(path, create=True).set(name, kind, value)
            self.version += 1

    def delete(self, path: str, name: str | None = None) -> None:
        """Delete a value, or without `name` the key with everything below it."""
        with self._lock:
            key = self.key(path)
            if name is not None:
                key.get(name)
                del key.values[name.casefold()]
            else:
                parts = self._parts(path)
                if not parts:
                    raise NoSuchKey(path)
                parent = self.key("\\".join(["HKLM", *parts[:-1]]))
                del parent.keys[parts[-1].casefold()]
            self.version += 1

    def walk(self, path: str) -> Iterator[tuple[str, Key]]:
        """A key and all below it, with their full names."""
        with self._lock:
            key = self.key(path)
            name = "\\".join(["HKEY_LOCAL_MACHINE", *self._parts(path)])
            found = list(_below(name, key))
        yield from found

    def service(self, name: str) -> Key:
        """The key of a service."""
        return self.key(f"{SERVICES}\\{name}")

    def services(self) -> list[str]:
        """The names of all services."""
        with self._lock:
            return [key.name for key in self.key(SERVICES, create=True).keys.values()]

    def as_message(self) -> RegistryKey:
        """All of it, for the reference kernel."""
        with self._lock:
            return self._root.as_message()

    def take(self, message: RegistryKey) -> None:
        """All of it, as drivers have left it."""
        with self._lock:
            self._root = Key.from_message(message)
            self.version += 1

    def save(self) -> None:
        """Put what has changed on disk: to replace a file may take a disk 10 ms, so not for each value."""
        with self._lock:
            if self._saved == self.version:
                return
            scratch = self._path.with_suffix(".new")
            scratch.write_text(encode(self._root.as_message()), encoding="utf-8")
            os.replace(scratch, self._path)  # noqa: PTH105 - pathlib would do the same with one import more
            self._saved = self.version


def _below(name: str, key: Key) -> Iterator[tuple[str, Key]]:
    yield name, key
    for child in key.keys.values():
        yield from _below(f"{name}\\{child.name}", child)
