"""Cancel-safe IRP queues: IoCsq, whose list and lock are the driver's."""

from typing import TYPE_CHECKING

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call, KernelCode

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_TYPE_CONTEXT, _TYPE_QUEUE, _TYPE_QUEUE_EX = 1, 2, 3
_CANCEL, _CANCEL_IRQL, _CANCEL_ROUTINE = 0x44, 0x45, 0x68
_DRIVER_CONTEXT_3 = 0x90


class Csq(Structure):
    """IO_CSQ."""

    SIZE = 0x40
    type = Field(0x00, "I")
    insert = Field(0x08)
    remove = Field(0x10)
    peek = Field(0x18)
    acquire = Field(0x20)
    release = Field(0x28)
    complete_cancelled = Field(0x30)


class CsqContext(Structure):
    """IO_CSQ_IRP_CONTEXT."""

    SIZE = 0x18
    type = Field(0x00, "I")
    irp = Field(0x08)
    csq = Field(0x10)


def _initialize(k: "Kernel", csq: int, routines: tuple[int, ...], kind: int) -> int:
    view = Csq(k.memory, csq)
    view.clear()
    view.type = kind
    view.insert, view.remove, view.peek, view.acquire, view.release, view.complete_cancelled = routines
    return 0


@export(NTOSKRNL, "IoCsqInitialize", max_irql=Irql.DISPATCH)
def io_csq_initialize(
    k: "Kernel", csq: int, insert: int, remove: int, peek: int, acquire: int, release: int, complete: int
) -> int:
    return _initialize(k, csq, (insert, remove, peek, acquire, release, complete), _TYPE_QUEUE)


@export(NTOSKRNL, "IoCsqInitializeEx", max_irql=Irql.DISPATCH)
def io_csq_initialize_ex(
    k: "Kernel", csq: int, insert: int, remove: int, peek: int, acquire: int, release: int, complete: int
) -> int:
    return _initialize(k, csq, (insert, remove, peek, acquire, release, complete), _TYPE_QUEUE_EX)


def _lock(k: "Kernel", csq: int) -> KernelCode:
    """Call the driver's acquire routine; the IRQL that it stored."""
    place = k.heap.allocate(16)
    yield Call(Csq(k.memory, csq).acquire, csq, place)
    irql = k.memory.read_u8(place)
    k.heap.free(place)
    return irql


def _cancel_routine(k: "Kernel") -> int:
    if not k.csq_cancel:
        k.csq_cancel = k.exports.add_routine("IopCsqCancelRoutine", lambda device, irp: _cancelled(k, device, irp), 2)
    return k.csq_cancel


def _cancelled(k: "Kernel", device: int, irp: int) -> KernelCode:
    """An IRP of a queue is cancelled: it leaves the queue, and the driver completes it."""
    del device
    k.io.dispatcher.release_cancel_lock(k.memory.read_u8(irp + _CANCEL_IRQL))
    at = k.memory.read_u64(irp + _DRIVER_CONTEXT_3)
    csq = CsqContext(k.memory, at).csq if k.memory.read_u32(at) == _TYPE_CONTEXT else at
    irql: int = yield from _lock(k, csq)
    view = Csq(k.memory, csq)
    yield Call(view.remove, csq, irp)
    if at != csq:
        CsqContext(k.memory, at).irp = 0
    k.memory.write_u64(irp + _DRIVER_CONTEXT_3, 0)
    yield Call(view.release, csq, irql)
    yield Call(view.complete_cancelled, csq, irp)


@export(NTOSKRNL, "IoCsqInsertIrp", max_irql=Irql.DISPATCH)
def io_csq_insert_irp(k: "Kernel", csq: int, irp: int, context: int) -> KernelCode:
    yield from _insert(k, csq, irp, context, 0)


@export(NTOSKRNL, "IoCsqInsertIrpEx", max_irql=Irql.DISPATCH)
def io_csq_insert_irp_ex(k: "Kernel", csq: int, irp: int, context: int, insert_context: int) -> KernelCode:
    return (yield from _insert(k, csq, irp, context, insert_context))


def _insert(k: "Kernel", csq: int, irp: int, context: int, insert_context: int) -> KernelCode:
    view, memory = Csq(k.memory, csq), k.memory
    if context:
        link = CsqContext(memory, context)
        link.type, link.irp, link.csq = _TYPE_CONTEXT, irp, csq
    memory.write_u64(irp + _DRIVER_CONTEXT_3, context or csq)
    k.io.irps.mark_pending(irp)
    irql: int = yield from _lock(k, csq)
    status = 0
    if view.type == _TYPE_QUEUE_EX:
        status = (yield Call(view.insert, csq, irp, insert_context)) & 0xFFFF_FFFF
    else:
        yield Call(view.insert, csq, irp)
    if status >> 31:
        yield Call(view.release, csq, irql)
        return status
    memory.write_u64(irp + _CANCEL_ROUTINE, _cancel_routine(k))
    if memory.read_u8(irp + _CANCEL) and memory.read_u64(irp + _CANCEL_ROUTINE):
        memory.write_u64(irp + _CANCEL_ROUTINE, 0)
        yield Call(view.remove, csq, irp)
        if context:
            CsqContext(memory, context).irp = 0
        yield Call(view.release, csq, irql)
        yield Call(view.complete_cancelled, csq, irp)
        return status
    yield Call(view.release, csq, irql)
    return status


def _take(k: "Kernel", csq: int, irp: int) -> KernelCode:
    """With the lock held: out of the queue, unless its cancelling has begun; whether it is the caller's now."""
    if not k.memory.read_u64(irp + _CANCEL_ROUTINE):
        return False
    k.memory.write_u64(irp + _CANCEL_ROUTINE, 0)
    yield Call(Csq(k.memory, csq).remove, csq, irp)
    at = k.memory.read_u64(irp + _DRIVER_CONTEXT_3)
    if at and at != csq:
        CsqContext(k.memory, at).irp = 0
    k.memory.write_u64(irp + _DRIVER_CONTEXT_3, 0)
    return True


@export(NTOSKRNL, "IoCsqRemoveNextIrp", max_irql=Irql.DISPATCH)
def io_csq_remove_next_irp(k: "Kernel", csq: int, peek_context: int) -> KernelCode:
    """The next IRP that nobody is cancelling; null if there is none."""
    view = Csq(k.memory, csq)
    irql: int = yield from _lock(k, csq)
    irp = yield Call(view.peek, csq, 0, peek_context)
    while irp:
        if (yield from _take(k, csq, irp)):
            break
        irp = yield Call(view.peek, csq, irp, peek_context)
    yield Call(view.release, csq, irql)
    return irp


@export(NTOSKRNL, "IoCsqRemoveIrp", max_irql=Irql.DISPATCH)
def io_csq_remove_irp(k: "Kernel", csq: int, context: int) -> KernelCode:
    """The IRP of a context; null if it was cancelled meanwhile."""
    irql: int = yield from _lock(k, csq)
    irp = CsqContext(k.memory, context).irp
    if irp and not (yield from _take(k, csq, irp)):
        irp = 0
    yield Call(Csq(k.memory, csq).release, csq, irql)
    return irp
