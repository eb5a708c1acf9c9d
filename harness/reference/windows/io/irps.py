"""IRPs in guest memory: allocating and freeing them, their stack locations, and what a driver finds in one.

Freed IRPs keep their memory for a while, filled with a pattern that is no address, so that who still uses one faults.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import BugCheck, IrpMajor, OperationClass
from harness.reference.windows.io import stack_parameters
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags
from harness.reference.windows.io.file_object import file_at as file_object_at
from harness.reference.windows.io.request import CancelRoutine, Code, Request
from harness.reference.windows.io.stack_parameters import Buffers
from harness.reference.windows.structures.irp import (
    IO_TYPE_IRP,
    SL_ERROR_RETURNED,
    SL_PENDING_RETURNED,
    IoStackLocation,
    Irp,
)
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.ntos.executive import Executive

HEADER = Struct("<HH4xQI4xQ16xI4xQBBBBBBBBQQqQQQ32xQQ16xQQ8x")
"""An IRP from Type to the end, without its lists."""
_LOCATION = Struct("<BBBB4x32sQQQQ")
_BODY = Struct("<QI4xQ")  # MdlAddress, Flags, SystemBuffer
_PLACE = Struct("<BB")  # StackCount, CurrentLocation
_U64 = Struct("<Q")
_HEAD = Struct("<HH")
"""Type and Size."""
_POISON = b"\xdd"
_KEPT = 64
_IRP = Kind("allocated IRP", "IoFreeIrp")
CONTROLS_KEPT_FOR_NEXT = SL_PENDING_RETURNED | SL_ERROR_RETURNED
MOST_LOCATIONS = 127

assert HEADER.size == Irp.SIZE
assert _LOCATION.size == IoStackLocation.SIZE


@dataclass(slots=True)
class IrpRecord:
    """What the kernel knows of an IRP beside its memory."""

    stack_count: int
    owner: str | None
    """The driver that allocated it; None for the I/O manager."""
    issuer: Request | None = None
    """Whose request it is, at the top of the stack."""
    cancel: tuple[Request, CancelRoutine] | None = None
    """Code of the kernel's own that CancelRoutine stands for."""
    synchronous: bool = False
    """IoBuildSynchronousFsdRequest and IoBuildDeviceIoControlRequest: freed when it completes."""


