"""NtQuerySystemInformation, for drivers and programs."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U32
from harness.reference.windows.io.system_services import probe, service
from harness.reference.windows.ntos.ex import system_information as tell
from harness.reference.windows.user.query_answers import answer

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_BASIC, _PROCESSOR, _TIME_OF_DAY, _PROCESSES, _MODULES = 0, 1, 3, 5, 11
_DEBUGGER, _HANDLES, _CODE_INTEGRITY = 35, 64, 103
_EXACT = frozenset({_BASIC, _CODE_INTEGRITY})


@service("QuerySystemInformation")
def query_system_information(k: "Kernel", mode: int, kind: U32, buffer: int, length: U32, returned: int) -> int:
    """NtQuerySystemInformation: INFO_LENGTH_MISMATCH with the length that is needed where the buffer is too small."""
    probe(mode, buffer, length)
    data = _data(k, kind, buffer, length)
    if data is None:
        return int(NtStatus.INVALID_INFO_CLASS)
    return answer(k, data, buffer, length, returned, exact=kind in _EXACT)


def _data(k: "Kernel", kind: int, buffer: int, length: int) -> bytes | None:
    if kind == _PROCESSES:
        return tell.processes(k, buffer)
    if kind == _MODULES:
        images = ((driver.name, driver.image) for driver in k.drivers.loaded.values())
        return tell.modules(k, [(name, image.base, image.size) for name, image in images])
    if kind == _CODE_INTEGRITY:
        return tell.code_integrity(k, 8)
    simple = {
        _BASIC: tell.basic,
        _PROCESSOR: tell.processor,
        _TIME_OF_DAY: tell.time_of_day,
        _DEBUGGER: tell.debugger,
        _HANDLES: tell.handles,
    }
    return simple[kind](k) if kind in simple else None
