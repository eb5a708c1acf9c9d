"""Unicorn, as this kernel uses it: one x64 processor with paging on, and raw hooks.

The hooks are added past Unicorn's Python binding, which knows no hook for `rdtsc` and wraps every callback twice.
A hook must not raise; whoever implements `Hooks` keeps what goes wrong and stops the processor.
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol

import unicorn.unicorn_py3.unicorn as binding
from unicorn.unicorn_const import (
    UC_ARCH_X86,
    UC_CTL_IO_WRITE,
    UC_CTL_TB_FLUSH,
    UC_CTL_TLB_FLUSH,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INSN,
    UC_HOOK_INSN_INVALID,
    UC_HOOK_INTR,
    UC_MODE_64,
    UC_PROT_ALL,
)
from unicorn.x86_const import (
    UC_CPU_X86_BROADWELL,
    UC_X86_INS_CPUID,
    UC_X86_INS_RDTSC,
    UC_X86_INS_RDTSCP,
    UC_X86_INS_SYSCALL,
    UC_X86_REG_CR0,
    UC_X86_REG_CR2,
    UC_X86_REG_CR3,
    UC_X86_REG_CR4,
    UC_X86_REG_EFLAGS,
    UC_X86_REG_GS_BASE,
    UC_X86_REG_R8,
    UC_X86_REG_R9,
    UC_X86_REG_R10,
    UC_X86_REG_R11,
    UC_X86_REG_R12,
    UC_X86_REG_R13,
    UC_X86_REG_R14,
    UC_X86_REG_R15,
    UC_X86_REG_RAX,
    UC_X86_REG_RBP,
    UC_X86_REG_RBX,
    UC_X86_REG_RCX,
    UC_X86_REG_RDI,
    UC_X86_REG_RDX,
    UC_X86_REG_RIP,
    UC_X86_REG_RSI,
    UC_X86_REG_RSP,
    UC_X86_REG_XMM0,
)

from harness.reference.machine.cpu.exit_checks import exit_checks
from harness.reference.machine.cpu.native_answers import NativeAnswers
from harness.reference.machine.memory.pagetables import PHYSICAL_BASE, PageTables

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
RIP, EFLAGS = 16, 17
"""Indices into a register list; 8 to 15 are r8 to r15, in the order of the instruction encoding and of CONTEXT."""

_GENERAL = (
    UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX,
    UC_X86_REG_RSP, UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,
    UC_X86_REG_R8, UC_X86_REG_R9, UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15,
)  # fmt: skip
_VECTORS = tuple(UC_X86_REG_XMM0 + number for number in range(16))
_BATCH = (*_GENERAL, UC_X86_REG_EFLAGS, *_VECTORS, UC_X86_REG_RIP, UC_X86_REG_CR2)
"""All registers, in the order of one batch call. Those up to the last vector register can be written."""
_WRITABLE = len(_BATCH) - 2
_BATCH_LAYOUT = Struct("<17Q32Q2Q")

_CR0_PE_MP_ET_NE_WP_PG = 0x80010033
_CR4_PAE_PGE_OSFXSR_OSXMMEXCPT_FSGSBASE_SMAP = 0x2106A0
INTERRUPTS = 0x200
DIRECTION = 1 << 10
CONTROLS = INTERRUPTS | DIRECTION
_ACCESS = 1 << 18
"""EFLAGS.AC: whether pageable memory may be touched.

Its pages, like those of user mode, are marked as the user's. With CR4.SMAP they are then out of reach as long as AC is
clear, without a change of any page-table entry; clearing and setting it costs nothing.
"""
_EFER = 0xC0000080
_EFER_SCE_LME_LMA_NXE = 0xD01

_unicorn: Any = binding
"""Unicorn's binding, which is not typed."""

_M64 = (1 << 64) - 1

