"""KeBugCheck and breakpoints."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, bugcheck_name
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import NTDLL, NTOSKRNL, U32, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

STATUS_BREAKPOINT = 0x80000003


@export(NTOSKRNL, "DbgBreakPoint", "DbgBreakPointWithStatus")
@export(NTDLL, "DbgBreakPoint")
def dbg_break_point(k: "Kernel") -> int:
    del k
    raise GuestException(STATUS_BREAKPOINT)


@export(NTOSKRNL, "KeBugCheckEx")
def ke_bug_check_ex(k: "Kernel", code: U32, p1: int, p2: int, p3: int, p4: int) -> int:
    _crash(k, code, p1, p2, p3, p4)
    return 0


@export(NTOSKRNL, "KeBugCheck")
def ke_bug_check(k: "Kernel", code: U32) -> int:
    _crash(k, code)
    return 0


def _crash(k: "Kernel", code: int, *parameters: int) -> None:
    try:
        check = BugCheck(code)
    except ValueError:
        check = BugCheck.MANUALLY_INITIATED_CRASH
    k.bugcheck(check, *parameters, message=f"the driver called KeBugCheck with {bugcheck_name(code)}")
