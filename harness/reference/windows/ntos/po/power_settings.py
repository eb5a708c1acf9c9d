"""Power settings: drivers that want to know the source of power, the display and the scheme; none changes here."""

from struct import pack
from typing import TYPE_CHECKING
from uuid import UUID

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_CALLBACK = Kind("power setting callback", "PoUnregisterPowerSettingCallback")
_BALANCED = UUID("381b4222-f694-41f0-9685-ff5bb260df2e").bytes_le
_ON = pack("<I", 1)
_VALUES = {
    UUID("5d3e9a59-e9d5-4b00-a6bd-ff34ff516548").bytes_le: bytes(4),  # GUID_ACDC_POWER_SOURCE: PoAc
    UUID("02731015-4510-4526-99e6-e5a17ebd1aea").bytes_le: _ON,  # GUID_MONITOR_POWER_ON
    UUID("6fe69556-704a-47a0-8f24-c28d936fda47").bytes_le: _ON,  # GUID_CONSOLE_DISPLAY_STATE: PowerMonitorOn
    UUID("245d8541-3943-4422-b025-13a784f679b7").bytes_le: _BALANCED,  # GUID_POWERSCHEME_PERSONALITY
}
"""What a machine on mains, with its display on, has."""
_SIZE = 0x10


@export(NTOSKRNL, "PoRegisterPowerSettingCallback", max_irql=Irql.PASSIVE)
def po_register_power_setting_callback(
    k: "Kernel", device: int, setting: int, callback: int, context: int, handle_out: int
) -> KernelCode:
    """The callback has the value that there is before this returns; of a setting that is not known it has none."""
    del device
    if not setting or not callback:
        return int(NtStatus.INVALID_PARAMETER)
    identity = k.memory.read(setting, 16)
    handle = k.heap.allocate(_SIZE)
    if handle_out:
        k.memory.write_u64(handle_out, handle)
    k.holdings.take(_CALLBACK, handle)
    value = _VALUES.get(identity)
    if value is not None:
        told = k.heap.allocate(16 + len(value))
        k.memory.write(told, identity + value)
        arguments = told, told + 16, len(value), context
        yield from k.kept.call("its power setting callback", callback, *arguments)
        k.heap.free(told)
    return 0


@export(NTOSKRNL, "PoUnregisterPowerSettingCallback", max_irql=Irql.PASSIVE)
def po_unregister_power_setting_callback(k: "Kernel", handle: int) -> int:
    if not k.holdings.give_back(_CALLBACK, handle):
        return int(NtStatus.INVALID_PARAMETER)
    k.heap.free(handle)
    return 0
