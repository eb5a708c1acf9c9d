"""DbgPrint and its family, the Debug Print Filter, and DbgSetDebugPrintCallback.

The callback's prototype and the call are in no documentation of Microsoft's. What is modelled: a list of callbacks,
which get what the filter lets through, as counted text; printing from inside a callback reaches none of them. Windows
calls them at whatever IRQL the printer has reached; here that is always HIGH_LEVEL, so that a callback which takes a
spin lock stops the machine. What a user program prints stays in the kernel's own log.
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTDLL, NTOSKRNL, U32, Variadic, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.kd.debug_output import passes, print_text, va_list
from harness.reference.windows.ntos.rtl.printf import format_text
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_CALLBACK = Kind("debug print callback", "DbgSetDebugPrintCallback")


def _format(k: "Kernel", template: int, arguments: Variadic) -> str:
    return format_text(k.memory, k.memory.read_cstring(template).decode("latin-1"), arguments)


@export(NTOSKRNL, "DbgPrint", variadic=True)
def dbg_print(k: "Kernel", template: int, arguments: Variadic) -> KernelCode | int:
    return print_text(k, _format(k, template, arguments))


@export(NTOSKRNL, "DbgPrintEx", variadic=True)
def dbg_print_ex(k: "Kernel", component: U32, level: U32, template: int, arguments: Variadic) -> KernelCode | int:
    return print_text(k, _format(k, template, arguments), component, level)


@export(NTOSKRNL, "vDbgPrintEx")
def v_dbg_print_ex(k: "Kernel", component: U32, level: U32, template: int, arguments: int) -> KernelCode | int:
    return print_text(k, _format(k, template, va_list(k, arguments)), component, level)


@export(NTOSKRNL, "vDbgPrintExWithPrefix")
def v_dbg_print_ex_with_prefix(
    k: "Kernel", prefix: int, component: U32, level: U32, template: int, arguments: int
) -> KernelCode | int:
    before = k.memory.read_cstring(prefix).decode("latin-1")
    return print_text(k, before + _format(k, template, va_list(k, arguments)), component, level)


@export(NTDLL, "DbgPrint", variadic=True)
def user_dbg_print(k: "Kernel", template: int, arguments: Variadic) -> int:
    _log(k, _format(k, template, arguments))
    return 0


@export(NTDLL, "DbgPrintEx", variadic=True)
def user_dbg_print_ex(k: "Kernel", component: U32, level: U32, template: int, arguments: Variadic) -> int:
    if passes(component, level):
        _log(k, _format(k, template, arguments))
    return 0


def _log(k: "Kernel", text: str) -> None:
    k.log.append(text)
    k.probes.happened((f"DbgPrint {text.rstrip()}",))


@export(NTOSKRNL, "DbgQueryDebugFilterState")
def dbg_query_debug_filter_state(k: "Kernel", component: U32, level: U32) -> bool:
    """Whether a print of that component and level would be seen."""
    del k
    return passes(component, level)


@export(NTOSKRNL, "DbgSetDebugPrintCallback", max_irql=Irql.APC)
def dbg_set_debug_print_callback(k: "Kernel", callback: int, enable: bool) -> int:
    if not callback:
        return int(NtStatus.INVALID_PARAMETER)
    if enable:
        k.print_callbacks.append(callback)
        k.holdings.take(_CALLBACK, callback)
    elif callback in k.print_callbacks:
        k.print_callbacks.remove(callback)
        k.holdings.give_back(_CALLBACK, callback)
    return int(NtStatus.SUCCESS)
