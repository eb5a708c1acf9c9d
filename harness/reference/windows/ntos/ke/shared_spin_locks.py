"""EX_SPIN_LOCK: spin locks for readers and writers. The lock is the word in guest memory and nothing else."""

from typing import TYPE_CHECKING, NoReturn

from harness.nt import BugCheck, Irql
from harness.reference.machine.loader.exports import NTOSKRNL, U8, export
from harness.reference.machine.scheduler.requests import KernelCode, Spin

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_EXCLUSIVE = 0x8000_0000


def _free(k: "Kernel", lock: int, *, exclusive: bool) -> bool:
    value = k.memory.read_u32(lock)
    return value == 0 if exclusive else not value & _EXCLUSIVE


def _take(k: "Kernel", lock: int, *, exclusive: bool) -> None:
    k.memory.write_u32(lock, _EXCLUSIVE if exclusive else k.memory.read_u32(lock) + 1)


def _acquire(k: "Kernel", lock: int, answer: int, *, exclusive: bool) -> int | KernelCode:
    if _free(k, lock, exclusive=exclusive):
        _take(k, lock, exclusive=exclusive)
        return answer
    return _spin(k, lock, answer, exclusive=exclusive)


def _spin(k: "Kernel", lock: int, answer: int, *, exclusive: bool) -> KernelCode:
    how = "exclusive" if exclusive else "shared"
    while not _free(k, lock, exclusive=exclusive):
        yield Spin(
            lambda: _free(k, lock, exclusive=exclusive),
            lambda: f"the spin lock at {lock:#x} ({how}; its word is {k.memory.read_u32(lock):#x})",
        )
    _take(k, lock, exclusive=exclusive)
    return answer


def _not_owned(k: "Kernel", lock: int, how: str) -> NoReturn:
    k.bugcheck(
        BugCheck.SPIN_LOCK_NOT_OWNED, lock,
        message=f"the spin lock at {lock:#x} is released {how}, and was not acquired so",
    )  # fmt: skip


def _release(k: "Kernel", lock: int, *, exclusive: bool) -> int:
    value = k.memory.read_u32(lock)
    if exclusive:
        if value != _EXCLUSIVE:
            _not_owned(k, lock, "exclusive")
        k.memory.write_u32(lock, 0)
        return 0
    if not value & ~_EXCLUSIVE or value & _EXCLUSIVE:
        _not_owned(k, lock, "shared")
    k.memory.write_u32(lock, value - 1)
    return 0


def _at_dpc_level(k: "Kernel", function: str) -> None:
    if k.irql < Irql.DISPATCH:
        k.verifier.report(
            None, k.blame.current().driver, f"{function} was called at IRQL {k.irql}: it does not raise it"
        )


@export(NTOSKRNL, "ExAcquireSpinLockShared", max_irql=Irql.DISPATCH)
def ex_acquire_spin_lock_shared(k: "Kernel", lock: int) -> int | KernelCode:
    return _acquire(k, lock, k.raise_irql(Irql.DISPATCH), exclusive=False)


@export(NTOSKRNL, "ExAcquireSpinLockExclusive", max_irql=Irql.DISPATCH)
def ex_acquire_spin_lock_exclusive(k: "Kernel", lock: int) -> int | KernelCode:
    return _acquire(k, lock, k.raise_irql(Irql.DISPATCH), exclusive=True)


@export(NTOSKRNL, "ExAcquireSpinLockSharedAtDpcLevel")
def ex_acquire_spin_lock_shared_at_dpc_level(k: "Kernel", lock: int) -> int | KernelCode:
    _at_dpc_level(k, "ExAcquireSpinLockSharedAtDpcLevel")
    return _acquire(k, lock, 0, exclusive=False)


@export(NTOSKRNL, "ExAcquireSpinLockExclusiveAtDpcLevel")
def ex_acquire_spin_lock_exclusive_at_dpc_level(k: "Kernel", lock: int) -> int | KernelCode:
    _at_dpc_level(k, "ExAcquireSpinLockExclusiveAtDpcLevel")
    return _acquire(k, lock, 0, exclusive=True)


@export(NTOSKRNL, "ExTryAcquireSpinLockSharedAtDpcLevel")
def ex_try_acquire_spin_lock_shared_at_dpc_level(k: "Kernel", lock: int) -> bool:
    _at_dpc_level(k, "ExTryAcquireSpinLockSharedAtDpcLevel")
    free = _free(k, lock, exclusive=False)
    if free:
        _take(k, lock, exclusive=False)
    return free


@export(NTOSKRNL, "ExTryAcquireSpinLockExclusiveAtDpcLevel")
def ex_try_acquire_spin_lock_exclusive_at_dpc_level(k: "Kernel", lock: int) -> bool:
    _at_dpc_level(k, "ExTryAcquireSpinLockExclusiveAtDpcLevel")
    free = _free(k, lock, exclusive=True)
    if free:
        _take(k, lock, exclusive=True)
    return free


@export(NTOSKRNL, "ExTryConvertSharedSpinLockExclusive")
def ex_try_convert_shared_spin_lock_exclusive(k: "Kernel", lock: int) -> bool:
    """If the caller is the only reader."""
    _at_dpc_level(k, "ExTryConvertSharedSpinLockExclusive")
    alone = k.memory.read_u32(lock) == 1
    if alone:
        k.memory.write_u32(lock, _EXCLUSIVE)
    return alone


@export(NTOSKRNL, "ExReleaseSpinLockShared")
def ex_release_spin_lock_shared(k: "Kernel", lock: int, irql: U8) -> int:
    _release(k, lock, exclusive=False)
    k.lower_irql(irql)
    return 0


@export(NTOSKRNL, "ExReleaseSpinLockExclusive")
def ex_release_spin_lock_exclusive(k: "Kernel", lock: int, irql: U8) -> int:
    _release(k, lock, exclusive=True)
    k.lower_irql(irql)
    return 0


@export(NTOSKRNL, "ExReleaseSpinLockSharedFromDpcLevel")
def ex_release_spin_lock_shared_from_dpc_level(k: "Kernel", lock: int) -> int:
    return _release(k, lock, exclusive=False)


@export(NTOSKRNL, "ExReleaseSpinLockExclusiveFromDpcLevel")
def ex_release_spin_lock_exclusive_from_dpc_level(k: "Kernel", lock: int) -> int:
    return _release(k, lock, exclusive=True)
