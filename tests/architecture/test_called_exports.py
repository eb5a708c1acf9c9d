"""Every export is called from machine code by some driver or program of the tests.

For a new export, write a call of it, and what it must answer, into a driver under tests/reference
(core/test_last_exports.py is one).
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from harness.reference.machine.loader.exports import CNG, FLTMGR, HAL, KSECDD, NTOSKRNL, all_exports
from harness.reference.windows.export_rooms import load_exports

ROOT = Path(__file__).parents[2]
MODULES = frozenset(module.lower() for module in (NTOSKRNL, HAL, FLTMGR, KSECDD, CNG))
_CALL = re.compile(r"\b([A-Za-z_]\w*)(##\w+)?\s*\(")
_SUFFIXES = ("", "Avl", "Ex")
"""What the tests' own macros put behind a name."""
MACROS = {
    "FsRtlFastLock": "FsRtlPrivateLock", "FsRtlLookupPerStreamContext": "FsRtlLookupPerStreamContextInternal",
    "InitializeSListHead": "RtlInitializeSListHead", "IoAcquireRemoveLock": "IoAcquireRemoveLockEx",
    "IoCompleteRequest": "IofCompleteRequest", "IoCallDriver": "IofCallDriver",
    "IoInitializeRemoveLock": "IoInitializeRemoveLockEx", "IoReleaseRemoveLock": "IoReleaseRemoveLockEx",
    "IoReleaseRemoveLockAndWait": "IoReleaseRemoveLockAndWaitEx", "KeAcquireSpinLock": "KeAcquireSpinLockRaiseToDpc",
    "KeRaiseIrql": "KfRaiseIrql", "KeLowerIrql": "KeLowerIrql", "RtlCopyMemory": "memcpy", "RtlMoveMemory": "memmove",
    "RtlZeroMemory": "memset", "RtlFillMemory": "memset", "ObDereferenceObject": "ObfDereferenceObject",
    "ObReferenceObject": "ObfReferenceObject", "InterlockedPushEntrySList": "ExpInterlockedPushEntrySList",
}  # fmt: skip
"""What the kit's macros and inline functions call."""


def _texts() -> Iterator[str]:
    for pattern in ("tests/**/*.c", "tests/**/*.py", "docs/examples/**/*.c", "drivers/**/*.c", "drivers/**/*.h"):
        for file in ROOT.glob(pattern):
            if "include" not in file.parts and "build" not in file.parts:
                yield file.read_text(encoding="utf-8", errors="replace")


@cache
def _called() -> frozenset[str]:
    """Names that C sources call, whether they are exports or not."""
    names: set[str] = set()
    for text in _texts():
        for name, pasted in _CALL.findall(text):
            names.update(name + suffix for suffix in (_SUFFIXES if pasted else ("",)))
    return frozenset(names | {MACROS[name] for name in names if name in MACROS})


def _without_calls() -> list[str]:
    """The first name of each exported function that is called by none of its names."""
    load_exports()
    names: dict[object, set[str]] = {}
    for export in all_exports():
        if export.module in MODULES:
            names.setdefault(export.function, set()).add(export.name)
    return sorted(min(of) for of in names.values() if not of & _called())


def test_every_export_is_called_from_machine_code() -> None:
    assert _without_calls() == [], "call them from a driver under tests/reference"
