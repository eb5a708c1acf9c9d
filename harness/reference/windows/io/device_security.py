"""Security of devices: the descriptor of a DEVICE_OBJECT, and who may open one by it.

A device without a descriptor of its own may be opened by anybody. Only drivers that have asked for it
(FILE_DEVICE_SECURE_OPEN) have names below their device checked too: without it the path behind a device's name is the
driver's own business, and a way around its descriptor.
"""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.io.constants import FILE_DEVICE_SECURE_OPEN, USER_MODE
from harness.reference.windows.ntos.se.access_check import check_access
from harness.reference.windows.ntos.se.security import WORLD_DESCRIPTOR, replaced, selected
from harness.reference.windows.ntos.se.token_objects import Token, effective_token

if TYPE_CHECKING:
    from harness.reference.windows.io.devices import Device
    from harness.reference.windows.ntos.executive import Executive

_FILE_MAPPING = (0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF)
_FORCE_ACCESS_CHECK = 0x01


def descriptor_of(device: "Device", what: int) -> bytes:
    """The parts of a device's descriptor that SECURITY_INFORMATION asks for."""
    return selected(device.descriptor or WORLD_DESCRIPTOR, what)


def set_descriptor(k: "Executive", device: "Device", what: int, data: bytes) -> None:
    """Replace parts of a device's descriptor: DEVICE_OBJECT.SecurityDescriptor."""
    device.descriptor = replaced(device.descriptor or WORLD_DESCRIPTOR, what, data)
    old = device.view.security_descriptor
    device.view.security_descriptor = k.heap.allocate(len(device.descriptor))
    k.memory.write(device.view.security_descriptor, device.descriptor)
    if old:
        k.heap.free(old)


def refusal(k: "Executive", device: "Device", rest: str, access: int, mode: int, stack_flags: int) -> int:
    """Why a device, or a name below it, may not be opened by the current thread; 0 if it may."""
    if not device.descriptor or (mode != USER_MODE and not stack_flags & _FORCE_ACCESS_CHECK):
        return 0
    if rest and not device.view.characteristics & FILE_DEVICE_SECURE_OPEN:
        return 0
    token = effective_token(k, k.current).body
    assert isinstance(token, Token)
    status, _ = check_access(k, device.view.security_descriptor, token, access, _FILE_MAPPING)
    return int(NtStatus.ACCESS_DENIED) if status else 0
