"""Who is told of changes of registry keys: notify blocks, which handles have from their first NtNotifyChangeKey on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag

from harness.nt import NtStatus
from harness.reference.windows.ntos.cm.registry import Key, Registry

Told = Callable[[int], None]
"""Ends a request: with NOTIFY_ENUM_DIR after a change, with NOTIFY_CLEANUP when its handle is closed."""


class KeyChange(IntFlag):
    """REG_NOTIFY_CHANGE_*."""

    NAME = 0x1
    ATTRIBUTES = 0x2
    LAST_SET = 0x4
    SECURITY = 0x8


@dataclass(slots=True)
class KeyWatch:
    """The notify block of a handle: it keeps what the first request asked for."""

    key: Key
    what: KeyChange
    tree: bool
    waiting: list[Told] = field(default_factory=list)
    missed: bool = False
    """Something has changed while no request waited: the next one ends at once."""


class KeyWatches:
    """The notify blocks of one kernel, by handle."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_handle: dict[int, KeyWatch] = {}

    def wait(self, handle: int, key: Key, what: KeyChange, told: Told, *, tree: bool) -> None:
        """A request waits for the next change, which may have come already."""
        watch = self._by_handle.setdefault(handle, KeyWatch(key, what, tree))
        if watch.missed:
            watch.missed = False
            told(int(NtStatus.NOTIFY_ENUM_DIR))
        else:
            watch.waiting.append(told)

    def changed(self, key: Key, what: KeyChange) -> None:
        """A key has other values, or other keys directly below it."""
        for watch in list(self._by_handle.values()):
            if watch.what & what and (watch.key is key or (watch.tree and self._registry.is_below(key, watch.key))):
                watch.missed = not watch.waiting
                self._end(watch, NtStatus.NOTIFY_ENUM_DIR)

    def closed(self, handle: int) -> None:
        """A handle is closed."""
        watch = self._by_handle.pop(handle, None)
        if watch is not None:
            self._end(watch, NtStatus.NOTIFY_CLEANUP)

    @staticmethod
    def _end(watch: KeyWatch, status: NtStatus) -> None:
        waiting, watch.waiting = watch.waiting, []
        for told in waiting:
            told(int(status))
