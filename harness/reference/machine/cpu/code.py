"""Machine code of the kernel's own: entry and return thunks, import stubs, and exports too hot for Python.

An import stub spills the register arguments, rsp and its index to the *call page* and executes `syscall`, which is
hooked: reading a page that Python shares costs a twentieth of reading five registers through Unicorn's binding.
"""

from collections.abc import Mapping
from struct import pack

from harness.reference.machine.memory.layout import CALL_PAGE
from harness.reference.windows.ntos.ke.offsets import KPCR, KTHREAD

# Offsets into the call page.
STACK_POINTER = 0x20  # after rcx, rdx, r8, r9
INDEX = 0x28
RESULT = 0x30
ENTER = 0x40  # rcx, rdx, r8, r9, rsp, rip
ENTER_STACK_POINTER = 0x60  # then rip

RETURN_INDEX = 0
"""The index by which a guest function called from Python says that it has returned."""

_LOAD_R10 = b"\x49\xba" + pack("<Q", CALL_PAGE)  # mov r10, CALL_PAGE
_LOAD_RESULT = b"\x48\xa1" + pack("<Q", CALL_PAGE + RESULT)  # mov rax, [CALL_PAGE + RESULT]
_SYSCALL = b"\x0f\x05"
_RET = b"\xc3"


def import_stub(index: int) -> bytes:
    """The code behind one import-table entry."""
    return (
        _LOAD_R10
        + b"\x49\x89\x0a"  # mov [r10], rcx
        + b"\x49\x89\x52\x08"  # mov [r10+8], rdx
        + b"\x4d\x89\x42\x10"  # mov [r10+10h], r8
        + b"\x4d\x89\x4a\x18"  # mov [r10+18h], r9
        + b"\x49\x89\x62\x20"  # mov [r10+20h], rsp
        + b"\x41\xc7\x42\x28"
        + pack("<I", index)  # mov dword [r10+28h], index
        + _SYSCALL
        + _LOAD_RESULT
        + _RET
    )


def enter_thunk() -> bytes:
    """Start a guest function: arguments, stack pointer and address come from the call page."""
    return (
        _LOAD_R10
        + b"\x49\x8b\x4a\x40"  # mov rcx, [r10+40h]
        + b"\x49\x8b\x52\x48"  # mov rdx, [r10+48h]
        + b"\x4d\x8b\x42\x50"  # mov r8, [r10+50h]
        + b"\x4d\x8b\x4a\x58"  # mov r9, [r10+58h]
        + b"\x49\x8b\x62\x60"  # mov rsp, [r10+60h]
        + b"\x41\xff\x62\x68"  # jmp [r10+68h]
    )


def return_thunk() -> bytes:
    """Where a guest function called from Python returns to."""
    return (
        _LOAD_R10
        + b"\x49\x89\x02"  # mov [r10], rax
        + b"\x49\x89\x62\x20"  # mov [r10+20h], rsp
        + b"\x41\xc7\x42\x28"
        + pack("<I", RETURN_INDEX)
        + _SYSCALL
        + b"\xf4"  # hlt: never reached
    )


def resume_thunk() -> bytes:
    """Return from an export that was suspended: rsp, rip and rax come from the call page."""
    return (
        _LOAD_R10
        + b"\x49\x8b\x62\x60"  # mov rsp, [r10+60h]
        + b"\x49\x8b\x42\x30"  # mov rax, [r10+30h]
        + b"\x41\xff\x62\x68"  # jmp [r10+68h]
    )


def _assembled(*instructions: str) -> bytes:
    return b"".join(bytes.fromhex(line.split(";")[0]) for line in instructions)


