"""What drivers ask of the machine: processor features, firmware, hard errors."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, Length, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_FEATURES = frozenset({2, 3, 6, 8, 10, 12, 13, 14, 17})
_VARIABLE_NOT_FOUND = 0xC0000100


@export(NTOSKRNL, "ExIsProcessorFeaturePresent")
def ex_is_processor_feature_present(k: "Kernel", feature: U32) -> bool:
    """cmpxchg8b, MMX, SSE, rdtsc, SSE2, NX, SSE3, cmpxchg16b, XSAVE."""
    del k
    return feature in _FEATURES


@export(NTOSKRNL, "ExVerifySuite")
def ex_verify_suite(k: "Kernel", suite: U32) -> bool:
    """SingleUserTS."""
    del k
    return suite == 8


@export(NTOSKRNL, "ExIsSoftBoot", "ExIsManufacturingModeEnabled")
def ex_is_soft_boot(k: "Kernel") -> bool:
    del k
    return False


@export(NTOSKRNL, "ExGetFirmwareType")
def ex_get_firmware_type(k: "Kernel") -> int:
    """FirmwareTypeUefi."""
    del k
    return 2


@export(NTOSKRNL, "ExGetFirmwareEnvironmentVariable", max_irql=Irql.PASSIVE)
def ex_get_firmware_environment_variable(
    k: "Kernel", name: int, vendor: int, value: int, length: int, attributes: int
) -> int:
    """There are no variables."""
    del name, vendor, value, attributes
    k.memory.write_u32(length, 0)
    return _VARIABLE_NOT_FOUND


@export(NTOSKRNL, "ExSetFirmwareEnvironmentVariable", max_irql=Irql.PASSIVE)
def ex_set_firmware_environment_variable(
    k: "Kernel", name: int, vendor: int, value: int, length: Length, attributes: U32
) -> int:
    del k, name, vendor, value, length, attributes
    return int(NtStatus.NOT_SUPPORTED)


@export(NTOSKRNL, "ExEnumerateSystemFirmwareTables", "ExGetSystemFirmwareTable", max_irql=Irql.PASSIVE)
def ex_enumerate_system_firmware_tables(k: "Kernel", provider: U32) -> int:
    """There are none to enumerate."""
    del k, provider
    return int(NtStatus.NOT_FOUND)


@export(NTOSKRNL, "ExGetCurrentProcessorCounts", max_irql=Irql.DISPATCH)
def ex_get_current_processor_counts(k: "Kernel", idle: int, total: int, number: int) -> int:
    for address, value in ((idle, 0), (total, k.now & 0xFFFF_FFFF), (number, k.processor.number)):
        k.memory.write_u32(address, value)
    return 0


@export(NTOSKRNL, "ExRaiseHardError", max_irql=Irql.PASSIVE)
def ex_raise_hard_error(
    k: "Kernel", status: U32, count: U32, mask: U32, parameters: int, options: U32, response: int
) -> int:
    """Nobody looks at a screen here: the log has it, and the response is that there was none (ResponseNotHandled)."""
    del count, mask, parameters, options
    k.probes.happened((f"ExRaiseHardError {status:#010x}",))
    k.memory.write_u32(response, 1)
    return 0


@export(NTOSKRNL, "IoRaiseInformationalHardError", max_irql=Irql.APC)
def io_raise_informational_hard_error(k: "Kernel", status: U32, string: int, thread: int) -> bool:
    del string, thread
    k.probes.happened((f"IoRaiseInformationalHardError {status:#010x}",))
    return True
