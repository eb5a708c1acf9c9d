"""Critical and guarded regions: how often a thread has disabled APCs, counted in its KTHREAD."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.verifier.holdings import Holdings


CRITICAL_REGION = Kind("critical region", "KeLeaveCriticalRegion, or FltReleaseResource and its like")
ATTACHED = Kind("attachment", "KeUnstackDetachProcess")
GUARDED_REGION = Kind("guarded region", "KeLeaveGuardedRegion, or KeReleaseGuardedMutex")


class _Counts(Structure):
    """The APC counters of KTHREAD, which keeps them negated."""

    kernel_apc_disable = Field(KTHREAD.KERNEL_APC_DISABLE, "h")
    special_apc_disable = Field(KTHREAD.SPECIAL_APC_DISABLE, "h")


_BOTH = Struct("<hh")


def regions_of(memory: "Memory", thread: "Thread") -> tuple[int, int]:
    """How deep a thread is in critical and in guarded regions."""
    critical, guarded = memory.unpack(_BOTH, thread.kthread + KTHREAD.KERNEL_APC_DISABLE)
    return -critical, -guarded


class ApcCounts:
    """The regions that a thread is in."""

    def __init__(self, memory: "Memory", thread: "Thread", holdings: "Holdings") -> None:
        self._counts = _Counts(memory, thread.kthread)
        self._thread = thread
        self._holdings = holdings

    @property
    def critical_regions(self) -> int:
        """How deep in critical regions the thread is: normal kernel APCs are disabled."""
        return -self._counts.kernel_apc_disable

    @property
    def guarded_regions(self) -> int:
        """How deep in guarded regions the thread is: all APCs are disabled."""
        return -self._counts.special_apc_disable

    @property
    def disabled(self) -> bool:
        """Whether normal kernel APCs are disabled, by either."""
        return self._counts.kernel_apc_disable != 0 or self._counts.special_apc_disable != 0

    def enter_critical_region(self) -> None:
        """KeEnterCriticalRegion."""
        self._counts.kernel_apc_disable -= 1
        self._holdings.take(CRITICAL_REGION, self._thread)

    def leave_critical_region(self) -> None:
        """KeLeaveCriticalRegion."""
        self._counts.kernel_apc_disable += 1
        self._holdings.give_back(CRITICAL_REGION, self._thread)

    def enter_guarded_region(self) -> None:
        """KeEnterGuardedRegion."""
        self._counts.special_apc_disable -= 1
        self._holdings.take(GUARDED_REGION, self._thread)

    def leave_guarded_region(self) -> None:
        """KeLeaveGuardedRegion."""
        self._counts.special_apc_disable += 1
        self._holdings.give_back(GUARDED_REGION, self._thread)

    def restore(self, critical: int, guarded: int) -> None:
        """Be as deep in regions as before; who has entered or left too many is reported."""
        self._counts.kernel_apc_disable = -critical
        self._counts.special_apc_disable = -guarded