# The memory functions use only volatile registers, so that a fault inside unwinds as in a leaf function, and copy
# eight bytes at a time, because the emulator runs `rep movsb` byte by byte.
_MEMMOVE = _assembled(
    "4889c8 ; mov rax, rcx",
    "4989ca ; mov r10, rcx",
    "4929d2 ; sub r10, rdx",
    "4d39c2 ; cmp r10, r8",
    "7230 ; jb backward: the destination begins inside the source",
    "4983f808 ; forward: cmp r8, 8",
    "7214 ; jb tail",
    "4c8b0a ; mov r9, [rdx]",
    "4c8909 ; mov [rcx], r9",
    "4883c208 ; add rdx, 8",
    "4883c108 ; add rcx, 8",
    "4983e808 ; sub r8, 8",
    "ebe6 ; jmp forward",
    "4d85c0 ; tail: test r8, r8",
    "743b ; je done",
    "448a0a ; mov r9b, [rdx]",
    "448809 ; mov [rcx], r9b",
    "48ffc2 ; inc rdx",
    "48ffc1 ; inc rcx",
    "49ffc8 ; dec r8",
    "ebea ; jmp tail",
    "4983f808 ; backward: cmp r8, 8",
    "7210 ; jb backward tail",
    "4e8b4c02f8 ; mov r9, [rdx+r8-8]",
    "4e894c01f8 ; mov [rcx+r8-8], r9",
    "4983e808 ; sub r8, 8",
    "ebea ; jmp backward",
    "4d85c0 ; backward tail: test r8, r8",
    "740f ; je done",
    "468a4c02ff ; mov r9b, [rdx+r8-1]",
    "46884c01ff ; mov [rcx+r8-1], r9b",
    "49ffc8 ; dec r8",
    "ebec ; jmp backward tail",
    "c3 ; done: ret",
)
_MEMSET = _assembled(
    "4889c8 ; mov rax, rcx",
    "0fb6d2 ; movzx edx, dl",
    "49b90101010101010101 ; mov r9, 0101010101010101h",
    "490fafd1 ; imul rdx, r9",
    "4983f808 ; loop: cmp r8, 8",
    "720d ; jb tail",
    "488911 ; mov [rcx], rdx",
    "4883c108 ; add rcx, 8",
    "4983e808 ; sub r8, 8",
    "ebed ; jmp loop",
    "4d85c0 ; tail: test r8, r8",
    "740a ; je done",
    "8811 ; mov [rcx], dl",
    "48ffc1 ; inc rcx",
    "49ffc8 ; dec r8",
    "ebf1 ; jmp tail",
    "c3 ; done: ret",
)
_FILL = _assembled("4c87c2 ; xchg rdx, r8") + _MEMSET
_ZERO = _assembled("4989d0 ; mov r8, rdx", "31d2 ; xor edx, edx") + _MEMSET
_COMPARE = _assembled(
    "31c0 ; xor eax, eax",
    "4c39c0 ; loop: cmp rax, r8",
    "730f ; jae done",
    "448a0c01 ; mov r9b, [rcx+rax]",
    "443a0c02 ; cmp r9b, [rdx+rax]",
    "7505 ; jne done",
    "48ffc0 ; inc rax",
    "ebec ; jmp loop",
    "c3 ; done: ret",
)
_MEMCMP = _assembled(
    "31c0 ; xor eax, eax",
    "4c39c0 ; loop: cmp rax, r8",
    "730f ; jae same",
    "448a0c01 ; mov r9b, [rcx+rax]",
    "443a0c02 ; cmp r9b, [rdx+rax]",
    "7508 ; jne different",
    "48ffc0 ; inc rax",
    "ebec ; jmp loop",
    "31c0 ; same: xor eax, eax",
    "c3 ; ret",
    "19c0 ; different: sbb eax, eax",
    "83c801 ; or eax, 1",
    "c3 ; ret",
)
_CHKSTK = _assembled(
    "51 ; push rcx",
    "50 ; push rax",
    "488d4c2418 ; lea rcx, [rsp+18h]",
    "483d00100000 ; loop: cmp rax, 1000h",
    "7212 ; jb last",
    "4881e900100000 ; sub rcx, 1000h",
    "488509 ; test [rcx], rcx",
    "482d00100000 ; sub rax, 1000h",
    "ebe6 ; jmp loop",
    "4829c1 ; last: sub rcx, rax",
    "488509 ; test [rcx], rcx",
    "58 ; pop rax",
    "59 ; pop rcx",
    "c3 ; ret",
)


def _gs_u64(offset: int) -> bytes:
    """`mov rax, gs:[offset]`."""
    return b"\x65\x48\x8b\x04\x25" + pack("<I", offset)


def _rax_u64(offset: int) -> bytes:
    """`mov rax, [rax+offset]`."""
    return b"\x48\x8b\x80" + pack("<I", offset)


def _current_thread_field(offset: int) -> bytes:
    return _gs_u64(KPCR.CURRENT_THREAD) + _rax_u64(offset) + _RET


_CURRENT_THREAD = _gs_u64(KPCR.CURRENT_THREAD) + _RET
_CURRENT_PROCESS = _current_thread_field(KTHREAD.PROCESS)
_THREAD_PROCESS = b"\x48\x8b\x81" + pack("<I", KTHREAD.PROCESS) + _RET  # mov rax, [rcx+Process]
_CURRENT_IRQL = b"\x65\x0f\xb6\x04\x25" + pack("<I", KPCR.IRQL) + _RET  # movzx eax, byte gs:[Irql]
_PROCESSOR_NUMBER = b"\x65\x8b\x04\x25" + pack("<I", KPCR.NUMBER) + _RET  # mov eax, gs:[Number]

CODE_EXPORTS: Mapping[str, bytes] = {
    "memcpy": _MEMMOVE,
    "memmove": _MEMMOVE,
    "RtlMoveMemory": _MEMMOVE,
    "RtlCopyMemory": _MEMMOVE,
    "memset": _MEMSET,
    "RtlFillMemory": _FILL,
    "RtlZeroMemory": _ZERO,
    "memcmp": _MEMCMP,
    "RtlCompareMemory": _COMPARE,
    "__chkstk": _CHKSTK,
    "KeGetCurrentThread": _CURRENT_THREAD,
    "PsGetCurrentThread": _CURRENT_THREAD,
    "IoGetCurrentProcess": _CURRENT_PROCESS,
    "PsGetCurrentProcess": _CURRENT_PROCESS,
    "PsGetThreadProcess": _THREAD_PROCESS,
    "IoThreadToProcess": _THREAD_PROCESS,
    "PsGetCurrentProcessId": _current_thread_field(KTHREAD.PROCESS_ID),
    "PsGetCurrentThreadId": _current_thread_field(KTHREAD.THREAD_ID),
    "KeGetCurrentIrql": _CURRENT_IRQL,
    "KeGetCurrentProcessorNumber": _PROCESSOR_NUMBER,
}
"""Exports of ntoskrnl.exe written as machine code: no Python runs when they are called."""

CODE_FOR_USERS = frozenset(name for name in CODE_EXPORTS if "mem" in name.lower() or name == "__chkstk")
"""Those of them that ntdll.dll exports as well."""
