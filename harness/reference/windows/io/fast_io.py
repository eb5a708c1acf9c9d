"""Fast I/O: what a routine of FAST_IO_DISPATCH takes, as a request, and a request as its arguments.

Between two drivers of the kernel's own a request is handed over as it is; a driver from outside is called by its table,
and calls ours by its addresses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, OperationClass
from harness.reference.machine.memory.structure import Field
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.constants import FileInformationClass, Minor
from harness.reference.windows.io.parameters import (
    CHECK_IF_POSSIBLE,
    INFORMATION,
    LOCK,
    NETWORK_QUERY_OPEN,
    Control,
    Transfer,
)
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.structures.fast_io_tables import FastIoDispatch

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_IO_STATUS = Struct("<I4xQ")
_SCRATCH = 0x30
_OFFSET, _LENGTH = 0x10, 0x18

Key = tuple[int, int]
"""Major function, and minor function or information class."""
Parsed = tuple[IrpMajor, int, bytes, int]
"""Major, minor, parameters, operation flags."""


class Arguments:
    """The arguments of a call that is being made; numbers that are passed by address are in `scratch`."""

    def __init__(self, k: "Executive", request: Request, device: int) -> None:
        self.k = k
        self.request = request
        self.device = device
        self.file = request.file.address if request.file is not None else 0
        self.scratch = k.heap.allocate(_SCRATCH)

    def number(self, offset: int, value: int) -> int:
        """Put a LARGE_INTEGER into the scratch; its address."""
        self.k.memory.write_u64(self.scratch + offset, value & 0xFFFF_FFFF_FFFF_FFFF)
        return self.scratch + offset


@dataclass(frozen=True, slots=True)
class FastRoutine:
    """One routine of the table. `iosb` says which argument is the IO_STATUS_BLOCK."""

    name: str
    field: Field
    key: Key
    arguments: int
    iosb: int
    make: Callable[[Arguments], tuple[int, ...]]
    parse: Callable[["Executive", tuple[int, ...]], Parsed]

    def for_guests(self, io: "IoManager", fast_io: Callable[[int, Request], Code]) -> Callable[..., Code]:
        """The routine as a driver from outside calls it."""
        k = io.kernel

        def call(*words: int) -> Code:
            major, minor, parameters, flags = self.parse(k, words)
            file = io.file_at(words[0]) if self.key[0] != IrpMajor.NETWORK_QUERY_OPEN else io.file_of_irp(words[0])
            request = Request(
                OperationClass.FAST_IO,
                major,
                file,
                k.current,
                minor=minor,
                parameters=parameters,
                operation_flags=flags,
                mode=io.previous_mode(),
            )
            done = yield from fast_io(words[-1], request)
            if done and self.iosb >= 0:
                k.memory.pack(_IO_STATUS, words[self.iosb], request.status, request.information)
            elif done:
                io.irps.set_io_status(words[0], request.status, request.information)
            return int(bool(done))

        return call


def _check(a: Arguments) -> tuple[int, ...]:
    offset, length, key, read = CHECK_IF_POSSIBLE.unpack_from(a.request.parameters)
    return a.file, a.number(_OFFSET, offset), length, 1, key, read, a.scratch, a.device


def _parse_check(k: "Executive", w: tuple[int, ...]) -> Parsed:
    packed = CHECK_IF_POSSIBLE.pack(k.memory.read_i64(w[1]), w[2] & 0xFFFF_FFFF, w[4] & 0xFFFF_FFFF, w[5] & 1)
    return IrpMajor.FAST_IO_CHECK_IF_POSSIBLE, 0, packed, 0


def _transfer(a: Arguments) -> tuple[int, ...]:
    t = Transfer.unpack(a.request.parameters)
    return a.file, a.number(_OFFSET, t.offset), t.length, 1, t.key, t.buffer, a.scratch, a.device


def _parse_transfer(major: IrpMajor) -> Callable[["Executive", tuple[int, ...]], Parsed]:
    def parse(k: "Executive", w: tuple[int, ...]) -> Parsed:
        packed = Transfer(w[2] & 0xFFFF_FFFF, w[4] & 0xFFFF_FFFF, k.memory.read_i64(w[1]), w[5], 0).pack()
        return major, 0, packed, 0

    return parse


def _query(a: Arguments) -> tuple[int, ...]:
    _, _, buffer = INFORMATION.unpack_from(a.request.parameters)
    return a.file, 1, buffer, a.scratch, a.device


def _parse_query(kind: FileInformationClass, length: int) -> Callable[["Executive", tuple[int, ...]], Parsed]:
    def parse(k: "Executive", w: tuple[int, ...]) -> Parsed:
        del k
        return IrpMajor.QUERY_INFORMATION, 0, INFORMATION.pack(length, int(kind), w[2]), 0

    return parse


def _lock(a: Arguments) -> tuple[int, ...]:
    length_at, key, offset, process, fail, exclusive = LOCK.unpack_from(a.request.parameters)
    return a.file, a.number(_OFFSET, offset), length_at, process, key, fail, exclusive, a.scratch, a.device


def _parse_lock(k: "Executive", w: tuple[int, ...]) -> Parsed:
    fail, exclusive = w[5] & 1, w[6] & 1
    packed = LOCK.pack(w[2], w[4] & 0xFFFF_FFFF, k.memory.read_i64(w[1]), w[3], fail, exclusive)
    return IrpMajor.LOCK_CONTROL, Minor.LOCK, packed, fail | exclusive << 1


def _unlock(a: Arguments) -> tuple[int, ...]:
    length_at, key, offset, process, _, _ = LOCK.unpack_from(a.request.parameters)
    return a.file, a.number(_OFFSET, offset), length_at, process, key, a.scratch, a.device


def _parse_unlock(k: "Executive", w: tuple[int, ...]) -> Parsed:
    packed = LOCK.pack(w[2], w[4] & 0xFFFF_FFFF, k.memory.read_i64(w[1]), w[3], 0, 0)
    return IrpMajor.LOCK_CONTROL, Minor.UNLOCK_SINGLE, packed, 0


def _unlock_all(a: Arguments) -> tuple[int, ...]:
    process = LOCK.unpack_from(a.request.parameters)[3]
    return a.file, process, a.scratch, a.device


def _parse_unlock_all(k: "Executive", w: tuple[int, ...]) -> Parsed:
    del k
    return IrpMajor.LOCK_CONTROL, Minor.UNLOCK_ALL, LOCK.pack(0, 0, 0, w[1], 0, 0), 0


def _unlock_by_key(a: Arguments) -> tuple[int, ...]:
    _, key, _, process, _, _ = LOCK.unpack_from(a.request.parameters)
    return a.file, process, key, a.scratch, a.device


def _parse_unlock_by_key(k: "Executive", w: tuple[int, ...]) -> Parsed:
    del k
    packed = LOCK.pack(0, w[2] & 0xFFFF_FFFF, 0, w[1], 0, 0)
    return IrpMajor.LOCK_CONTROL, Minor.UNLOCK_ALL_BY_KEY, packed, 0


def _control(a: Arguments) -> tuple[int, ...]:
    c = Control.unpack(a.request.parameters)
    return a.file, 1, c.first, c.input_length, c.second, c.output_length, c.code, a.scratch, a.device


def _parse_control(k: "Executive", w: tuple[int, ...]) -> Parsed:
    del k
    packed = Control(w[5] & 0xFFFF_FFFF, w[3] & 0xFFFF_FFFF, w[6] & 0xFFFF_FFFF, w[2], w[4], 0).pack()
    return IrpMajor.DEVICE_CONTROL, 0, packed, 0


def _query_open(a: Arguments) -> tuple[int, ...]:
    irp, buffer = NETWORK_QUERY_OPEN.unpack_from(a.request.parameters)
    return irp, buffer, a.device


def _parse_query_open(k: "Executive", w: tuple[int, ...]) -> Parsed:
    del k
    return IrpMajor.NETWORK_QUERY_OPEN, 0, NETWORK_QUERY_OPEN.pack(w[0], w[1]), 0


_T = FastIoDispatch
_ANY = -1
_QUERY = IrpMajor.QUERY_INFORMATION
_LOCKS = IrpMajor.LOCK_CONTROL
_BASIC, _STANDARD, _NETWORK = (
    FileInformationClass.BASIC,
    FileInformationClass.STANDARD,
    FileInformationClass.NETWORK_OPEN,
)
ROUTINES = (
    FastRoutine(
        "FastIoCheckIfPossible", _T.fast_io_check_if_possible, (IrpMajor.FAST_IO_CHECK_IF_POSSIBLE, _ANY), 8, 6,
        _check, _parse_check,
    ),
    FastRoutine("FastIoRead", _T.fast_io_read, (IrpMajor.READ, _ANY), 8, 6, _transfer, _parse_transfer(IrpMajor.READ)),
    FastRoutine(
        "FastIoWrite", _T.fast_io_write, (IrpMajor.WRITE, _ANY), 8, 6, _transfer, _parse_transfer(IrpMajor.WRITE)
    ),
    FastRoutine(
        "FastIoQueryBasicInfo", _T.fast_io_query_basic_info, (_QUERY, _BASIC), 5, 3, _query, _parse_query(_BASIC, 40)
    ),
    FastRoutine(
        "FastIoQueryStandardInfo", _T.fast_io_query_standard_info, (_QUERY, _STANDARD), 5, 3, _query,
        _parse_query(_STANDARD, 24),
    ),
    FastRoutine(
        "FastIoQueryNetworkOpenInfo", _T.fast_io_query_network_open_info, (_QUERY, _NETWORK), 5, 3, _query,
        _parse_query(_NETWORK, 56),
    ),
    FastRoutine("FastIoLock", _T.fast_io_lock, (_LOCKS, Minor.LOCK), 9, 7, _lock, _parse_lock),
    FastRoutine(
        "FastIoUnlockSingle", _T.fast_io_unlock_single, (_LOCKS, Minor.UNLOCK_SINGLE), 7, 5, _unlock, _parse_unlock
    ),
    FastRoutine(
        "FastIoUnlockAll", _T.fast_io_unlock_all, (_LOCKS, Minor.UNLOCK_ALL), 4, 2, _unlock_all, _parse_unlock_all
    ),
    FastRoutine(
        "FastIoUnlockAllByKey", _T.fast_io_unlock_all_by_key, (_LOCKS, Minor.UNLOCK_ALL_BY_KEY), 5, 3,
        _unlock_by_key, _parse_unlock_by_key,
    ),
    FastRoutine(
        "FastIoDeviceControl", _T.fast_io_device_control, (IrpMajor.DEVICE_CONTROL, _ANY), 9, 7, _control,
        _parse_control,
    ),
    FastRoutine(
        "FastIoQueryOpen", _T.fast_io_query_open, (IrpMajor.NETWORK_QUERY_OPEN, _ANY), 3, -1, _query_open,
        _parse_query_open,
    ),
)  # fmt: skip
_BY_KEY = {routine.key: routine for routine in ROUTINES}


def routine_for(request: Request) -> FastRoutine | None:
    """The routine that a request goes to."""
    major = request.major
    if major == IrpMajor.QUERY_INFORMATION:
        return _BY_KEY.get((major, INFORMATION.unpack_from(request.parameters)[1]))
    return _BY_KEY.get((major, request.minor if major == IrpMajor.LOCK_CONTROL else _ANY))


def fast_io(io: "IoManager", device: int, request: Request) -> Code:
    """Ask a device's fast I/O table; whether it was done, with status and Information in the request then."""
    driver = io.kernel.memory.read_u64(device + 0x08)
    native = io.native_drivers.get(driver)
    return _by_table(io, driver, device, request) if native is None else native.fast_io(device, request)


def _by_table(io: "IoManager", driver: int, device: int, request: Request) -> Code:
    """Call what a driver from outside has in its table."""
    k = io.kernel
    routine, table = routine_for(request), k.memory.read_u64(driver + 0x50)
    function = FastIoDispatch.routine(k.memory, table, routine.field) if routine is not None else 0
    if routine is None or not function:
        return False
    arguments = Arguments(k, request, device)
    done = (yield Call(function, *routine.make(arguments))) & 0xFF
    if done:
        if routine.iosb >= 0:
            status, information = k.memory.unpack(_IO_STATUS, arguments.scratch)
        else:
            status, information = io.irps.io_status(NETWORK_QUERY_OPEN.unpack_from(request.parameters)[0])
        request.status, request.information = status, information
    k.heap.free(arguments.scratch)
    return bool(done)


REFUSED = int(NtStatus.FLT_DISALLOW_FAST_IO)
