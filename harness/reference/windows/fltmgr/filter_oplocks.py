"""Oplocks of minifilters: an OPLOCK of a filter's own, asked with the callback data that come to it."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, PreopStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.callback_data import PARAMETER_BLOCK
from harness.reference.windows.fltmgr.kept_operations import end_pended
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fsrtl import driver_oplocks as oplocks
from harness.reference.windows.fsrtl import oplock_fsctls, oplock_keys
from harness.reference.windows.fsrtl.driver_oplocks import Checked
from harness.reference.windows.fsrtl.oplocks import Does
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_PARAMETERS = 7
"""Of PARAMETER_BLOCK."""


def _parameters(operation: Operation) -> bytes:
    """The parameters as the filter has them now."""
    parameters: bytes = PARAMETER_BLOCK.unpack(operation.read_parameters())[_PARAMETERS]
    return parameters


@export(FLTMGR, "FltInitializeOplock", max_irql=Irql.APC)
def flt_initialize_oplock(k: "Kernel", address: int) -> None:
    """FltInitializeOplock."""
    k.driver_oplocks.make(address)


@export(FLTMGR, "FltUninitializeOplock", max_irql=Irql.APC)
def flt_uninitialize_oplock(k: "Kernel", address: int) -> None:
    """FltUninitializeOplock."""
    k.driver_oplocks.remove(address)


@export(FLTMGR, "FltOplockFsctrl", max_irql=Irql.APC)
def flt_oplock_fsctrl(k: "Kernel", address: int, data: int, count: U32) -> Code:
    """FltOplockFsctrl: FLT_PREOP_PENDING while the oplock is held; its break completes the operation."""
    return _fsctrl(k, address, data, count, 0)


@export(FLTMGR, "FltOplockFsctrlEx", max_irql=Irql.APC)
def flt_oplock_fsctrl_ex(k: "Kernel", address: int, data: int, count: U32, flags: U32) -> Code:
    """The same with OPLOCK_FSCTRL_FLAG_ALL_KEYS_MATCH."""
    return _fsctrl(k, address, data, count, flags)


def _fsctrl(k: "Kernel", address: int, data: int, count: int, flags: int) -> Code:
    operation = k.flt.operation_at(data)
    if operation.is_irp and operation.request.major == IrpMajor.CREATE:
        status = oplocks.of_create(k.io, k.driver_oplocks.at(address), _as_it_is_now(operation), count)
        operation.set_io_status(status, 0)
        return int(PreopStatus.COMPLETE)
    request, parameters = operation.request, Control.unpack(_parameters(operation))
    if not operation.is_irp or parameters.code not in oplock_fsctls.CODES:
        operation.set_io_status(int(NtStatus.INVALID_PARAMETER), 0)
        return int(PreopStatus.COMPLETE)

    def give(target: int, status: int, information: int, output: bytes) -> Code:
        if output:
            yield from k.io.views.write(target, output)
        yield from end_pended(k.flt, operation, status, information)

    oplock = k.driver_oplocks.at(address)
    answered = yield from oplock_fsctls.asked(k, oplock, request, parameters, count, flags, give)
    if answered is None:
        operation.waits_for_program = True
        return int(PreopStatus.PENDING)
    operation.set_io_status(*answered)
    return int(PreopStatus.COMPLETE)


def _as_it_is_now(operation: Operation) -> Request:
    """An operation with the parameters as the filter has them."""
    came = operation.request
    request = Request(came.kind, came.major, came.file, came.thread, parameters=_parameters(operation))
    request.ecp_list = came.ecp_list
    return request


def _check(
    k: "Kernel", address: int, data: int, flags: int, context: int, completion: int, post: int, does: Does | None = None
) -> Code:
    """SUCCESS_WITH_CALLBACK if the operation may go on, PENDING if `completion` is called once it may.

    COMPLETE if it was cancelled while the caller waited.
    """
    operation = k.flt.operation_at(data)
    if not operation.is_irp:
        return int(PreopStatus.SUCCESS_WITH_CALLBACK)
    request = _as_it_is_now(operation)
    checked = yield from oplocks.check(
        k.io, k.driver_oplocks.at(address), request, flags, does,
        post=Call(post, data, context) if post else None,
        completion=Call(completion, data, context) if completion else None,
        held=operation.request,
        tell=lambda status: operation.set_io_status(int(status), 0),
    )  # fmt: skip
    if checked is Checked.WAITS:
        operation.waits_for_program = True
        return int(PreopStatus.PENDING)
    if checked is Checked.CANCELLED:
        operation.set_io_status(int(NtStatus.CANCELLED), 0)
        return int(PreopStatus.COMPLETE)
    if checked is Checked.BREAK_IN_PROGRESS:
        operation.set_io_status(int(NtStatus.OPLOCK_BREAK_IN_PROGRESS), 0)
    return int(PreopStatus.SUCCESS_WITH_CALLBACK)


@export(FLTMGR, "FltCheckOplock", max_irql=Irql.APC)
def flt_check_oplock(k: "Kernel", address: int, data: int, context: int, completion: int, post: int) -> Code:
    """FltCheckOplock."""
    return _check(k, address, data, 0, context, completion, post)


@export(FLTMGR, "FltCheckOplockEx", max_irql=Irql.APC)
def flt_check_oplock_ex(
    k: "Kernel", address: int, data: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FltCheckOplockEx."""
    return _check(k, address, data, flags, context, completion, post)


