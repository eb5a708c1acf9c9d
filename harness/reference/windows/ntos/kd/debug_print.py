"""DbgPrint and its family, the Debug Print Filter, and DbgSetDebugPrintCallback.

The callback's prototype and the call are in no documentation of Microsoft's. What is modelled: a list of callbacks,
which get what the filter lets through, as counted text; printing from inside a callback reaches none of them. Windows
calls them at whatever IRQL the printer has reached; here that is always HIGH_LEVEL, so that a callback which takes a
spin lock stops the machine. What a user program prints stays in the kernel's own log.
"""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTDLL, NTOSKRNL, U32, Variadic, export
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.rtl.printf import format_text
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.windows.io.driver_table import Driver
    from harness.reference.windows.kernel import Kernel

DEFAULT = 101
INFO_LEVEL = 3
EVERYTHING = 0xF
MASKS = {DEFAULT: EVERYTHING, 77: EVERYTHING, 47: EVERYTHING, 93: EVERYTHING}
"""The Debug Print Filter, as fltlab's Windows images have it: DEFAULT, IHVDRIVER, FLTMGR, VERIFIER."""
ALWAYS = 1
"""The mask WIN2000, which goes for every component: errors."""
MAXIMUM_TEXT = 512
"""What one call transmits at most; the rest is cut off."""


def passes(component: int, level: int) -> bool:
    """Whether the Debug Print Filter lets a print through. A level above 31 is a mask of levels itself."""
    bits = 1 << level if level < 32 else level
    return bool(bits & (MASKS.get(component, 0) | ALWAYS))


def print_text(k: "Kernel", text: str, component: int = DEFAULT, level: int = INFO_LEVEL) -> KernelCode | int:
    """Print: into the kernel's log, and to the callbacks, which are guest code."""
    if not passes(component, level):
        return 0
    k.log.append(text)
    k.trace.add(f"DbgPrint {text.rstrip()}")
    if not k.print_callbacks or k.processor.number in k.printing:
        return 0
    return _call_back(k, text.encode("latin-1", errors="replace")[:MAXIMUM_TEXT], component, level)


def _call_back(k: "Kernel", text: bytes, component: int, level: int) -> KernelCode:
    old = k.raise_irql(Irql.HIGH)
    processor = k.processor.number
    k.printing.add(processor)
    output, buffer = k.heap.allocate(UnicodeString.SIZE), k.heap.allocate(len(text))
    k.memory.write(buffer, text)
    k.memory.write_unicode_string(output, buffer, len(text), len(text))
    for callback in tuple(k.print_callbacks):
        yield Call(callback, output, component, level)
        if k.irql != Irql.HIGH:
            k.set_irql(Irql.HIGH)
            k.verifier.report(None, k.images.describe(callback), "a debug print callback changed the IRQL")
    k.heap.free(buffer)
    k.heap.free(output)
    k.printing.discard(processor)
    k.lower_irql(old)
    return 0


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
    k.trace.add(f"DbgPrint {text.rstrip()}")


def va_list(k: "Kernel", address: int) -> Variadic:
    """A va_list: on x64 a pointer to eight-byte slots."""
    return Variadic(lambda index: k.memory.read_u64(address + 8 * index), 0)


@export(NTOSKRNL, "DbgSetDebugPrintCallback", max_irql=Irql.APC)
def dbg_set_debug_print_callback(k: "Kernel", callback: int, enable: bool) -> int:
    if not callback:
        return int(NtStatus.INVALID_PARAMETER)
    if enable:
        k.print_callbacks.append(callback)
    elif callback in k.print_callbacks:
        k.print_callbacks.remove(callback)
    return int(NtStatus.SUCCESS)


def report_callbacks(k: "Kernel", driver: "Driver") -> None:
    """A driver's image goes while its callback is registered: the next print would run what is no longer there."""
    for callback in [at for at in k.print_callbacks if driver.image.base <= at < driver.image.end]:
        k.print_callbacks.remove(callback)
        k.verifier.report(
            None, driver.name, f"leak at unload: the debug print callback {callback:#x} was never taken off"
        )
