"""Whose code it is: the driver nearest on the stack, and addresses in words."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import status_name
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.images import Image
from harness.reference.machine.memory.heap import KernelStacks
from harness.reference.machine.memory.layout import is_user
from harness.reference.machine.scheduler.thread import ResumeAt, ReturnTo
from harness.reference.machine.stop import HangKind, HangStop

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.loader.binding import ExportBinder
    from harness.reference.machine.loader.images import ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.thread import Execution
    from harness.reference.windows.ntos.ex.pool import Pool
    from harness.reference.windows.verifier.call_chain import CallChains

_ACCESS_VIOLATION = 0xC0000005
_RECURSION = 3
"""How often the same call is on a stack that goes round in a circle."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in guest code, the call that was made there; of no driver where there is none."""

    image: Image | None = None
    address: int = 0
    returns_to: int = 0

    @property
    def driver(self) -> str | None:
        """The driver's name; a program is none."""
        return self.image.name if self.image is not None and not self.image.user else None

    @property
    def location(self) -> str | None:
        """`observer+0x1234`."""
        return self.image.describe(self.address) if self.image is not None else None


@dataclass(frozen=True, slots=True)
class Recursion:
    """Drivers that come back to themselves by what they call: who begins, and what is called where, `depth` times."""

    driver: str
    calls: tuple[tuple[str, str], ...]
    """`image+0x1234`, and the export that is called there, for one round."""
    depth: int

    @property
    def text(self) -> str:
        """For a report."""
        way = ", which leads to ".join(f"{place} calls {export}" for place, export in self.calls)
        return f"{way}, which leads to {self.calls[0][0]} again, {self.depth} times"


