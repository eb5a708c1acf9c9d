"""Control IRPs for a caller: input and output are handed over as the method of the control code has it."""

from harness.nt import IrpMajor, OperationClass
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.system_services import Caller, probe, send_irp
from harness.reference.windows.ntos.mm.mdl import allocate_mdl, lock_pages

_METHOD_BUFFERED, _METHOD_IN_DIRECT, _METHOD_OUT_DIRECT = range(3)


def send_control(
    caller: Caller,
    file: FileObject,
    major: IrpMajor,
    control: Control,
    *,
    minor: int = 0,
    synchronous: bool | None = None,
) -> Code:
    """Send a control IRP, with input and output as the method of the control code has them; NTSTATUS.

    It is waited for where the file object is synchronous, unless `synchronous` says otherwise. The input goes as a copy
    in a system buffer, but for METHOD_NEITHER; the output comes in the same buffer (METHOD_BUFFERED), by an MDL of its
    locked pages (the direct ones), or where the caller wants it.
    """
    k, mode = caller.k, caller.mode
    waits = file.synchronous if synchronous is None else synchronous
    probe(mode, control.first, control.input_length)
    probe(mode, control.second, control.output_length)
    method = control.code & 3
    buffered = method == _METHOD_BUFFERED
    if method in (_METHOD_IN_DIRECT, _METHOD_OUT_DIRECT):
        return (yield from _direct_control(caller, file, major, control, minor, synchronous=waits))
    target, room = control.second, control.output_length
    system_buffer = 0
    if buffered:
        data = yield from k.io.views.read(control.first, control.input_length) if control.input_length else _nothing()
        system_buffer = k.io.heap.allocate(max(control.input_length, control.output_length, 1))
        k.memory.write(system_buffer, data)
        control = control._replace(first=system_buffer, second=0)
    request = Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=control.pack(),
        irp_flags=int(IrpFlags.BUFFERED_IO) if buffered else 0,
        mode=mode,
        minor=minor,
        synchronous=waits,
    )
    request.system_buffer = buffered

    def give_back(done: Request) -> None:
        if done.status >> 30 != 3 and done.information and target:
            k.memory.write(target, k.memory.read(system_buffer, min(done.information, room)))
        k.io.heap.free(system_buffer)

    if buffered:
        request.completions.append(give_back)
    return (yield from send_irp(caller, file, request))


def _direct_control(
    caller: Caller, file: FileObject, major: IrpMajor, control: Control, minor: int, *, synchronous: bool
) -> Code:
    """METHOD_IN_DIRECT and METHOD_OUT_DIRECT."""
    k = caller.k
    source, mdl = 0, 0
    if control.input_length:
        data = yield from k.io.views.read(control.first, control.input_length)
        source = k.io.heap.allocate(control.input_length)
        k.memory.write(source, data)
    if control.output_length:
        write = control.code & 3 == _METHOD_OUT_DIRECT
        yield from k.io.views.touch(control.second, control.output_length, write=write)
        mdl = allocate_mdl(k, control.second, control.output_length)
        lock_pages(k, mdl, write=write)
    request = Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=control._replace(first=source, mdl=mdl).pack(),
        mode=caller.mode,
        minor=minor,
        synchronous=synchronous,
    )
    request.system_buffer = bool(source)
    if source:
        request.completions.append(lambda _: k.io.heap.free(source))
    return (yield from send_irp(caller, file, request))


def _nothing() -> Code:
    yield from ()
    return b""