_FLUSH_TLB = UC_CTL_IO_WRITE << 30 | UC_CTL_TLB_FLUSH
"""The control word of `uc_ctl`, as the binding's `ctl` makes it anew at every call."""
_Engine = ctypes.c_void_p
_VOID_HOOK = ctypes.CFUNCTYPE(None, _Engine, ctypes.c_void_p)
_INTERRUPT_HOOK = ctypes.CFUNCTYPE(None, _Engine, ctypes.c_uint32, ctypes.c_void_p)
_BLOCK_HOOK = ctypes.CFUNCTYPE(None, _Engine, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
_SKIP_HOOK = ctypes.CFUNCTYPE(ctypes.c_uint32, _Engine, ctypes.c_void_p)
_BOOL_HOOK = ctypes.CFUNCTYPE(ctypes.c_bool, _Engine, ctypes.c_void_p)


@dataclass(slots=True)
class MachineState:
    """All registers at a fault."""

    general: list[int]
    """In the order of the instruction encoding, then rip and eflags."""
    vectors: list[int]
    fault_address: int


class Hooks(Protocol):
    """What the processor calls while it runs."""

    calls: int
    """Counts calls of `on_call`."""

    def on_call(self, engine: int, data: int) -> None:
        """An import stub or the return thunk executed `syscall`."""

    def on_interrupt(self, vector: int) -> None:
        """A fault, or an `int` instruction."""

    def on_invalid_instruction(self) -> None:
        """An instruction that does not exist, or that we do not have."""

    def on_pageable_code(self, address: int) -> None:
        """Code that `watch_code` was told of is about to run."""

    def on_time_stamp(self) -> int:
        """`rdtsc` and `rdtscp`: the counter."""

    def on_cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """`cpuid`: eax, ebx, ecx, edx."""


class Emulator:
    """The processor."""

    def __init__(self, tables: PageTables) -> None:
        self._tables = tables
        exit_checks().spare()
        self.uc = _unicorn.Uc(UC_ARCH_X86, UC_MODE_64)
        self.uc.ctl_set_cpu_model(UC_CPU_X86_BROADWELL)  # the first with SMAP
        self.uc.mem_map_ptr(PHYSICAL_BASE, tables.size, UC_PROT_ALL, tables.host_address)
        self.uc.reg_write(UC_X86_REG_CR3, tables.root)
        self.uc.reg_write(UC_X86_REG_CR4, _CR4_PAE_PGE_OSFXSR_OSXMMEXCPT_FSGSBASE_SMAP)
        self.uc.msr_write(_EFER, _EFER_SCE_LME_LMA_NXE)
        self.uc.reg_write(UC_X86_REG_CR0, _CR0_PE_MP_ET_NE_WP_PG)
        self._handle = self.uc._uch  # noqa: SLF001 - the binding has no other way to its hot functions
        self._callbacks: list[Any] = []
        self._values = (ctypes.c_char * _BATCH_LAYOUT.size)()
        self._numbers = (ctypes.c_int32 * len(_BATCH))(*_BATCH)
        self._pointers = (ctypes.c_void_p * len(_BATCH))(*self._places())
        self._write_batch: Callable[..., int] = _unicorn.uclib["uc_reg_write_batch"]
        self._read_batch: Callable[..., int] = _unicorn.uclib["uc_reg_read_batch"]
        self._write_one: Any = _unicorn.uclib["uc_reg_write"]
        self._read_one: Any = _unicorn.uclib["uc_reg_read"]
        self._value = ctypes.c_uint64()
        self._place = ctypes.byref(self._value)
        self._start: Any = _unicorn.uclib["uc_emu_start"]
        self._start.argtypes = (_Engine, *([ctypes.c_uint64] * 3), ctypes.c_size_t)
        self._stop: Callable[..., int] = _unicorn.uclib["uc_emu_stop"]
        self._control: Any = _unicorn.uclib["uc_ctl"]
        self._control.argtypes = (_Engine, ctypes.c_int)
        self.progress = 0
        """Counts starts and stops."""
        self.hooks: Hooks | None = None
        self.gs = 0
        """The base of gs, by whatever means it has got there (`set_gs`, or the code through which guest code runs)."""
        self.controls = INTERRUPTS
        self._pristine = self.uc.context_save()

    def _places(self) -> Iterator[int]:
        """Where each register of the batch is in the buffer."""
        at = ctypes.addressof(self._values)
        for register in _BATCH:
            yield at
            at += 16 if register in _VECTORS else 8

    # -- hooks

    def set_hooks(self, hooks: Hooks, answers: NativeAnswers | None = None) -> None:
        """Connect the processor to the kernel. `answers` spares it what machine code of the host's can answer."""
        self.hooks = hooks

        def interrupt(_engine: int, vector: int, _data: int) -> None:
            hooks.on_interrupt(vector)

        def invalid(_engine: int, _data: int) -> bool:
            hooks.on_invalid_instruction()
            return True

        low, high = ctypes.c_uint64(), ctypes.c_uint64()
        halves = (ctypes.c_int32 * 2)(UC_X86_REG_RAX, UC_X86_REG_RDX)
        places = (ctypes.c_void_p * 2)(ctypes.addressof(low), ctypes.addressof(high))
        write, handle = self._write_batch, self._handle

        def time_stamp(_engine: int, _data: int) -> int:
            value = hooks.on_time_stamp()
            low.value, high.value = value & 0xFFFF_FFFF, value >> 32
            write(handle, halves, places, 2)
            return 1

        def time_stamp_and_processor(_engine: int, _data: int) -> int:
            self.write_register(RCX, 0)
            return time_stamp(_engine, _data)

        def cpuid(_engine: int, _data: int) -> int:
            leaf, subleaf = self.read_register(RAX), self.read_register(RCX)
            answer = hooks.on_cpuid(leaf & 0xFFFF_FFFF, subleaf & 0xFFFF_FFFF)
            for register, value in zip((RAX, RBX, RCX, RDX), answer, strict=True):
                self.write_register(register, value)
            return 1

        self._hook(UC_HOOK_INSN, _VOID_HOOK(hooks.on_call), UC_X86_INS_SYSCALL)
        on_interrupt, on_time_stamp, data = _INTERRUPT_HOOK(interrupt), _SKIP_HOOK(time_stamp), 0
        if answers is not None:
            self._callbacks += (answers, on_interrupt)
            write_one, otherwise = (ctypes.cast(one, _Engine).value for one in (self._write_one, on_interrupt))
            answers.connect(write_one or 0, _GENERAL, otherwise or 0)
            first, second = answers.hooks()
            on_interrupt, on_time_stamp, data = _INTERRUPT_HOOK(first), _SKIP_HOOK(second), answers.data
        self._hook(UC_HOOK_INTR, on_interrupt, data=data)
        self._hook(UC_HOOK_INSN_INVALID, _BOOL_HOOK(invalid))
        self._hook(UC_HOOK_INSN, on_time_stamp, UC_X86_INS_RDTSC, data=data)
        self._hook(UC_HOOK_INSN, _SKIP_HOOK(time_stamp_and_processor), UC_X86_INS_RDTSCP)
        self._hook(UC_HOOK_INSN, _SKIP_HOOK(cpuid), UC_X86_INS_CPUID)

    def watch_code(self, begin: int, end: int) -> None:
        """Have `on_pageable_code` called for every block that runs in [begin, end)."""
        hooks = self.hooks
        assert hooks is not None

        def block(_engine: int, address: int, _size: int, _data: int) -> None:
            hooks.on_pageable_code(address)

        self._hook(UC_HOOK_BLOCK, _BLOCK_HOOK(block), begin=begin, end=end - 1)

    def watch_instructions(self, addresses: Iterable[int], reached: Callable[[int], None]) -> None:
        """Have `reached` called before each of these runs. Code that has run already is not watched (`flush_code`)."""
        watched = frozenset(addresses)

        def instruction(_engine: int, at: int, _size: int, _data: int) -> None:
            if at in watched:
                reached(at)

        # One hook for all: where code is translated, every hook there is costs at every instruction.
        if watched:
            exit_checks().need()
            self._hook(UC_HOOK_CODE, _BLOCK_HOOK(instruction), begin=min(watched), end=max(watched))

    def count_blocks(self, begin: int, end: int, hook: Any, data: int) -> None:
        """Have a function of the host's called for every block that runs in [begin, end) (block_counter.py)."""
        self._hook(UC_HOOK_BLOCK, hook, begin=begin, end=end - 1, data=data)

    def _hook(self, kind: int, callback: Any, *arguments: int, begin: int = 1, end: int = 0, data: int = 0) -> None:
        handle = _unicorn.uc_hook_h()
        status = _unicorn.uclib.uc_hook_add(
            self._handle,
            ctypes.byref(handle),
            kind,
            callback,
            ctypes.c_void_p(data),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
            *(ctypes.c_int(argument) for argument in arguments),
        )
        if status:
            raise _unicorn.UcError(status)
        self._callbacks.append(callback)

    # -- running

    @property
    def activity(self) -> tuple[int, int]:
        """Changes whenever guest code starts, stops or calls: how a watchdog sees that it does not come back."""
        return self.progress, self.hooks.calls if self.hooks is not None else 0

    @property
    def running(self) -> bool:
        """Whether guest code runs."""
        return self.progress & 1 == 1

    def run(self, address: int, count: int = 0) -> None:
        """Run from `address` until a hook stops the processor, or for `count` instructions."""
        if count:
            exit_checks().need()
        self.progress += 1
        status = self._start(self._handle, address, 0, 0, count)
        self.progress += 1
        if status:
            raise _unicorn.UcError(status)

    def stop(self) -> None:
        """Stop after the instruction that runs now. May be called from another thread."""
        self._stop(self._handle)

    def flush_tlb(self) -> None:
        """Forget cached translations of addresses."""
        self._tables.stale.clear()
        self._control(self._handle, _FLUSH_TLB)

    def flush_code(self) -> None:
        """Forget translated code, so that `count` is heeded by code that has run already."""
        self.uc.ctl(UC_CTL_TB_FLUSH, UC_CTL_IO_WRITE)

    # -- registers

    def state(self) -> MachineState:
        """All registers."""
        self._read_batch(self._handle, self._numbers, self._pointers, len(_BATCH))
        values = _BATCH_LAYOUT.unpack(self._values)
        vectors = [values[at] | values[at + 1] << 64 for at in range(17, 49, 2)]
        return MachineState([*values[:16], values[49], values[16] & ~_ACCESS], vectors, values[50])

    def load(self, registers: Sequence[int], vectors: Sequence[int], *, pageable: bool) -> None:
        """Set all registers but rip, which is given to `run`, and whether pageable memory may be touched."""
        halves = [half for value in vectors for half in (value & _M64, value >> 64)]
        general = [value & _M64 for value in registers[:16]]
        flags = registers[EFLAGS] & 0xFFFF_FFFF & ~_ACCESS | (_ACCESS if pageable else 0)
        _BATCH_LAYOUT.pack_into(self._values, 0, *general, flags, *halves, 0, 0)
        self._write_batch(self._handle, self._numbers, self._pointers, _WRITABLE)

    def write_register(self, index: int, value: int) -> None:
        """Set one general register."""
        self._write(_GENERAL[index], value)

    def set_carry(self) -> None:
        """Set the carry flag: what `rdrand` does when it succeeded."""
        self.uc.reg_write(UC_X86_REG_EFLAGS, self.uc.reg_read(UC_X86_REG_EFLAGS) | 1)

    def allow_pageable(self, allowed: bool) -> None:
        """Set whether the code that runs now may touch pageable memory."""
        flags = self._read(UC_X86_REG_EFLAGS) & 0xFFFF_FFFF
        self._write(UC_X86_REG_EFLAGS, flags | _ACCESS if allowed else flags & ~_ACCESS)

    @property
    def controls(self) -> int:
        """IF and DF of EFLAGS, which a function must leave as they were. Nothing interrupts guest code either way."""
        return self._read(UC_X86_REG_EFLAGS) & CONTROLS

    @controls.setter
    def controls(self, value: int) -> None:
        flags = self._read(UC_X86_REG_EFLAGS) & 0xFFFF_FFFF
        self._write(UC_X86_REG_EFLAGS, flags & ~CONTROLS | value)

    def read_register(self, index: int) -> int:
        """One general register."""
        return self._read(_GENERAL[index])

    def _write(self, register: int, value: int) -> None:
        """Set a register of 64 bits, in a fifth of the time that the binding takes to find out how wide it is."""
        self._value.value = value
        self._write_one(self._handle, register, self._place)

    def _read(self, register: int) -> int:
        self._read_one(self._handle, register, self._place)
        return self._value.value

    def recover(self) -> MachineState:
        """What the processor holds after a fault, and a processor that can fault again, its registers cleared.

        Unicorn delivers no exception to the guest, so its processor goes on believing that the last one is still
        being delivered, and would make the next one a double fault. Only a restored context clears that.
        """
        state = self.state()
        self.uc.context_restore(self._pristine)
        self.gs = 0
        return state

    @property
    def instruction_pointer(self) -> int:
        return self._read(UC_X86_REG_RIP)

    def set_gs(self, base: int) -> None:
        """Point gs at a processor's control region or a thread's environment block."""
        if self.gs != base:
            self.gs = base
            self._write(UC_X86_REG_GS_BASE, base)

    # -- contexts

    def save(self, context: Any | None) -> Any:
        """All of the processor's state, into `context` if there is one already."""
        if context is None:
            return self.uc.context_save()
        self.uc.context_update(context)
        return context

    @staticmethod
    def kept(context: Any) -> list[int]:
        """The general registers that `save` kept, in the order of the instruction encoding, then rip and eflags."""
        numbers = (*_GENERAL, UC_X86_REG_RIP, UC_X86_REG_EFLAGS)
        return [int(context.reg_read(number)) for number in numbers]

    def restore(self, context: Any, gs: int) -> None:
        """Take back what `save` kept; `gs` is what gs was then."""
        self.uc.context_restore(context)
        self.gs = gs