class Blame:
    """Finds the driver to name."""

    def __init__(
        self,
        memory: "Memory",
        images: "ImageTable",
        pool: "Pool",
        exports: "ExportBinder",
        chains: "CallChains",
        running: "Callable[[], tuple[int, Execution | None]]",
    ) -> None:
        self._memory = memory
        self._images = images
        self._pool = pool
        self._exports = exports
        self._chains = chains
        self._running = running
        """rsp at the entry of the export that runs now (0 when none does), and what runs now."""

    def current(self) -> Location:
        """The driver whose code runs now, or called the export that runs now."""
        stack_pointer, execution = self._running()
        if stack_pointer:
            found = self._at(stack_pointer)
            if found is not None:
                return found
        return self.in_execution(execution) if execution is not None else Location()

    def chain(self) -> tuple[str, ...]:
        """The calls that have led to where the kernel is now, innermost first: `observer+0x1234`."""
        stack_pointer, execution = self._running()
        if execution is None:
            return ()
        return self._told(execution, self._chains.of(execution, stack_pointer))

    def note_place(self, stop: HangStop) -> None:
        """Where code runs that does not come back: perhaps between two calls of the kernel."""
        stack_pointer, execution = self._running()
        if stop.kind is HangKind.RUNAWAY and execution is not None:
            at_call = stack_pointer or execution.continuation is not None
            places = self._chains.of(execution, stack_pointer) if at_call else self._chains.where_it_runs(execution)
            told = self._told(execution, places)
            stop.chain = told if self.driver_in(told) == stop.driver else ()

    def beginning(self, routine: int) -> tuple[str, ...]:
        """A routine of a driver's as the place that is to be told; nothing if it is no image's."""
        image = self._images.once_at(routine)
        return (image.describe(routine),) if image is not None else ()

    def returned(self, driver: str) -> tuple[str, ...]:
        """Where the routine of a driver begins that has returned last to where the kernel is now."""
        _, execution = self._running()
        for frame in reversed(execution.frames if execution is not None else ()):
            left = self._chains.left(frame)
            if left is not None and left[0].name == driver:
                return (left[0].describe(left[1]),)
        return ()

    def places_in(self, execution: "Execution") -> tuple[str, ...]:
        """The calls that an execution which has stopped has come by, innermost first; none of a program."""
        return self._told(execution, self._chains.of(execution))

    def chain_at(self, general: "list[int]") -> tuple[str, ...]:
        """The same of guest code that has stopped with these registers, the place where it has first."""
        _, execution = self._running()
        return self._told(execution, self._chains.at_fault(execution, general)) if execution is not None else ()

    @staticmethod
    def _told(execution: "Execution", places: "list[tuple[Image, int]]") -> tuple[str, ...]:
        """The places that are drivers'; if there is none, who has queued what runs here."""
        found = tuple(image.describe(address) for image, address in places if not image.user)
        return found or ((execution.behalf,) if execution.behalf else ())

    def driver_in(self, chain: "tuple[str, ...]") -> str | None:
        """The innermost driver of a chain."""
        return chain[0].rpartition("+")[0] if chain else None

    def in_execution(self, execution: "Execution") -> Location:
        """The innermost driver on an execution's stack."""
        continuation = execution.continuation
        found = None
        if isinstance(continuation, ReturnTo):
            found = self._at(continuation.stack_pointer)
        elif isinstance(continuation, ResumeAt):
            found = self._place(continuation.address)
        if found is not None:
            return found
        for frame in reversed(execution.frames):
            entrance = self._chains.entrance(frame)
            if entrance is not None:
                return Location(*entrance)
            found = self._at(frame.stack_pointer) if frame.stack_pointer else None
            if found is not None:
                return found
        return Location()

    def _place(self, address: int) -> Location | None:
        image = self._images.once_at(address)
        return Location(image, address) if image is not None else None

    def recursion(self, execution: "Execution | None" = None) -> Recursion | None:
        """The calls that come back to themselves on a stack (that of what runs now); None if there is no such."""
        execution = execution or self._running()[1]
        calls = [
            (found, frame.export)
            for frame in (execution.frames if execution is not None else ())
            if frame.stack_pointer and (found := self._at(frame.stack_pointer)) is not None and found.driver is not None
        ]
        if not calls:
            return None
        depth = Counter(calls)
        first = next((index for index, call in enumerate(calls) if depth[call] >= _RECURSION), None)
        if first is None:
            return None
        end = calls.index(calls[first], first + 1)
        round_ = tuple((found.location or "", export) for found, export in calls[first:end])
        return Recursion(calls[first][0].driver or "", round_, depth[calls[first]])

    def call_before(self, returns_to: int) -> Location:
        """The call that returns to an address, if an image has made it."""
        image = self._images.once_at(returns_to)
        return Location(image, self._chains.call_site(image, returns_to), returns_to) if image else Location()

    def _at(self, stack_pointer: int) -> Location | None:
        """The image that the return address at a stack pointer is in."""
        try:
            address = self._memory.read_u64(stack_pointer)
        except GuestException:
            return None
        image = self._images.once_at(address)
        return Location(image, self._chains.call_site(image, address), address) if image is not None else None

    def is_code(self, address: int) -> bool:
        """Whether an address is in an image, or in what the system exports."""
        return self._images.at(address) is not None or self._exports.name_at(address) is not None

    def describe_call(self, returns_to: int) -> str:
        """The call that returns to an address, in words."""
        image = self._images.once_at(returns_to)
        return self.describe_address(self._chains.call_site(image, returns_to) if image is not None else returns_to)

    def describe_address(self, address: int) -> str:
        """An address in words."""
        image = self._images.once_at(address)
        if image is not None:
            section = image.section_at(address)
            gone = " (unloaded)" if image.unloaded else ""
            return f"{image.describe(address)}{f' in section {section.name}' if section else ''}{gone}"
        block = self._pool.block_at(address)
        if block is not None:
            return f"{address:#x} (offset {address - block.address} of {block})"
        pool = self._pool.explain(address)
        if pool is not None:
            return f"{address:#x} ({pool})"
        if KernelStacks.is_guard(address):
            return f"{address:#x} (the guard page of a kernel stack)"
        if is_user(address):
            return f"user address {address:#x}" if address > 0xFFFF else f"null pointer + {address:#x}"
        unwritten = self.unwritten(address)
        if unwritten is not None:
            return unwritten
        name = self._exports.name_at(address)
        return f"{address:#x} (the code of {name})" if name is not None else f"{address:#x}"

    def unwritten(self, value: int) -> str | None:
        """What a value is that comes from memory which a driver has never written; None for any other."""
        text = self._pool.unwritten.explain(value)
        return f"{value:#x} ({text})" if text is not None else None

    @staticmethod
    def exception_text(code: int, parameters: tuple[int, ...]) -> str:
        """An exception in words."""
        if code == _ACCESS_VIOLATION and len(parameters) >= 2:
            verb = {0: "reading", 1: "writing", 8: "executing"}.get(parameters[0], "touching")
            return f"an access violation {verb} {parameters[1]:#x}"
        return f"exception {status_name(code)}"
