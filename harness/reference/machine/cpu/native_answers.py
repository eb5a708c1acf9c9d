"""What guest code asks for all the time, answered by machine code of the host's: the IRQL, and the time stamp counter.

A minifilter's callback reads both at every operation: KeGetCurrentIrql is inlined as `mov reg, cr8`, which is an `int`
here (loader/patches.py). Both are bytes of RAM. Elsewhere than on x86-64 Python answers (traps.py).
"""

import ctypes
from collections.abc import Sequence
from functools import cache

from harness.reference.machine.cpu import native

_INTERRUPT = bytes.fromhex(
    "89f0"  # mov eax, esi                  the vector,
    "2b4220"  # sub eax, [rdx+20h]          counted from the first of those that read cr8
    "83f810"  # cmp eax, 16
    "7325"  # jae to the last instruction
    "4883ec18"  # sub rsp, 18h
    "4c8b4210"  # mov r8, [rdx+10h]
    "450fb600"  # movzx r8d, byte [r8]      the IRQL
    "4c89442408"  # mov [rsp+8], r8
    "8b748224"  # mov esi, [rdx+4*rax+24h]  the register
    "488b4208"  # mov rax, [rdx+8]
    "488d542408"  # lea rdx, [rsp+8]
    "ffd0"  # call rax                      uc_reg_write(engine, register, &value)
    "4883c418"  # add rsp, 18h
    "c3"  # ret
    "ff22"  # jmp [rdx]                     what is no read of cr8
)
_TIME_STAMP = bytes.fromhex(
    "53"  # push rbx
    "55"  # push rbp
    "4883ec18"  # sub rsp, 18h
    "4889fb"  # mov rbx, rdi
    "4889f5"  # mov rbp, rsi
    "488b4618"  # mov rax, [rsi+18h]
    "48ff00"  # inc qword [rax]             no two readings are the same
    "488b08"  # mov rcx, [rax]
    "89c8"  # mov eax, ecx
    "48c1e920"  # shr rcx, 32
    "48890424"  # mov [rsp], rax
    "48894c2408"  # mov [rsp+8], rcx
    "8b7524"  # mov esi, [rbp+24h]          rax
    "4889e2"  # mov rdx, rsp
    "ff5508"  # call [rbp+8]
    "4889df"  # mov rdi, rbx
    "8b752c"  # mov esi, [rbp+2ch]          rdx
    "488d542408"  # lea rdx, [rsp+8]
    "ff5508"  # call [rbp+8]
    "b801000000"  # mov eax, 1              the instruction itself is not executed
    "4883c418"  # add rsp, 18h
    "5d"  # pop rbp
    "5b"  # pop rbx
    "c3"  # ret
)


class _State(ctypes.Structure):
    """What the machine code above is handed."""

    _fields_ = (
        ("otherwise", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("irql", ctypes.c_void_p),
        ("time", ctypes.c_void_p),
        ("first_vector", ctypes.c_uint32),
        ("registers", ctypes.c_int32 * 16),
    )


class NativeAnswers:
    """The hooks of one processor, and the places that they read."""

    def __init__(self, ram: int, time: int, first_vector: int) -> None:
        """`ram` is where RAM is in this process, `time` where the time is in it; `first_vector` means a read to rax."""
        self._ram = ram
        self._state = _State(time=ram + time, irql=ram, first_vector=first_vector)

    def select(self, irql: int) -> None:
        """The processor's IRQL is at this place of RAM."""
        self._state.irql = self._ram + irql

    def connect(self, write_register: int, registers: Sequence[int], otherwise: int) -> None:
        """Told the addresses of uc_reg_write and of the hook for other interrupts, and the registers by encoding."""
        self._state.write_register, self._state.otherwise = write_register, otherwise
        self._state.registers[:] = registers

    @property
    def data(self) -> int:
        """What the hooks have to be handed."""
        return ctypes.addressof(self._state)

    @staticmethod
    @cache
    def hooks() -> tuple[int, int]:
        """The addresses of the hooks of interrupts and of `rdtsc`."""
        return native.place(_INTERRUPT), native.place(_TIME_STAMP)
