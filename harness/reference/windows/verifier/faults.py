"""What a fault means: an exception that guest code may handle, or a bug check that names the driver."""

from typing import TYPE_CHECKING

from capstone import CS_AC_WRITE, CS_OP_MEM, CsError

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.cpu import disassembler
from harness.reference.machine.cpu.emulator import RCX, RIP, RSP, MachineState
from harness.reference.machine.cpu.exceptions import PageFault
from harness.reference.machine.cpu.seh.dispatch import STATUS_BY_VECTOR
from harness.reference.machine.memory.heap import KernelStacks
from harness.reference.machine.memory.layout import is_user
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

if TYPE_CHECKING:
    from collections.abc import Callable

    from capstone import CsInsn

    from harness.reference.machine.loader.images import ImageTable
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.verifier.blame import Blame
    from harness.reference.windows.verifier.bug_checks import BugChecks

_PAGE_FAULT, _GENERAL_PROTECTION, _DOUBLE_FAULT, _FAST_FAIL, _INVALID_OPCODE = 14, 13, 8, 0x29, 6
_VECTOR_PREFIXES = frozenset({0xC4, 0xC5, 0x62})
"""VEX and EVEX: AVX, AVX2, AVX-512, BMI."""
_EXTENDED_STATE = ("xsave", "xrstor", "xgetbv", "xsetbv")
_M64 = (1 << 64) - 1
_LONGEST_INSTRUCTION = 15


