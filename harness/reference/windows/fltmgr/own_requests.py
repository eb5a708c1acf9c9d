"""Requests that a minifilter starts itself: they go only to the instances below the initiating one (IO-01 to IO-04)."""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from harness.nt import BugCheck, IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import U32, LengthOfNext
from harness.reference.windows.fltmgr.callback_data import CALLBACK_DATA, PARAMETER_BLOCK
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.io.constants import IrpFlags, Minor
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.io_manager import Send
from harness.reference.windows.io.parameters import DIRECTORY, INFORMATION, Control, Transfer
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_manager import FilterManager
    from harness.reference.windows.ntos.executive import Executive

_NON_CACHED, _PAGING, _KEEP_OFFSET, _SYNCHRONOUS_PAGING = 1, 2, 4, 8
SYNCHRONOUS = int(IrpFlags.SYNCHRONOUS_API)


def own_request(
    flt: "FilterManager", major: IrpMajor, file: FileObject, parameters: bytes, *, minor: int = 0, irp_flags: int = 0
) -> Request:
    """A request that a minifilter makes: marked as generated."""
    request = Request(
        OperationClass.IRP, major, file, flt.kernel.current, parameters=parameters, minor=minor, irp_flags=irp_flags
    )
    request.generated = True
    return request


def parties(flt: "FilterManager", instance: int, file_object: int) -> tuple[Instance, FileObject] | None:
    """The instance and the file that a call names; None where the file object is none."""
    file = flt.io.file_at(file_object)
    return (flt.instance_at(instance), file) if file is not None else None


def below(flt: "FilterManager", found: Instance) -> Send:
    """Sends to what is below an instance."""
    return partial(flt.frames.send_below, found)


def buffered(flt: "FilterManager", found: Instance, file: FileObject, request: Request) -> Code:
    """Send a request with a system buffer, and wait for it."""
    request.system_buffer = True
    yield from flt.io.issue(request, below(flt, found))
    return request


class TransferArguments(NamedTuple):
    """What FltReadFile, FltWriteFile and their Ex forms take one after another."""

    instance: int
    file_object: int
    offset_at: int
    length: LengthOfNext
    buffer: int
    flags: U32
    count_out: int
    callback: int
    context: int


def check_transfer_irql(k: "Executive", call: str, flags: int) -> None:
    """At APC_LEVEL these calls are for paging I/O (FLTFL_IO_OPERATION_PAGING); a finding and a bug check else."""
    if k.irql > Irql.PASSIVE and not flags & _PAGING:
        text = f"{call} without FLTFL_IO_OPERATION_PAGING was called at IRQL {k.irql}, which is for paging I/O alone"
        k.verifier.report(None, k.blame.current().driver, text)
        k.bugcheck(BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, k.irql, message=text)


def transfer(
    flt: "FilterManager",
    major: IrpMajor,
    asked: TransferArguments,
    *,
    key: int = 0,
    mdl: int = 0,
) -> Code:
    """FltReadFile and FltWriteFile in all their forms: synchronous without a callback (IO-04)."""
    pair = parties(flt, asked.instance, asked.file_object)
    if pair is None:
        return int(NtStatus.INVALID_PARAMETER)
    found, file = pair
    offset = flt.kernel.memory.read_i64(asked.offset_at) if asked.offset_at else file.position
    operation = IrpFlags.READ_OPERATION if major is IrpMajor.READ else IrpFlags.WRITE_OPERATION
    irp_flags = int(operation) | (0 if asked.callback else SYNCHRONOUS)
    if asked.flags & _NON_CACHED:
        irp_flags |= IrpFlags.NOCACHE
    if asked.flags & _PAGING:
        irp_flags |= IrpFlags.PAGING_IO | IrpFlags.NOCACHE
    if asked.flags & _SYNCHRONOUS_PAGING:
        irp_flags |= IrpFlags.SYNCHRONOUS_PAGING_IO
    request = own_request(
        flt,
        major,
        file,
        Transfer(asked.length, key, offset, 0 if mdl else asked.buffer, mdl).pack(),
        irp_flags=irp_flags,
    )
    position = file.position

    def restore(done: Request) -> None:
        del done
        file.position = position

    if asked.flags & _KEEP_OFFSET:
        request.completions.append(restore)
    if not asked.callback:
        yield from flt.operation_services.send_own(found, request, wait=True)
        if asked.count_out:
            flt.kernel.memory.write_u32(asked.count_out, request.information)
        return request.status
    request.synchronous = False
    request.completions.append(lambda done: _call_back_later(flt, done, asked.callback, asked.context))
    yield from flt.operation_services.send_own(found, request, wait=False)
    return int(NtStatus.PENDING)


