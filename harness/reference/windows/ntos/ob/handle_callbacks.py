"""Object callbacks: drivers that are asked before a handle to a process or a thread is made, and told afterwards."""

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ob.objects import KERNEL_HANDLE, Object

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

CREATE, DUPLICATE = 1, 2
"""OB_OPERATION."""
_PRE = Struct("<IIQQQQ")
_POST = Struct("<IIQQQIIQ")
_CALL_CONTEXT = 24


@dataclass(frozen=True, slots=True)
class Operation:
    """One OB_OPERATION_REGISTRATION."""

    object_type: str
    operations: int
    before: int
    after: int


@dataclass(eq=False, slots=True)
class Registration:
    """What ObRegisterCallbacks was given; `handle` is the block of memory by which it is known."""

    altitude: str
    context: int
    operations: tuple[Operation, ...]
    handle: int
    driver: str | None


@dataclass(frozen=True, slots=True)
class Opening:
    """A handle that is about to be made. `source` and `target` are EPROCESSes, of a duplication."""

    item: Object
    access: int
    operation: int = CREATE
    kernel: bool = False
    process: int | None = None
    source: int = 0
    target: int = 0


class HandleCallbacks:
    """The registrations of one kernel, highest altitude first."""

    def __init__(self) -> None:
        self.registered: list[Registration] = []

    def add(self, registration: Registration) -> bool:
        """Register; False if the altitude is taken."""
        if any(other.altitude == registration.altitude for other in self.registered):
            return False
        self.registered.append(registration)
        self.registered.sort(key=lambda item: _order(item.altitude), reverse=True)
        return True

    def remove(self, handle: int) -> Registration | None:
        """Take a registration away; None if the handle is none."""
        found = next((item for item in self.registered if item.handle == handle), None)
        if found is not None:
            self.registered.remove(found)
        return found

    def wants(self, kind: str, operation: int) -> bool:
        """Whether anybody wants to know of handles to a type of object."""
        return any(
            item.object_type == kind and item.operations & operation
            for registration in self.registered
            for item in registration.operations
        )

    def forget(self, k: "Executive", driver: str) -> None:
        """A driver is gone: its registrations are called no more."""
        for registration in [item for item in self.registered if item.driver == driver]:
            self.registered.remove(registration)
            k.heap.free(registration.handle)

    def open(self, k: "Executive", opening: Opening) -> KernelCode:
        """Make the handle, with those who registered asked before and told after; its value."""
        item, access = opening.item, opening.access
        wanted = [
            (registration, operation)
            for registration in self.registered
            for operation in registration.operations
            if operation.object_type == item.type and operation.operations & opening.operation
        ]
        contexts: list[int] = []
        for registration, operation in wanted:
            context = 0
            if operation.before:
                access, context = yield from self._ask(k, opening, access, registration, operation)
            contexts.append(context)
        handle = k.objects.open(item, kernel=opening.kernel, access=access, process=opening.process)
        for (registration, operation), context in zip(reversed(wanted), reversed(contexts), strict=True):
            if operation.after:
                yield from self._tell(k, opening, access, context, registration, operation)
        return handle

    def _ask(
        self, k: "Executive", opening: Opening, access: int, registration: Registration, operation: Operation
    ) -> KernelCode:
        """Call one pre-operation routine; (access, CallContext). Access may only become less."""
        kind = k.data.object_types["PsProcessType" if opening.item.type == "Process" else "PsThreadType"]
        block = k.heap.allocate(_PRE.size + 24)
        parameters = block + _PRE.size
        kernel = int(opening.kernel)
        k.memory.write(block, _PRE.pack(opening.operation, kernel, opening.item.address, kind, 0, parameters))
        k.memory.write(parameters, Struct("<IIQQ").pack(access, opening.access, opening.source, opening.target))
        routine = "its object pre-operation routine"
        answer = (yield from k.kept.call(routine, operation.before, registration.context, block)) & 0xFFFF_FFFF
        wanted, context = k.memory.read_u32(parameters), k.memory.read_u64(block + _CALL_CONTEXT)
        k.heap.free(block)
        if answer:
            k.verifier.report(
                None, registration.driver, f"an object pre-operation routine returned {answer:#x}: it must return"
                " OB_PREOP_SUCCESS",
            )  # fmt: skip
        if wanted & ~opening.access:
            k.verifier.report(
                None, registration.driver, f"an object pre-operation routine adds access {wanted & ~opening.access:#x}"
                " to what was asked for: it may only take away",
            )  # fmt: skip
        if opening.kernel and wanted != access:
            k.verifier.report(
                None, registration.driver, "an object pre-operation routine changes the access of a kernel handle"
            )
            return access, context
        return wanted & access, context

    def _tell(
        self,
        k: "Executive",
        opening: Opening,
        access: int,
        context: int,
        registration: Registration,
        operation: Operation,
    ) -> KernelCode:
        """Call one post-operation routine."""
        kind = k.data.object_types["PsProcessType" if opening.item.type == "Process" else "PsThreadType"]
        block = k.heap.allocate(_POST.size + 8)
        parameters = block + _POST.size
        item = opening.item.address
        packed = _POST.pack(opening.operation, int(opening.kernel), item, kind, context, 0, 0, parameters)
        k.memory.write(block, packed)
        k.memory.write_u32(parameters, access)
        routine = "its object post-operation routine"
        yield from k.kept.call(routine, operation.after, registration.context, block)
        k.heap.free(block)


def _order(altitude: str) -> tuple[int, str]:
    """Altitudes are decimal numbers of any length."""
    whole, _, fraction = altitude.partition(".")
    return int(whole or "0"), fraction


def is_kernel_handle(value: int) -> bool:
    """Whether a handle is one of the System process' table."""
    return value >= KERNEL_HANDLE
