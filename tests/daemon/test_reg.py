"""reg: while a driver has registered to be told of changes, the kernel makes them, and the driver may refuse."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.nt import NtStatus
from harness.reference.guestd.commands.reg import DONE, REFUSED, reg
from harness.reference.guestd.commands.table import Invocation
from harness.reference.guestd.guest_registry import NoSuchKey, Registry
from harness.reference.guestd.kernel_process import KernelRefused
from harness.wire.kernel import Refused
from harness.wire.registry_edits import EditRegistry

KEY = r"HKLM\SOFTWARE\ours"


class Guest:
    """A registry, and a kernel that makes the changes itself, refuses them, or is not asked."""

    def __init__(self, folder: Path, *, watched: bool = True, refuses: bool = False) -> None:
        self.registry = Registry(folder / "registry.json")
        self.edits: list[EditRegistry] = []
        self._watched, self._refuses = watched, refuses

    def edit_registry(self, edit: EditRegistry) -> bool:
        if self._watched:
            self.edits.append(edit)
        if self._refuses:
            raise KernelRefused(Refused(int(NtStatus.ACCESS_DENIED)))
        return self._watched


def run(guest: Guest, *words: str) -> tuple[int, str]:
    """Exit code and what is printed."""
    printed: list[str] = []
    command = SimpleNamespace(out=printed.append, err=printed.append)
    code = reg(Invocation(("reg", *words), "", cast("Any", guest), cast("Any", command)))
    return code, "".join(printed).strip()


def test_a_change_that_nobody_watches_is_made_at_once(tmp_path: Path) -> None:
    guest = Guest(tmp_path, watched=False)

    assert run(guest, "add", KEY, "/v", "word", "/d", "text") == (0, DONE)
    assert guest.registry.key(KEY).get("word") == "text"
    assert run(guest, "delete", KEY, "/v", "word", "/f") == (0, DONE)
    assert run(guest, "delete", KEY, "/f") == (0, DONE)
    with pytest.raises(NoSuchKey):
        guest.registry.key(KEY)


def test_a_change_that_a_driver_watches_is_the_kernel_s_to_make(tmp_path: Path) -> None:
    guest = Guest(tmp_path)
    guest.registry.set(KEY, "old", "REG_SZ", "x")

    assert run(guest, "add", KEY, "/v", "number", "/t", "REG_DWORD", "/d", "7") == (0, DONE)
    assert run(guest, "add", KEY + r"\below") == (0, DONE)
    assert run(guest, "delete", KEY, "/v", "old", "/f") == (0, DONE)
    assert guest.edits == [
        EditRegistry(r"SOFTWARE\ours", "number", "REG_DWORD", (7).to_bytes(4, "little")),
        EditRegistry(r"SOFTWARE\ours\below"),
        EditRegistry(r"SOFTWARE\ours", "old", delete=True),
    ]
    assert list(guest.registry.key(KEY).values) == ["old"], "the kernel's registry is taken over afterwards"


def test_what_a_driver_refuses_is_denied(tmp_path: Path) -> None:
    assert run(Guest(tmp_path, refuses=True), "add", KEY, "/v", "word", "/d", "text") == (1, REFUSED)
