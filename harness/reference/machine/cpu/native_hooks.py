"""What guest code reads most often, answered by machine code of the host's: the IRQL (a patched `mov reg, cr8`) and
the time stamp counter. Both are in RAM. On other hosts than x86-64 Python answers (cpu/emulator.py, cpu/traps.py).
"""

import ctypes
from functools import cache

from harness.reference.machine.cpu import native

_INTERRUPT = bytes.fromhex(
    "89f0"  # mov eax, esi             the vector
    "2b4220"  # sub eax, [rdx+20h]     counted from the first that stands for a read of cr8
    "83f810"  # cmp eax, 16
    "7323"  # jae to the end
    "4883ec18"  # sub rsp, 18h
    "4c8b4210"  # mov r8, [rdx+10h]    where the processor's IRQL is
    "4d8b00"  # mov r8, [r8]
    "450fb600"  # movzx r8d, byte [r8]
    "4c89442408"  # mov [rsp+8], r8
    "8b748224"  # mov esi, [rdx+rax*4+24h]  the register
    "488b4208"  # mov rax, [rdx+8]
    "488d542408"  # lea rdx, [rsp+8]
    "ffd0"  # call rax                 uc_reg_write(engine, register, &value)
    "4883c418"  # add rsp, 18h
    "c3"  # ret
    "ff22"  # jmp [rdx]                any other interrupt is Python's
)
_TIME_STAMP = bytes.fromhex(
    "4883ec18"  # sub rsp, 18h
    "488b4618"  # mov rax, [rsi+18h]   where the time is
    "488b00"  # mov rax, [rax]
)
