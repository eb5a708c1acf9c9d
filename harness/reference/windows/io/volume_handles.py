"""Handles to volumes that the system opens itself: what tools such as fsutil do, without a program."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.windows.io.constants import FSCTL_DISMOUNT_VOLUME, IrpFlags
from harness.reference.windows.io.create import OpenParameters, open_file
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.parameters import Control
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume

_READ_WRITE_SYNCHRONIZE, _SYNCHRONOUS = 0x0010_0003, 0x20


def dismount(io: "IoManager", volume: "Volume") -> Code:
    """FSCTL_DISMOUNT_VOLUME by a handle of the system's own, as `fsutil volume dismount` does it; NTSTATUS."""
    if not volume.device:
        return int(NtStatus.SUCCESS)
    parameters = OpenParameters(access=_READ_WRITE_SYNCHRONIZE, options=_SYNCHRONOUS)
    status, _, file = yield from open_file(io, ObjectName(volume.device_name), parameters)
    if file is None:
        return status
    request = Request(
        OperationClass.IRP,
        IrpMajor.FILE_SYSTEM_CONTROL,
        file,
        io.kernel.current,
        parameters=Control(0, 0, FSCTL_DISMOUNT_VOLUME, 0, 0, 0).pack(),
        irp_flags=int(IrpFlags.SYNCHRONOUS_API),
    )
    status = yield from io.issue(request)
    yield from io.cleanup(file)
    yield from io.kernel.objects.release(file.object)
    return status
