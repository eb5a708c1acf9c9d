"""The way of an IRP: down by IofCallDriver, up by IofCompleteRequest, and cancelling on the way.

A driver of the kernel's own has dispatch and completion routines at guest addresses like any other (`native`); between
two of ours the Python behind them is called directly.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Never

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.irps import Irps
from harness.reference.windows.io.pending_rule import PendingRule
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.ke.dispatcher_states import set_event
from harness.reference.windows.ntos.mm.mdl import release_mdls
from harness.reference.windows.structures.irp import (
    IO_TYPE_IRP,
    SL_INVOKE_ON_CANCEL,
    SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS,
    SL_PENDING_RETURNED,
    IoStackLocation,
    Irp,
)

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

Native = Callable[..., Code]
"""Code of ours behind a guest address: a generator function of guest words."""
Finish = Callable[[Request, int, int], None]
_ASSOCIATED, _DEALLOCATE_BUFFER, _INPUT_OPERATION = 0x8, 0x20, 0x40
_ERROR = 3
_LOCATION = IoStackLocation.SIZE
_DRIVER_OBJECT, _MAJOR_FUNCTION = 0x08, 0x70


class Dispatcher:
    """Moves IRPs between the drivers of a stack."""

    def __init__(self, kernel: "Executive", irps: Irps, finish: Finish) -> None:
        self._kernel = kernel
        self._memory = kernel.memory
        self._irps = irps
        self._finish = finish
        self.native: dict[int, Native] = {}
        """By guest address."""
        self.pending_rule = PendingRule(kernel)
        self.cancel_lock = kernel.heap.allocate(8)
        irps.release_cancel_lock = self.release_cancel_lock

    def add_native(self, name: str, function: Native, parameters: int) -> int:
        """Give code of ours a guest address."""
        address = self._kernel.exports.add_routine(name, function, parameters)
        self.native[address] = function
        return address

    def call(self, function: int, *arguments: int) -> Code:
        """Call a routine, ours or a driver's; what it returns."""
        native = self.native.get(function)
        if native is not None:
            return (yield from native(*arguments))
        return (yield Call(function, *arguments))

    # -- down

    def call_driver(self, device: int, irp: int) -> Code:
        """IofCallDriver; what the driver's dispatch routine returned."""
        memory = self._memory
        place = memory.read(irp, 0x44)
        if place[0] != IO_TYPE_IRP or place[1]:
            self._no_irp(irp, "IofCallDriver")
        location = place[0x43] - 1
        if location <= 0:
            self._kernel.bugcheck(
                BugCheck.NO_MORE_IRP_STACK_LOCATIONS,
                irp,
                message=f"IofCallDriver: the IRP at {irp:#x} has no stack location left for another driver",
            )
        at = memory.read_u64(irp + 0xB8) - _LOCATION
        memory.write_u8(irp + 0x43, location)
        memory.write_u64(irp + 0xB8, at)
        memory.write_u64(at + 0x28, device)
        driver = memory.read_u64(device + _DRIVER_OBJECT)
        function = memory.read_u64(driver + _MAJOR_FUNCTION + 8 * memory.read_u8(at))
        native = self.native.get(function)
        if native is not None:
            return (yield from native(device, irp))
        dispatch = self.pending_rule.enter(irp, at, function, memory.read_u8(at))
        status = (yield from self._kernel.kept.call("its dispatch routine", function, device, irp)) & 0xFFFF_FFFF
        self.pending_rule.returned(dispatch, status)
        return status

    def _no_irp(self, irp: int, function: str) -> Never:
        self._kernel.bugcheck(
            BugCheck.MULTIPLE_IRP_COMPLETE_REQUESTS,
            irp,
            message=f"{function} was given {irp:#x}, which is no IRP (any more)",
        )

    # -- up

    def complete(self, irp: int) -> Code:
        """IofCompleteRequest: completion routines from here upwards, until one keeps the IRP or it is at its end."""
        memory = self._memory
        self._check_completion(irp)
        count = memory.read_u8(irp + 0x42)
        while True:
            place = memory.read_u8(irp + 0x43)
            if place > count:
                break
            at = memory.read_u64(irp + 0xB8)
            control = memory.read_u8(at + 3)
            pending = control & SL_PENDING_RETURNED
            if self.pending_rule.open:
                self.pending_rule.completed(irp, at, marked=bool(pending), status=memory.read_u32(irp + Irp.STATUS))
            memory.write_u8(irp + 0x41, pending)
            memory.write_u8(irp + 0x43, place + 1)
            memory.write_u64(irp + 0xB8, at + _LOCATION)
            if self._wants(irp, control):
                routine, context = memory.read_u64(at + 0x38), memory.read_u64(at + 0x40)
                device = memory.read_u64(at + _LOCATION + 0x28) if place < count else 0
                memory.write(at, bytes(_LOCATION))
                status = (yield from self._complete_at(routine, device, irp, context)) & 0xFFFF_FFFF
                if routine not in self.native:
                    self.pending_rule.completion_answer(routine, status)
                if status == NtStatus.MORE_PROCESSING_REQUIRED:
                    return
            else:
                memory.write(at, bytes(_LOCATION))
                if pending and place < count:
                    above = at + _LOCATION + 3
                    memory.write_u8(above, memory.read_u8(above) | SL_PENDING_RETURNED)
        yield from self._at_its_end(irp)

    def _complete_at(self, routine: int, device: int, irp: int, context: int) -> Code:
        """Call a completion routine."""
        native = self.native.get(routine)
        if native is not None:
            return (yield from native(device, irp, context))
        return (yield from self._kernel.kept.call("its completion routine", routine, device, irp, context))

    def _check_completion(self, irp: int) -> None:
        memory = self._memory
        place = memory.read(irp, 0x44)
        if place[0] != IO_TYPE_IRP or place[1] or place[0x43] > place[0x42] + 1:
            self._no_irp(irp, "IofCompleteRequest")
        if memory.read_u32(irp + 0x30) == NtStatus.PENDING:
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION,
                0x6,
                message="IofCompleteRequest: Irp->IoStatus.Status is STATUS_PENDING",
            )
        if memory.read_u64(irp + 0x68):
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION,
                0x7,
                message="IofCompleteRequest: the IRP still has a cancel routine",
            )

    def _wants(self, irp: int, control: int) -> bool:
        if not control & (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL):
            return False
        success = not self._memory.read_u32(irp + 0x30) & 0x8000_0000
        if control & (SL_INVOKE_ON_SUCCESS if success else SL_INVOKE_ON_ERROR):
            return True
        return bool(control & SL_INVOKE_ON_CANCEL and self._memory.read_u8(irp + 0x44))

    def _at_its_end(self, irp: int) -> Code:
        """The IRP has come back to who made it."""
        memory, record = self._memory, self._irps.record(irp)
        flags = self._irps.flags(irp)
        if flags & _ASSOCIATED:
            yield from self._associated(irp)
            return
        status, information = self._irps.io_status(irp)
        if record is None or (record.issuer is None and not record.synchronous):
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION,
                0x2,
                irp,
                message=f"the IRP at {irp:#x} came to its end, and nobody there waits for it: the completion routine of"
                " who allocates an IRP returns STATUS_MORE_PROCESSING_REQUIRED",
                driver=record.owner if record is not None else None,
            )
        release_mdls(self._kernel, irp)
        self._give_back_buffer(irp, flags, status, information)
        if record.issuer is not None:
            issuer = record.issuer
            issuer.auxiliary = memory.read_u64(irp + 0xA0)
            self._irps.free(irp)
            issuer.irp, issuer.cancellation = 0, None
            self._finish(issuer, status, information)
            return
        if memory.read_u64(irp + 0x48):
            memory.pack(Irp.IO_STATUS, memory.read_u64(irp + 0x48), status, information)
        event = memory.read_u64(irp + 0x50)
        self._irps.free(irp)
        if event:
            set_event(self._kernel, event)

    def _give_back_buffer(self, irp: int, flags: int, status: int, information: int) -> None:
        """What came back in a system buffer that was allocated for the IRP goes to the caller's buffer."""
        memory, pool = self._memory, self._kernel.pool
        buffer = memory.read_u64(irp + 0x18)
        if not flags & _DEALLOCATE_BUFFER or pool.block_at(buffer) is None:
            return
        if flags & _INPUT_OPERATION and information and status >> 30 != _ERROR:
            memory.write(memory.read_u64(irp + 0x70), memory.read(buffer, information))
        pool.free(buffer)

    def _associated(self, irp: int) -> Code:
        """An associated IRP is over; the last one completes its master."""
        memory = self._memory
        master = memory.read_u64(irp + 0x18)
        release_mdls(self._kernel, irp)
        self._irps.free(irp)
        left = memory.read_i32(master + 0x18) - 1
        memory.write_u32(master + 0x18, left)
        if left == 0:
            yield from self.complete(master)

    # -- cancelling

    def acquire_cancel_lock(self) -> Generator[Any, Any, int]:
        """IoAcquireCancelSpinLock; the IRQL to go back to."""
        irql = self._kernel.raise_irql(Irql.DISPATCH) if self._kernel.irql < Irql.DISPATCH else self._kernel.irql
        taken = self._kernel.spin_locks.acquire(self.cancel_lock, irql)
        if not isinstance(taken, int):
            yield from taken
        return irql

    def release_cancel_lock(self, irql: int) -> None:
        """IoReleaseCancelSpinLock."""
        self._kernel.spin_locks.release(self.cancel_lock)
        if irql < self._kernel.irql:
            self._kernel.lower_irql(irql)

    def cancel(self, irp: int) -> Code:
        """IoCancelIrp; whether a cancel routine was called."""
        memory = self._memory
        irql = yield from self.acquire_cancel_lock()
        memory.write_u8(irp + 0x44, 1)
        routine = memory.read_u64(irp + 0x68)
        memory.write_u64(irp + 0x68, 0)
        if not routine:
            self.release_cancel_lock(irql)
            return False
        record = self._irps.record(irp)
        if routine == self._irps.cancel_routine and record is not None and record.cancel is not None:
            (request, ours), record.cancel = record.cancel, None
            self.release_cancel_lock(irql)
            yield from ours(request)
            return True
        memory.write_u8(irp + 0x45, irql)
        at = self._irps.current(irp)
        device = memory.read_u64(at + 0x28) if memory.read_u8(irp + 0x43) <= memory.read_u8(irp + 0x42) else 0
        yield Call(routine, device, irp)
        return True
