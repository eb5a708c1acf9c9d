"""Handles to registry keys, and the paths that the Rtl helpers take."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.cm.key_watches import KeyChange
from harness.reference.windows.ntos.cm.registry import Key, Registry

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_ROOTS = {
    0: "",
    1: Registry.SERVICES,
    2: r"\REGISTRY\MACHINE\SYSTEM\CurrentControlSet\Control",
    3: r"\REGISTRY\MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion",
}
_RELATIVE_TO_HANDLE = 0x40000000
_OPTIONAL_FLAGS = 0xC0000000


def open_key(k: "Executive", key: Key, *, kernel: bool) -> int:
    """A handle to a registry key."""
    return k.objects.open(k.registry_callbacks.opened(key), kernel=kernel)


def key_of(k: "Executive", handle: int) -> Key | None:
    """The key of a handle; None if it is none."""
    found = k.objects.lookup(handle)
    return found.object.body if found is not None and isinstance(found.object.body, Key) else None


def key_object(k: "Executive", handle: int) -> int:
    """The address of the object of the key that a handle, which is one, leads to."""
    found = k.objects.lookup(handle)
    return found.object.address if found is not None else 0


def key_changed(k: "Executive", key: Key | None, what: KeyChange) -> None:
    """A driver or program has changed a key: who watches it is told, and the guest's registry is to be saved."""
    k.registry.changed = True
    if key is not None:
        k.key_watches.changed(key, what)


def relative_key(k: "Executive", relative_to: int, path: int, *, create: bool) -> Key | None:
    """The key at a path relative to one of RTL_REGISTRY_*; `path` is the guest address of a string, or a handle."""
    if relative_to & _RELATIVE_TO_HANDLE:
        return key_of(k, path)
    root = _ROOTS.get(relative_to & ~_OPTIONAL_FLAGS)
    if root is None:
        return None
    name = k.memory.read_wide(path) if path else ""
    full = f"{root}\\{name}" if root else name
    return k.registry.make(full) if create else k.registry.find(full)
