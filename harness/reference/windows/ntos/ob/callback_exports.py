"""ObRegisterCallbacks: drivers that are asked when handles to processes and threads are made."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.windows.ntos.ob.handle_callbacks import CREATE, DUPLICATE, Operation, Registration
from harness.reference.windows.ntos.ps.signed_images import is_signed
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_VERSION = 0x0100
_OPERATION_SIZE = 32
_REGISTRATION = Kind("registration of object callbacks", "ObUnRegisterCallbacks")
_TYPES = {"PsProcessType": "Process", "PsThreadType": "Thread"}


@export(NTOSKRNL, "ObGetFilterVersion", max_irql=Irql.APC)
def ob_get_filter_version(k: "Kernel") -> int:
    del k
    return _VERSION


@export(NTOSKRNL, "ObRegisterCallbacks", max_irql=Irql.APC)
def ob_register_callbacks(k: "Kernel", registration: int, handle_pointer: int) -> int:
    """Only processes and threads have callbacks, an altitude is taken once, and the image must be INTEGRITYCHECKed."""
    version, count = k.memory.read_u16(registration), k.memory.read_u16(registration + 2)
    altitude = k.memory.read_unicode_string(registration + 8)
    first = k.memory.read_u64(registration + 32)
    if version & 0xFF00 != _VERSION or not count or not altitude.replace(".", "", 1).isdigit():
        return int(NtStatus.INVALID_PARAMETER)
    operations: list[Operation] = []
    for at in range(first, first + _OPERATION_SIZE * count, _OPERATION_SIZE):
        operation = _operation(k, at)
        if operation is None:
            return int(NtStatus.INVALID_PARAMETER)
        for routine in filter(None, (operation.before, operation.after)):
            if not is_signed(k, routine, "ObRegisterCallbacks"):
                return int(NtStatus.ACCESS_DENIED)
        operations.append(operation)
    context = k.memory.read_u64(registration + 24)
    handle = k.heap.allocate(0x40)
    made = Registration(altitude, context, tuple(operations), handle, k.blame.current().driver)
    if not k.handle_callbacks.add(made):
        k.heap.free(handle)
        return int(NtStatus.FLT_INSTANCE_ALTITUDE_COLLISION)
    k.holdings.take(_REGISTRATION, handle, f"at altitude {altitude}")
    k.memory.write_u64(handle_pointer, handle)
    return 0


def _operation(k: "Kernel", at: int) -> Operation | None:
    """An OB_OPERATION_REGISTRATION; None if it asks for what there is not."""
    variable, operations = k.memory.read_u64(at), k.memory.read_u32(at + 8)
    kind = k.memory.read_u64(variable) if variable else 0
    before, after = k.memory.read_u64(at + 16), k.memory.read_u64(at + 24)
    name = next((_TYPES[key] for key in _TYPES if k.data.object_types[key] == kind), None)
    if name is None or not operations or operations & ~(CREATE | DUPLICATE) or not (before or after):
        return None
    return Operation(name, operations, before, after)


@export(NTOSKRNL, "ObUnRegisterCallbacks", max_irql=Irql.APC)
def ob_unregister_callbacks(k: "Kernel", handle: int) -> int:
    if k.handle_callbacks.remove(handle) is None:
        k.verifier.report(
            None, k.blame.current().driver, f"ObUnRegisterCallbacks was given {handle:#x}, which is no registration"
        )
        return 0
    k.holdings.give_back(_REGISTRATION, handle)
    k.heap.free(handle)
    return 0