class Faults:
    """Classifies faults of guest code, and bad pointers handed to exports."""

    def __init__(
        self,
        memory: "Memory",
        images: "ImageTable",
        blame: "Blame",
        bug_checks: "BugChecks",
        irql: "Callable[[], int]",
    ) -> None:
        self._memory = memory
        self._images = images
        self._blame = blame
        self._bug_checks = bug_checks
        self._irql = irql
        self._general: list[int] | None = None
        """The registers of the fault that is being classified."""
        self._cause = (0, "")

    def classify(self, vector: int, state: MachineState) -> tuple[int, tuple[int, ...]]:
        """The status and parameters of the exception to raise at a fault; raises BugCheckStop if it is fatal."""
        rip = state.general[RIP]
        self._general = state.general
        try:
            return self._classified(vector, rip, state)
        finally:
            self._general = None

    def _classified(self, vector: int, rip: int, state: MachineState) -> tuple[int, tuple[int, ...]]:
        if vector == _PAGE_FAULT:
            return self._page_fault(rip, state)
        if vector == _FAST_FAIL:
            code = state.general[RCX]
            raise self._stop(BugCheck.KERNEL_SECURITY_CHECK_FAILURE, rip, f"__fastfail({code})", code)
        if vector == _GENERAL_PROTECTION:
            self._cause = rip, self._unwritten_in(state.general)
            return int(NtStatus.ACCESS_VIOLATION), (0, _M64)
        if vector == _INVALID_OPCODE:
            self._require_known(rip)
        if vector in (3, 0x2C):
            state.general[RIP] = rip - (1 if vector == 3 else 2)
        status = STATUS_BY_VECTOR.get(vector)
        if status is None:
            raise self._stop(BugCheck.UNEXPECTED_KERNEL_MODE_TRAP, rip, f"interrupt {vector:#x}", vector)
        return status, ()

    def _unwritten_in(self, general: list[int]) -> str:
        """Which register holds what a driver has never written, as the address of a general protection fault may be."""
        found = [text for value in general if (text := self._blame.unwritten(value)) is not None]
        return f"; a register holds {found[0]}" if found else ""

    def unhandled(
        self, code: int, address: int, parameters: tuple[int, ...], thread: "Thread", irql: int
    ) -> BugCheckStop:
        """Nobody handled an exception in kernel mode, perhaps that of the fault which was classified last."""
        cause = self._cause[1] if self._cause[0] == address else ""
        return self._bug_checks.unhandled_exception(code, address, parameters, thread, irql, cause)

    def _require_known(self, rip: int) -> None:
        """An instruction that real processors have and ours has not is no fault of who executes it."""
        instruction = self._instruction_at(rip)
        if instruction is None or not (
            instruction.bytes[0] in _VECTOR_PREFIXES or instruction.mnemonic.startswith(_EXTENDED_STATE)
        ):
            return
        text = f"{instruction.mnemonic} {instruction.op_str}".strip()
        raise self._bug_checks.stop(
            BugCheck.UNEXPECTED_KERNEL_MODE_TRAP,
            _INVALID_OPCODE,
            message=f"`{text}` at {self._images.describe(rip)}: the reference kernel's processor has neither AVX nor"
            " XSAVE, and says so by cpuid",
            location=self._images.describe(rip),
            kind=BugCheckKind.MISSING_EXPORT,
            chain=self._blame.chain_at(self._general or []) if self._general else None,
        )

    def _page_fault(self, rip: int, state: MachineState) -> tuple[int, tuple[int, ...]]:
        address = state.fault_address
        execute = address == rip
        write = not execute and self._is_write(rip, address)
        if execute:
            self._check_execution(rip)
        if is_user(rip) and is_user(state.general[RSP]):
            # User code runs in ring 0 here, but the kernel half is none of its business.
            return int(NtStatus.ACCESS_VIOLATION), (8 if execute else int(write), address)
        irql = self._irql()
        if irql >= Irql.DISPATCH:
            what = "pageable" if self._memory.is_pageable(address) else "invalid"
            raise self._stop(
                BugCheck.DRIVER_IRQL_NOT_LESS_OR_EQUAL,
                rip,
                f"{what} memory, {self._blame.describe_address(address)}, was {_verb(execute, write)} at IRQL {irql}",
                address,
                irql,
                8 if execute else int(write),
                rip,
            )
        if KernelStacks.is_guard(address):
            raise self.stack_overflow(address, rip)
        if is_user(address):
            return int(NtStatus.ACCESS_VIOLATION), (8 if execute else int(write), address)
        raise self._kernel_address(address, rip, execute=execute, write=write)

    def _kernel_address(self, address: int, rip: int, *, execute: bool, write: bool) -> BugCheckStop:
        code = BugCheck.PAGE_FAULT_IN_NONPAGED_AREA
        if execute and self._memory.is_mapped(address):
            code = BugCheck.ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY
        elif write and self._memory.is_mapped(address):
            code = BugCheck.ATTEMPTED_WRITE_TO_READONLY_MEMORY
        return self._stop(
            code, rip, f"{_verb(execute, write)} {self._blame.describe_address(address)}", address, int(write), rip
        )

    def _check_execution(self, rip: int) -> None:
        """Jumps into code that is gone."""
        image = self._images.once_at(rip)
        if image is None:
            return
        if image.unloaded:
            raise self._stop(
                BugCheck.DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
                rip,
                f"{image.name} has been unloaded, and its code at {image.describe(rip)} was called",
                rip,
                8,
                driver=image.name,
            )
        for begin, end in image.discarded:
            if begin <= rip < end:
                section = image.section_at(rip)
                raise self._stop(
                    BugCheck.PAGE_FAULT_IN_NONPAGED_AREA,
                    rip,
                    f"code in the discarded section {section.name if section else ''} was called after DriverEntry",
                    rip,
                    8,
                    driver=image.name,
                )

    def _is_write(self, rip: int, address: int) -> bool:
        """Whether the faulting instruction writes memory."""
        memory = self._memory
        if memory.is_mapped(address) and not memory.is_mapped(address, write=True):
            return True
        instruction = self._instruction_at(rip)
        try:
            return instruction is not None and (
                any(o.type == CS_OP_MEM and o.access & CS_AC_WRITE for o in instruction.operands)
                or instruction.mnemonic in ("push", "call")
            )
        except CsError:
            return False

    def _instruction_at(self, rip: int) -> "CsInsn | None":
        count = _LONGEST_INSTRUCTION
        while count and not self._memory.is_mapped(rip, count):
            count -= 1
        try:
            return next(disassembler.detailed().disasm(self._memory.read(rip, count), rip, 1), None)
        except CsError:
            return None

    def stack_overflow(self, address: int, rip: int = 0, general: "list[int] | None" = None) -> BugCheckStop:
        """The kernel stack ran into its guard page: a double fault. Who calls itself is named, not who came last.

        `general` are the registers of a fault that found no room on the stack.
        """
        if general is not None:
            rip, self._general = general[RIP], general
            if not KernelStacks.is_stack(general[RSP]):
                text = f"the stack pointer, {general[RSP]:#x}, points to no kernel stack"
                return self._stop(BugCheck.UNEXPECTED_KERNEL_MODE_TRAP, rip, text, 8, general[RSP] & _M64)
        text = f"the kernel stack is used up (touched {address & _M64:#x})"
        recursion = self._blame.recursion()
        if recursion is None:
            return self._stop(BugCheck.UNEXPECTED_KERNEL_MODE_TRAP, rip, text, 8, address)
        return self._bug_checks.stop(
            BugCheck.UNEXPECTED_KERNEL_MODE_TRAP,
            8,
            address,
            message=f"{text}: {recursion.text}",
            driver=recursion.driver,
            location=recursion.calls[0][0],
        )

    def check_pointer(self, fault: PageFault, export: str) -> None:
        """A bad pointer was handed to an export: fatal unless it points into user space."""
        address, irql = fault.address, self._irql()
        if is_user(address) and irql < Irql.DISPATCH:
            return
        verb = "written" if fault.write else "read"
        if irql >= Irql.DISPATCH:
            where = self._blame.describe_address(address)
            raise self._stop(
                BugCheck.IRQL_NOT_LESS_OR_EQUAL,
                0,
                f"{export} was given {where}, which cannot be {verb} at IRQL {irql}",
                address,
                irql,
                int(fault.write),
            )
        raise self._stop(
            BugCheck.PAGE_FAULT_IN_NONPAGED_AREA,
            0,
            f"{export} was given a bad pointer: {self._blame.describe_address(address)} cannot be {verb}",
            address,
            int(fault.write),
        )

    def _stop(
        self, code: BugCheck, rip: int, message: str, *parameters: int, driver: str | None = None
    ) -> BugCheckStop:
        chain = self._blame.chain_at(self._general) if self._general is not None else None
        image = self._images.once_at(rip) if rip else None
        location = self._images.describe(rip) if rip else None
        if location is not None and image is not None:
            message = f"{message} (at {location})"
        elif chain:
            message = f"{message} (called at {chain[0]})"
        return self._bug_checks.stop(
            code,
            *parameters,
            message=message,
            driver=driver or (image.name if image is not None else None),
            location=location if image is not None else None,
            chain=chain,
        )


def _verb(execute: bool, write: bool) -> str:
    return "executed" if execute else "written" if write else "read"
