"""Questions about a file or its volume that a driver asks by file object: an IRP from the top of the device stack."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.windows.io.constants import IrpFlags
from harness.reference.windows.io.parameters import INFORMATION
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def query(k: "Kernel", major: IrpMajor, address: int, kind: int, length: int, out: int, returned: int) -> Code:
    """Ask, wait, and store how much came back; NTSTATUS."""
    file = k.io.file_at(address)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    request = Request(
        OperationClass.IRP,
        major,
        file,
        k.current,
        parameters=INFORMATION.pack(length, kind, out),
        irp_flags=int(IrpFlags.SYNCHRONOUS_API),
    )
    request.system_buffer = True
    yield from k.io.issue(request)
    if returned:
        k.memory.write_u32(returned, request.information)
    return request.status
