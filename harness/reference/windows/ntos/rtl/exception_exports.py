"""Structured exceptions: raising, and the language handler of `__try`."""

from typing import TYPE_CHECKING

from harness.reference.machine.cpu.exceptions import GuestException, PageFault
from harness.reference.machine.cpu.seh.records import ExceptionRecord
from harness.reference.machine.loader.exports import KERNEL_AND_USER, NTDLL, NTOSKRNL, U32, export
from harness.reference.machine.memory.layout import PAGE_SIZE, is_user

if TYPE_CHECKING:
    from harness.reference.machine.cpu.seh.dispatch import SehCode
    from harness.reference.windows.kernel import Kernel

STATUS_DATATYPE_MISALIGNMENT = 0x80000002
STATUS_ACCESS_VIOLATION = 0xC0000005


@export(KERNEL_AND_USER, "__C_specific_handler")
def c_specific_handler(k: "Kernel", record: int, frame: int, context: int, dispatcher: int) -> "SehCode":
    return k.seh.specific_handler(record, frame, context, dispatcher)


@export(NTOSKRNL, "ExRaiseStatus", "RtlRaiseStatus")
@export(NTDLL, "RtlRaiseStatus")
def ex_raise_status(k: "Kernel", status: U32) -> int:
    del k
    raise GuestException(status)


@export(NTOSKRNL, "RtlRaiseException")
def rtl_raise_exception(k: "Kernel", record_at: int) -> int:
    record = ExceptionRecord(k.memory, record_at)
    count = min(record.parameter_count, 15)
    raise GuestException(record.code, *(k.memory.read_u64(record_at + 0x20 + 8 * i) for i in range(count)))


@export(NTOSKRNL, "ExRaiseAccessViolation")
def ex_raise_access_violation(k: "Kernel") -> int:
    del k
    raise GuestException(STATUS_ACCESS_VIOLATION)


@export(NTOSKRNL, "ExRaiseDatatypeMisalignment")
def ex_raise_datatype_misalignment(k: "Kernel") -> int:
    del k
    raise GuestException(STATUS_DATATYPE_MISALIGNMENT)


@export(NTOSKRNL, "ProbeForRead", max_irql=1)
def probe_for_read(k: "Kernel", address: int, length: int, alignment: U32) -> int:
    """Checks that a range is in user space and aligned; touches nothing."""
    del k
    if length:
        _check_range(address, length, alignment)
    return 0


@export(NTOSKRNL, "ProbeForWrite", max_irql=1)
def probe_for_write(k: "Kernel", address: int, length: int, alignment: U32) -> int:
    """Checks that a range is in user space, aligned and writable."""
    if not length:
        return 0
    _check_range(address, length, alignment)
    for page in range(address & -PAGE_SIZE, address + length, PAGE_SIZE):
        at = max(page, address)
        if not k.memory.is_mapped(at, write=True):
            raise PageFault(at, write=True)
    return 0


def _check_range(address: int, length: int, alignment: int) -> None:
    if alignment > 1 and address & (alignment - 1):
        raise GuestException(STATUS_DATATYPE_MISALIGNMENT)
    if not is_user(address + length - 1):
        raise GuestException(STATUS_ACCESS_VIOLATION, 0, address)
