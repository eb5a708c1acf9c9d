"""Machine code of the processor's own: how guest code is entered, left and gone on with, and import stubs.

An import stub leads to the *trap*, which spills the register arguments, rsp and the export's index to the *call page*
and executes `syscall`, which is hooked: reading a page that Python shares costs a twentieth of reading five registers
through Unicorn's binding. The trap also keeps the accounts of import calls in that page, so that leaves
(loader/leaves.py), which do the same, need no Python.
"""

from struct import Struct, pack

from harness.reference.machine.memory.layout import CALL_PAGE, TRAP

# Offsets into the call page.
STACK_POINTER = 0x20  # after rcx, rdx, r8, r9
INDEX = 0x28
BUDGET = 0x30  # import calls until the next preemption
RESULT = 0x38
ENTER = 0x40  # rcx, rdx, r8, r9, rsp, rip, the base of gs
ENTER_STACK_POINTER = 0x60  # then rip and gs
MIXED = 0x80  # a running hash of all import calls
MULTIPLIER = 0x88
NANOSECONDS = 0x90  # virtual time
WANTED = 0x98  # somebody waits for the processor to fall below DISPATCH_LEVEL
ATTENTION = 0x99  # the processor is wanted: guest code is left after its next call of the kernel
NOTES = 0xA0  # where the next note goes: an offset into the page (notes.py)
NEXT = 0x130  # where guest code goes on instead of returning from what it has called; 0 if it returns
STALE = 0xA8  # how many pages' translations are to be forgotten before guest code goes on; from the next word on, which
MOST_STALE = 16
NOTES_BEGIN, NOTES_END = 0x200, 0x1000
NOTE = Struct("<4Q")
"""Virtual time in nanoseconds, thread id, whose it is, and what."""

GOLDEN_RATIO = 0x9E37_79B9_7F4A_7C15
NANOSECONDS_PER_CALL = 100

RETURN_INDEX = 0
"""The index by which a guest function called from Python says that it has returned."""
LEFT_INDEX = 1
"""The index by which a leaf that is done says that the processor is to be left."""

_LOAD_R10 = b"\x49\xba" + pack("<Q", CALL_PAGE)  # mov r10, CALL_PAGE
_LOAD_RESULT = b"\x48\xa1" + pack("<Q", CALL_PAGE + RESULT)  # mov rax, [CALL_PAGE + RESULT]
_SYSCALL = b"\x0f\x05"
_RET = b"\xc3"
_FORGET_STALE = (
    b"\x41\x83\xba"
    + pack("<I", STALE)
    + b"\x00"  # cmp dword [r10+STALE], 0
    + b"\x74\x1e"  # je past this
    + b"\x45\x8b\x9a"
    + pack("<I", STALE)  # mov r11d, [r10+STALE]
    + b"\x4b\x8b\x84\xda"
    + pack("<I", STALE)  # mov rax, [r10+r11*8+STALE]
    + b"\x0f\x01\x38"  # invlpg [rax]
    + b"\x41\xff\xcb"  # dec r11d
    + b"\x75\xf0"  # jnz to the next
    + b"\x45\x89\x9a"
    + pack("<I", STALE)  # mov [r10+STALE], r11d
)
_GO_ON = (
    b"\x49\x8b\x82"
    + pack("<I", NEXT)  # mov rax, [r10+NEXT]
    + b"\x49\x83\xa2"
    + pack("<I", NEXT)
    + b"\x00"  # and qword [r10+NEXT], 0
    + b"\xff\xe0"  # jmp rax
)
_RETURN_OR_GO_ON = (
    b"\x49\x83\xba"
    + pack("<I", NEXT)
    + b"\x00"  # cmp qword [r10+NEXT], 0
    + b"\x75"
    + pack("<B", len(_FORGET_STALE) + len(_LOAD_RESULT) + len(_RET))  # jne past the return
    + _FORGET_STALE
    + _LOAD_RESULT
    + _RET
    + _GO_ON
)
_ACCESS = {False: b"\x0f\x01\xca", True: b"\x0f\x01\xcb"}  # clac, stac
_LOAD_GS = b"\x49\x8b\x42\x70" + b"\xf3\x48\x0f\xae\xd8"  # mov rax, [r10+70h]; wrgsbase rax