class Irps:
    """The IRPs that are allocated."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self._memory = kernel.memory
        self.live: dict[int, IrpRecord] = {}
        self._freed: deque[int] = deque()
        self.release_cancel_lock: Callable[[int], None]
        """IoReleaseCancelSpinLock; the dispatcher's."""
        self.cancel_routine = kernel.exports.add_routine("IopCancelRoutine", self._called_by_guest, 2)
        """The guest address that stands for cancel routines of the kernel's own."""

    # -- allocation

    def allocate(self, stack_size: int, *, owner: str | None = None, issuer: Request | None = None) -> int:
        """A new IRP with room for `stack_size` drivers; its guest address."""
        address = self._kernel.heap.allocate(Irp.SIZE + IoStackLocation.SIZE * stack_size)
        self.live[address] = IrpRecord(stack_size, owner, issuer)
        if owner is not None:
            self._kernel.holdings.take(_IRP, address)
        self.initialize(address, stack_size)
        return address

    def initialize(self, address: int, stack_size: int) -> None:
        """IoInitializeIrp: the header; the stack locations are zero already."""
        size = Irp.SIZE + IoStackLocation.SIZE * stack_size
        self._memory.write(
            address,
            HEADER.pack(
                IO_TYPE_IRP, size, 0, 0, 0, 0, 0, 0, 0, stack_size, stack_size + 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                address + size, 0,
            ),
        )  # fmt: skip

    def free(self, address: int) -> None:
        """IoFreeIrp."""
        record = self.live.pop(address, None)
        if record is None:
            self._kernel.bugcheck(
                BugCheck.MULTIPLE_IRP_COMPLETE_REQUESTS,
                address,
                message=f"{address:#x} is freed as an IRP, and is none",
            )
        if record.owner is not None:
            self._kernel.holdings.give_back(_IRP, address)
        kind, size = _HEAD.unpack(self._memory.read(address, _HEAD.size))
        whole = Irp.SIZE + IoStackLocation.SIZE * record.stack_count
        if (kind, size) != (IO_TYPE_IRP, whole):
            text = f"the IRP at {address:#x} is freed with its header destroyed: Type {kind:#x}, Size {size:#x}"
            self._kernel.bugcheck(BugCheck.MULTIPLE_IRP_COMPLETE_REQUESTS, address, message=text)
        self._memory.write(address, _POISON * whole)
        self._freed.append(address)
        if len(self._freed) > _KEPT:
            self._kernel.heap.free(self._freed.popleft())

    def record(self, address: int) -> IrpRecord | None:
        """What is known of an IRP; None for what is none (a driver may keep one in memory of its own)."""
        return self.live.get(address)

    def of_issuer(self) -> Iterator[Request]:
        """The requests that are under way as IRPs, in the order of their sending."""
        return (record.issuer for record in list(self.live.values()) if record.issuer is not None)

    # -- stack locations

    def current(self, irp: int) -> int:
        """IoGetCurrentIrpStackLocation: its address."""
        return self._memory.read_u64(irp + 0xB8)

    def next(self, irp: int) -> int:
        """IoGetNextIrpStackLocation: its address."""
        return self._memory.read_u64(irp + 0xB8) - IoStackLocation.SIZE

    def copy_to_next(self, irp: int) -> int:
        """IoCopyCurrentIrpStackLocationToNext; the address of the next location."""
        current = self.current(irp)
        data = bytearray(self._memory.read(current, IoStackLocation.SIZE))
        data[3] = 0
        data[0x38:0x48] = bytes(16)
        self._memory.write(current - IoStackLocation.SIZE, bytes(data))
        return current - IoStackLocation.SIZE

    def skip(self, irp: int) -> None:
        """IoSkipCurrentIrpStackLocation."""
        count, location = self._memory.unpack(_PLACE, irp + 0x42)
        del count
        self._memory.write_u8(irp + 0x43, location + 1)
        self._memory.write_u64(irp + 0xB8, self.current(irp) + IoStackLocation.SIZE)

    def advance(self, irp: int) -> None:
        """IoSetNextIrpStackLocation: what is next is current, as if a driver had called the one that works on it."""
        location = self._memory.read_u8(irp + 0x43)
        self._memory.write_u8(irp + 0x43, location - 1)
        self._memory.write_u64(irp + 0xB8, self.current(irp) - IoStackLocation.SIZE)

    def set_completion_routine(self, irp: int, routine: int, context: int) -> None:
        """IoSetCompletionRoutine, for success, error and cancel."""
        at = self.next(irp)
        self._memory.write_u8(at + 3, 0xE0)
        self._memory.write(at + 0x38, struct_pair(routine, context))

    def mark_pending(self, irp: int) -> None:
        """IoMarkIrpPending."""
        at = self.current(irp) + 3
        self._memory.write_u8(at, self._memory.read_u8(at) | SL_PENDING_RETURNED)

    def set_io_status(self, irp: int, status: int, information: int) -> None:
        """Store IoStatus."""
        self._memory.pack(Irp.IO_STATUS, irp + Irp.STATUS, status & 0xFFFF_FFFF, information & 0xFFFF_FFFF_FFFF_FFFF)

    def io_status(self, irp: int) -> tuple[int, int]:
        """IoStatus.Status and IoStatus.Information."""
        status, information = self._memory.unpack(Irp.IO_STATUS, irp + Irp.STATUS)
        return status, information

    # -- requests and IRPs

    def build(self, request: Request, stack_size: int, device: int) -> int:
        """The IRP of a request, its first stack location filled in; the request knows it from now on."""
        size = Irp.SIZE + IoStackLocation.SIZE * stack_size
        address = self._kernel.heap.allocate(size)
        self.live[address] = IrpRecord(stack_size, None, request)
        location, buffers = stack_parameters.unpack(request.major, request.minor, request.parameters, Buffers())
        file = request.file.address if request.file is not None else 0
        self._memory.write(
            address,
            HEADER.pack(
                IO_TYPE_IRP, size, buffers.mdl, request.irp_flags & 0xFFFF_FFFF, buffers.system, 0, 0,
                request.mode, 0, stack_size, stack_size + 1, 0, 0, 0, 0, request.iosb, 0,
                _signed(buffers.allocation), 0, 0, buffers.user, request.thread.kthread, 0, address + size, file,
            ),
        )  # fmt: skip
        self.write_location(
            address + size - IoStackLocation.SIZE, request.major, request.minor, request.operation_flags, location,
            device, file,
        )  # fmt: skip
        request.irp = address
        request.cancellation = self
        return address

    def write_location(
        self, at: int, major: int, minor: int, flags: int, parameters: bytes, device: int, file: int
    ) -> None:
        """Fill in a stack location, with no completion routine."""
        self._memory.write(at, _LOCATION.pack(major, minor, flags & 0xFF, 0, parameters, device, file, 0, 0))

    def buffers(self, irp: int) -> Buffers:
        """The IRP's buffers."""
        memory = self._memory
        mdl, _, system = memory.unpack(_BODY, irp + 8)
        return Buffers(memory.read_u64(irp + 0x70), system, mdl, memory.read_u64(irp + 0x58))

    def set_buffers(self, irp: int, buffers: Buffers) -> None:
        """Change the IRP's buffers."""
        memory = self._memory
        memory.write_u64(irp + 0x08, buffers.mdl)
        memory.write_u64(irp + 0x18, buffers.system)
        memory.write_u64(irp + 0x70, buffers.user)

    def flags(self, irp: int) -> int:
        """Irp->Flags."""
        return self._memory.read_u32(irp + 0x10)

    def request_of(self, irp: int) -> Request:
        """What the current stack location asks, parsed, for a driver of the kernel's own."""
        kernel, memory = self._kernel, self._memory
        header = HEADER.unpack(memory.read(irp, Irp.SIZE))
        mdl, flags, system = header[2:5]
        mode, allocation, user, thread_at, location = header[7], header[17], header[20], header[21], header[23]
        major, minor, operation, _, parameters, _, file_at, _, _ = _LOCATION.unpack(
            memory.read(location, IoStackLocation.SIZE)
        )
        thread = kernel.processes.threads.get(thread_at) or kernel.current
        request = Request(
            OperationClass.IRP,
            major,
            file_object_at(kernel, file_at) if file_at else None,
            thread,
            minor=minor,
            parameters=stack_parameters.pack(
                major,
                minor,
                parameters,
                Buffers(user, system, mdl, allocation),
                flags=operation,
                process=thread.process.eprocess if major == IrpMajor.LOCK_CONTROL else 0,
            ),
            irp_flags=flags,
            operation_flags=operation,
            mode=mode,
        )
        request.irp = irp
        request.cancellation = self
        request.synchronous = is_synchronous(request)
        request.system_buffer = bool(system) and major != IrpMajor.CREATE
        record = self.live.get(irp)
        if record is not None and record.issuer is not None:
            request.generated, request.reissued = record.issuer.generated, record.issuer.reissued
            request.ecp_list = record.issuer.ecp_list
        return request

    def set_ecp_list(self, request: Request, ecp_list: int, free: Callable[[], Code]) -> None:
        """A create has extra create parameters from here down, whoever asks; they are freed when its issuer has it."""
        record = self.live.get(request.irp)
        issuer = record.issuer if record is not None and record.issuer is not None else request
        issuer.ecp_list = request.ecp_list = ecp_list
        issuer.afterwards.append(free)

    # -- cancelling

    def is_cancelled(self, irp: int) -> bool:
        """Irp->Cancel; an IRP that is gone was not."""
        return irp in self.live and self._memory.read_u8(irp + 0x44) != 0

    def set_cancel_routine(self, request: Request, routine: CancelRoutine | None) -> None:
        """IoSetCancelRoutine, with code of the kernel's own."""
        record = self.live.get(request.irp)
        if record is None:
            return
        record.cancel = (request, routine) if routine is not None else None
        self._memory.write_u64(request.irp + 0x68, self.cancel_routine if routine is not None else 0)

    def _called_by_guest(self, device: int, irp: int) -> object:
        """A driver has called the cancel routine that stands for ours."""
        del device
        record = self.live.get(irp)
        if record is None or record.cancel is None:
            return 0
        (request, routine), record.cancel = record.cancel, None
        self.release_cancel_lock(self._memory.read_u8(irp + 0x45))
        return routine(request)


def struct_pair(first: int, second: int) -> bytes:
    """Two pointers."""
    return _U64.pack(first & 0xFFFF_FFFF_FFFF_FFFF) + _U64.pack(second & 0xFFFF_FFFF_FFFF_FFFF)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def is_synchronous(request: Request) -> bool:
    """IoIsOperationSynchronous."""
    flags = request.irp_flags
    if flags & IrpFlags.PAGING_IO:
        return bool(flags & IrpFlags.SYNCHRONOUS_PAGING_IO)
    if flags & IrpFlags.SYNCHRONOUS_API:
        return True
    file: FileObject | None = request.file
    return file is not None and bool(file.flags & FileObjectFlags.SYNCHRONOUS_IO)