@export(FLTMGR, "FltOplockBreakH", max_irql=Irql.APC)
def flt_oplock_break_h(
    k: "Kernel", address: int, data: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FltOplockBreakH: who caches the handle gives it up, before a sharing violation is told."""
    return _check(k, address, data, flags, context, completion, post, Does.SHARE_CONFLICT)


@export(FLTMGR, "FltOplockBreakToNone", max_irql=Irql.APC)
def flt_oplock_break_to_none(k: "Kernel", address: int, data: int, context: int, completion: int, post: int) -> Code:
    """FltOplockBreakToNone."""
    return _check(k, address, data, 0, context, completion, post, Does.OVERWRITE)


@export(FLTMGR, "FltOplockBreakToNoneEx", max_irql=Irql.APC)
def flt_oplock_break_to_none_ex(
    k: "Kernel", address: int, data: int, flags: U32, context: int, completion: int, post: int
) -> Code:
    """FltOplockBreakToNoneEx."""
    return _check(k, address, data, flags, context, completion, post, Does.OVERWRITE)


@export(FLTMGR, "FltOplockIsFastIoPossible", max_irql=Irql.APC)
def flt_oplock_is_fast_io_possible(k: "Kernel", address: int) -> bool:
    """FltOplockIsFastIoPossible."""
    return oplocks.is_fast_io_possible(k.driver_oplocks.at(address))


@export(FLTMGR, "FltCurrentBatchOplock", max_irql=Irql.APC)
def flt_current_batch_oplock(k: "Kernel", address: int) -> bool:
    """FltCurrentBatchOplock."""
    return oplocks.is_batch(k.driver_oplocks.at(address))


@export(FLTMGR, "FltCurrentOplock", max_irql=Irql.APC)
def flt_current_oplock(k: "Kernel", address: int) -> bool:
    """FltCurrentOplock."""
    return bool(k.driver_oplocks.at(address).holders)


@export(FLTMGR, "FltCurrentOplockH", max_irql=Irql.APC)
def flt_current_oplock_h(k: "Kernel", address: int) -> bool:
    """FltCurrentOplockH."""
    return oplocks.caches_handles(k.driver_oplocks.at(address))


@export(FLTMGR, "FltOplockIsSharedRequest", max_irql=Irql.APC)
def flt_oplock_is_shared_request(k: "Kernel", data: int) -> bool:
    """FltOplockIsSharedRequest."""
    parameters = Control.unpack(_parameters(k.flt.operation_at(data)))
    given = k.memory.read(parameters.first, parameters.input_length) if parameters.input_length else b""
    return oplock_fsctls.is_shared(parameters.code, given)


@export(FLTMGR, "FltOplockKeysEqual", max_irql=Irql.DISPATCH)
def flt_oplock_keys_equal(k: "Kernel", first: int, second: int) -> bool:
    """FltOplockKeysEqual."""
    return oplock_keys.equal(k.io.file_at(first), k.io.file_at(second))
