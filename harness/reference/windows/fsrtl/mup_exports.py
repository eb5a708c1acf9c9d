"""The multiple UNC provider: no network redirector is registered with it, and no file is a remote one."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LEVELS = (1, 2)


@export(NTOSKRNL, "FsRtlMupGetProviderInfoFromFileObject", max_irql=Irql.APC)
def fsrtl_mup_get_provider_info_from_file_object(
    k: "Kernel", file: int, level: U32, buffer: int, size_pointer: int
) -> int:
    """OBJECT_NAME_NOT_FOUND: the file is none of a remote file system."""
    if k.io.file_at(file) is None or level not in _LEVELS or not buffer or not size_pointer:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.read_u32(size_pointer)
    return int(NtStatus.OBJECT_NAME_NOT_FOUND)


@export(NTOSKRNL, "FsRtlMupGetProviderIdFromName", max_irql=Irql.APC)
def fsrtl_mup_get_provider_id_from_name(k: "Kernel", name: int, number: int) -> int:
    if not name or not number:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.read_unicode_string(name)
    return int(NtStatus.OBJECT_NAME_NOT_FOUND)
