"""Exported variables, and KUSER_SHARED_DATA, which drivers read inline."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL
from harness.reference.machine.memory.layout import (
    HIGHEST_USER_ADDRESS,
    PAGE_SIZE,
    SYSTEM_RANGE_START,
    USER_SHARED_DATA,
    USER_SHARED_DATA_USER,
)
from harness.reference.windows.ntos.se.se_exports import fill_se_exports

if TYPE_CHECKING:
    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.memory.heap import SystemHeap
    from harness.reference.machine.memory.memory import Memory

BUILD = 22631
BOOT_TIME = 133_800_000_000_000_000
"""System time at boot, in 100 ns since 1601: always the same day of 2024, so that runs repeat."""
PERFORMANCE_FREQUENCY = 10_000_000
"""Of KeQueryPerformanceCounter, in Hz: it counts 100 ns."""
TICK = 156_250
"""15.625 ms, in 100 ns."""
UP_TICKS = 4096
"""Clock ticks since the machine was started when `now` is 0: to drivers, a time of 0 may well mean never."""

_KSYSTEM_TIME = Struct("<IiI")
_INTERRUPT_TIME, _SYSTEM_TIME, _TICK_COUNT = 0x08, 0x14, 0x320
_SYSTEM_ROOT = 0x30
_NUMBER_OF_PHYSICAL_PAGES, _ACTIVE_PROCESSORS = 0x2E8, 0x3C0


class SharedData:
    """KUSER_SHARED_DATA, at its kernel and its user address."""

    def __init__(self, memory: "Memory", processors: int) -> None:
        memory.map(USER_SHARED_DATA, PAGE_SIZE, writable=False)
        frames = memory.frames(USER_SHARED_DATA, PAGE_SIZE)
        memory.map(USER_SHARED_DATA_USER, PAGE_SIZE, writable=False, user=True, frames=frames)
        self._ram = memory.ram
        self._page = frames[0]
        self._tick = -1
        root = "C:\\Windows".encode("utf-16-le")
        self._ram[self._page + _SYSTEM_ROOT : self._page + _SYSTEM_ROOT + len(root)] = root
        put = Struct("<I").pack_into
        put(self._ram, self._page + 0x004, 0x0FA00000)  # TickCountMultiplier
        put(self._ram, self._page + 0x260, BUILD)  # NtBuildNumber
        put(self._ram, self._page + 0x264, 1)  # NtProductType: workstation
        self._ram[self._page + 0x268] = 1  # ProductTypeIsValid
        put(self._ram, self._page + 0x26C, 10)  # NtMajorVersion
        put(self._ram, self._page + 0x270, 0)  # NtMinorVersion
        put(self._ram, self._page + _ACTIVE_PROCESSORS, processors)
        for feature in (2, 3, 6, 8, 10, 12):  # cmpxchg8b, MMX, SSE, rdtsc, SSE2, NX
            self._ram[self._page + 0x274 + feature] = 1
        self.update(0)

    def update(self, now: int) -> None:
        """Set the clocks, which move once a clock tick."""
        tick = now // TICK
        if tick == self._tick:
            return
        self._tick = tick
        for offset, value in (
            (_INTERRUPT_TIME, (UP_TICKS + tick) * TICK),
            (_SYSTEM_TIME, BOOT_TIME + tick * TICK),
            (_TICK_COUNT, UP_TICKS + tick),
        ):
            high = value >> 32
            _KSYSTEM_TIME.pack_into(self._ram, self._page + offset, value & 0xFFFF_FFFF, high, high)


OBJECT_TYPES = (
    "ExEventObjectType",
    "ExSemaphoreObjectType",
    "IoFileObjectType",
    "IoDriverObjectType",
    "IoDeviceObjectType",
    "PsProcessType",
    "PsThreadType",
    "SeTokenObjectType",
    "MmSectionObjectType",
    "CmKeyObjectType",
    "TmTransactionObjectType",
)


_FAT, _HPFS, _NTFS, _WILD, _OLE = 1, 2, 4, 8, 16
LEGAL_ANSI_CHARACTERS = bytes(
    0
    if code < 0x20 or chr(code) in "/\\:"
    else _WILD | _OLE
    if chr(code) in '"*<>?'
    else _OLE
    if chr(code) == "|"
    else _HPFS | _NTFS | _OLE
    if chr(code) in " +,;=[]."
    else _FAT | _HPFS | _NTFS | _OLE
    for code in range(128)
)
"""FsRtlLegalAnsiCharacterArray: in which file systems a character may stand in a name, and which are wild."""


class DataExports:
    """The exported variables of ntoskrnl.exe."""

    def __init__(
        self, memory: "Memory", heap: "SystemHeap", exports: "ExportBinder", *, system_process: int, processors: int
    ) -> None:
        self._memory = memory
        self._exports = exports
        self.object_types: dict[str, int] = {}
        """OBJECT_TYPE addresses by the exported variable's name."""
        for name in OBJECT_TYPES:
            self.object_types[name] = heap.allocate(0x100)
            self._pointer(name, self.object_types[name])
        self._pointer("MmHighestUserAddress", HIGHEST_USER_ADDRESS)
        self._pointer("MmSystemRangeStart", SYSTEM_RANGE_START)
        self._pointer("MmUserProbeAddress", HIGHEST_USER_ADDRESS + 1)
        self._pointer("PsInitialSystemProcess", system_process)
        self._number("NtBuildNumber", 0xF0000000 | BUILD, 4)
        self._number("KeNumberProcessors", processors, 4)
        self._number("KdDebuggerEnabled", 0, 1)
        self._number("KdDebuggerNotPresent", 1, 1)
        self._number("InitSafeBootMode", 0, 4)
        self._number("NlsMbCodePageTag", 0, 1)
        self._number("NlsMbOemCodePageTag", 0, 1)
        self._number("NlsAnsiCodePage", 1252, 2)
        self._number("NlsOemCodePage", 437, 2)
        self._pointer("SeExports", fill_se_exports(memory, heap))
        legal = heap.allocate(len(LEGAL_ANSI_CHARACTERS))
        memory.write(legal, LEGAL_ANSI_CHARACTERS)
        self._pointer("FsRtlLegalAnsiCharacterArray", legal)
        self._pointer("FltMgrSecurityDescriptor", 0, module=FLTMGR)

    def _pointer(self, name: str, value: int, *, module: str = NTOSKRNL) -> None:
        self._number(name, value, 8, module=module)

    def _number(self, name: str, value: int, size: int, *, module: str = NTOSKRNL) -> None:
        address = self._exports.add_data(name, size, module=module)
        self._memory.write(address, value.to_bytes(size, "little"))
