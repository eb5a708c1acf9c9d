"""DbgPrint, KeBugCheck and breakpoints."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, bugcheck_name
from harness.reference.cpu.exceptions import GuestException
from harness.reference.loader.exports import KERNEL_AND_USER, NTDLL, NTOSKRNL, U32, Variadic, export
from harness.reference.nt.printf import format_text

if TYPE_CHECKING:
    from harness.reference.kernel import Kernel

STATUS_BREAKPOINT = 0x80000003


def _print(k: "Kernel", template: int, arguments: Variadic) -> int:
    text = format_text(k.memory, k.memory.read_cstring(template).decode("latin-1"), arguments)
    k.log.append(text)
    k.trace.add(f"DbgPrint {text.rstrip()}")
    return 0


@export(KERNEL_AND_USER, "DbgPrint", variadic=True)
def dbg_print(k: "Kernel", template: int, arguments: Variadic) -> int:
    return _print(k, template, arguments)


@export(KERNEL_AND_USER, "DbgPrintEx", variadic=True)
def dbg_print_ex(k: "Kernel", component: U32, level: U32, template: int, arguments: Variadic) -> int:
    del component, level
    return _print(k, template, arguments)


@export(NTOSKRNL, "vDbgPrintEx")
def v_dbg_print_ex(k: "Kernel", component: U32, level: U32, template: int, arguments: int) -> int:
    del component, level
    return _print(k, template, va_list(k, arguments))


@export(NTOSKRNL, "vDbgPrintExWithPrefix")
def v_dbg_print_ex_with_prefix(
    k: "Kernel", prefix: int, component: U32, level: U32, template: int, arguments: int
) -> int:
    del component, level
    k.log.append(k.memory.read_cstring(prefix).decode("latin-1"))
    return _print(k, template, va_list(k, arguments))


def va_list(k: "Kernel", address: int) -> Variadic:
    """A va_list: on x64 a pointer to eight-byte slots."""
    return Variadic(lambda index: k.memory.read_u64(address + 8 * index), 0)


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
