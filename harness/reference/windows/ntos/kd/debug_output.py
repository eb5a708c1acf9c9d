"""Where debug prints go: the kernel's log and the callbacks that drivers registered."""

from typing import TYPE_CHECKING

from harness.nt import DebugComponent, Irql
from harness.reference.machine.loader.exports import Variadic
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.structures import UnicodeString

if TYPE_CHECKING:
    from harness.reference.machine.loader.images import Image
    from harness.reference.windows.ntos.executive import Executive


ERROR_LEVEL = 0


INFO_LEVEL = 3


EVERYTHING = 0xF


MASKS = dict.fromkeys(map(int, DebugComponent), EVERYTHING)
"""The Debug Print Filter, as fltlab's Windows images have it."""


ALWAYS = 1
"""The mask WIN2000, which goes for every component: errors."""


MAXIMUM_TEXT = 512
"""What one call transmits at most; the rest is cut off."""


def passes(component: int, level: int) -> bool:
    """Whether the Debug Print Filter lets a print through. A level above 31 is a mask of levels itself."""
    bits = 1 << level if level < 32 else level
    return bool(bits & (MASKS.get(component, 0) | ALWAYS))


def print_text(
    k: "Executive", text: str, component: int = int(DebugComponent.DEFAULT), level: int = INFO_LEVEL
) -> KernelCode | int:
    """Print: into the kernel's log, and to the callbacks, which are guest code."""
    if not passes(component, level):
        return 0
    k.log.append(text)
    k.print_recorder.add(text, component, level)
    k.probes.happened((f"DbgPrint {text.rstrip()}",))
    if not k.print_callbacks or k.processor.number in k.printing:
        return 0
    return _call_back(k, text.encode("latin-1", errors="replace")[:MAXIMUM_TEXT], component, level)


def print_refusal(k: "Executive", text: str) -> KernelCode:
    """Print what the filter manager has refused, and why, as what it says itself: what a caller sees is one status."""
    printed = print_text(k, f"{text}\n", int(DebugComponent.FLTMGR), ERROR_LEVEL)
    if not isinstance(printed, int):
        yield from printed


def _call_back(k: "Executive", text: bytes, component: int, level: int) -> KernelCode:
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


def va_list(k: "Executive", address: int) -> Variadic:
    """A va_list: on x64 a pointer to eight-byte slots."""
    return Variadic(lambda index: k.memory.read_u64(address + 8 * index), 0)


def forget_callbacks(k: "Executive", image: "Image") -> None:
    """A driver's image goes: of its callbacks that are left, which is reported, none is there to be called."""
    k.print_callbacks = [at for at in k.print_callbacks if not image.base <= at < image.end]