def trap() -> bytes:
    """What all import stubs share; r11 is the index. It lies at TRAP."""
    return (
        _LOAD_R10
        + b"\x49\x89\x0a"  # mov [r10], rcx
        + b"\x49\x89\x52\x08"  # mov [r10+8], rdx
        + b"\x4d\x89\x42\x10"  # mov [r10+10h], r8
        + b"\x4d\x89\x4a\x18"  # mov [r10+18h], r9
        + b"\x49\x89\x62\x20"  # mov [r10+20h], rsp
        + b"\x4d\x89\x5a\x28"  # mov [r10+28h], r11
        + b"\x49\x8b\x82"
        + pack("<I", MIXED)  # mov rax, [r10+MIXED]
        + b"\x48\x31\xe0"  # xor rax, rsp
        + b"\x49\x0f\xaf\x82"
        + pack("<I", MULTIPLIER)  # imul rax, [r10+MULTIPLIER]
        + b"\x4c\x01\xd8"  # add rax, r11
        + b"\x49\x89\x82"
        + pack("<I", MIXED)  # mov [r10+MIXED], rax
        + b"\x49\x81\x82"
        + pack("<II", NANOSECONDS, NANOSECONDS_PER_CALL)  # add qword [r10+NANOSECONDS], 100
        + b"\x49\xff\x4a\x30"  # dec qword [r10+BUDGET]
        + _SYSCALL
        + _RETURN_OR_GO_ON
    )


def leave_leaf() -> bytes:
    """Where a leaf goes on that is done, when calls until the next preemption are used up, or the processor is wanted.

    r10 is the call page, rax what the leaf returns.
    """
    return (
        b"\x49\x89\x42"
        + pack("<B", RESULT)  # mov [r10+RESULT], rax
        + b"\x49\x89\x62\x20"  # mov [r10+20h], rsp
        + b"\x49\xc7\x42\x28"
        + pack("<I", LEFT_INDEX)  # mov qword [r10+28h], LEFT_INDEX
        + _SYSCALL
        + _FORGET_STALE
        + _LOAD_RESULT
        + _RET
    )


def import_stub(index: int, target: int = TRAP) -> bytes:
    """The code behind one import-table entry: go on at the trap, or at a leaf."""
    return (
        b"\x41\xbb"
        + pack("<I", index)  # mov r11d, index
        + b"\x49\xba"
        + pack("<Q", target)  # mov r10, target
        + b"\x41\xff\xe2"  # jmp r10
    )


def enter_thunk(*, pageable: bool) -> bytes:
    """Start a guest function: arguments, stack pointer, address and gs come from the call page.

    `pageable` says whether it may touch pageable memory. Translations of pages that are gone are forgotten first.
    """
    return (
        _ACCESS[pageable]
        + _LOAD_R10
        + _FORGET_STALE
        + _LOAD_GS
        + b"\x49\x8b\x4a\x40"  # mov rcx, [r10+40h]
        + b"\x49\x8b\x52\x48"  # mov rdx, [r10+48h]
        + b"\x4d\x8b\x42\x50"  # mov r8, [r10+50h]
        + b"\x4d\x8b\x4a\x58"  # mov r9, [r10+58h]
        + b"\x49\x8b\x62\x60"  # mov rsp, [r10+60h]
        + b"\x41\xff\x62\x68"  # jmp [r10+68h]
    )


def return_thunk() -> bytes:
    """Where a guest function called from Python returns to: its caller goes on in the hook."""
    return (
        _LOAD_R10
        + b"\x49\x89\x02"  # mov [r10], rax
        + b"\x49\x89\x62\x20"  # mov [r10+20h], rsp
        + b"\x49\xc7\x42\x28"
        + pack("<I", RETURN_INDEX)  # mov qword [r10+28h], RETURN_INDEX
        + _SYSCALL
        + _GO_ON
    )


def resume_thunk(*, pageable: bool) -> bytes:
    """Return from an export that was suspended: rsp, rip, gs and rax come from the call page."""
    return (
        _ACCESS[pageable]
        + _LOAD_R10
        + _FORGET_STALE
        + _LOAD_GS
        + b"\x49\x8b\x62\x60"  # mov rsp, [r10+60h]
        + b"\x49\x8b\x42\x38"  # mov rax, [r10+38h]
        + b"\x41\xff\x62\x68"  # jmp [r10+68h]
    )