def _call_back_later(flt: "FilterManager", request: Request, callback: int, context: int) -> None:
    """The completed-asynchronous-I/O callback, with callback data of its own, in an arbitrary thread."""

    def code() -> Code:
        data, iopb = flt.heap.allocate(CALLBACK_DATA.size), flt.heap.allocate(PARAMETER_BLOCK.size)
        file = request.file.address if request.file is not None else 0
        flt.kernel.memory.write(
            data,
            CALLBACK_DATA.pack(
                int(request.kind) | 0x0009_0000, request.thread.kthread, iopb, request.status, request.information, 0, 0
            ),
        )
        flt.kernel.memory.write(
            iopb,
            PARAMETER_BLOCK.pack(request.irp_flags, request.major, request.minor, 0, 0, file, 0, request.parameters),
        )
        yield from flt.kernel.kept.call("its completion callback", callback, data, context)
        flt.heap.free(iopb)
        flt.heap.free(data)

    if flt.kernel.choices.chance("own-completion-in-dpc", 0.5):
        flt.kernel.queue_dpc(code)
    else:
        flt.kernel.queue_worker(code())


def query(
    flt: "FilterManager",
    major: IrpMajor,
    instance: int,
    file_object: int,
    out: int,
    length: int,
    kind: int,
    returned: int,
) -> Code:
    """IRP_MJ_QUERY_INFORMATION or IRP_MJ_QUERY_VOLUME_INFORMATION below an instance; NTSTATUS."""
    pair = parties(flt, instance, file_object)
    if pair is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = INFORMATION.pack(length, kind, out)
    request = own_request(flt, major, pair[1], packed, irp_flags=SYNCHRONOUS)
    yield from buffered(flt, *pair, request)
    if returned:
        flt.kernel.memory.write_u32(returned, request.information)
    return request.status


def query_directory(
    flt: "FilterManager",
    instance: int,
    file_object: int,
    out: int,
    length: int,
    kind: int,
    flags: int,
    pattern: int,
    returned: int,
) -> Code:
    """IRP_MN_QUERY_DIRECTORY below an instance; `flags` are its SL_ flags."""
    found = parties(flt, instance, file_object)
    if found is None:
        return int(NtStatus.INVALID_PARAMETER)
    packed = DIRECTORY.pack(length, pattern, kind, 0, out, 0)
    request = own_request(
        flt, IrpMajor.DIRECTORY_CONTROL, found[1], packed, minor=Minor.QUERY_DIRECTORY, irp_flags=SYNCHRONOUS
    )
    request.operation_flags = flags
    yield from flt.io.issue(request, below(flt, found[0]))
    if returned:
        flt.kernel.memory.write_u32(returned, request.information)
    return request.status


def control(
    flt: "FilterManager",
    major: IrpMajor,
    instance: int,
    file_object: int,
    code: int,
    source: int,
    source_length: int,
    target: int,
    target_length: int,
    returned: int,
) -> Code:
    """IRP_MJ_FILE_SYSTEM_CONTROL or IRP_MJ_DEVICE_CONTROL below an instance; NTSTATUS."""
    pair = parties(flt, instance, file_object)
    if pair is None:
        return int(NtStatus.INVALID_PARAMETER)
    memory, buffered = flt.kernel.memory, code & 3 == 0
    first, system_buffer = source, 0
    if buffered:
        first = system_buffer = flt.heap.allocate(max(source_length, target_length, 1))
        if source_length:
            memory.write(system_buffer, memory.read(source, source_length))
    packed = Control(target_length, source_length, code, first, 0 if buffered else target, 0).pack()
    request = own_request(flt, major, pair[1], packed, irp_flags=SYNCHRONOUS)
    request.system_buffer = buffered
    yield from flt.io.issue(request, below(flt, pair[0]))
    if buffered:
        if target and request.status >> 30 != 3:
            flt.kernel.memory.write(
                target, flt.kernel.memory.read(system_buffer, min(request.information, target_length))
            )
        flt.heap.free(system_buffer)
    if returned:
        flt.kernel.memory.write_u32(returned, request.information)
    return request.status
