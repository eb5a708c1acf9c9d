// rtl.S: memory. None of these is counted; a fault inside unwinds as in any leaf function, as on Windows.
//
// They copy 64, 32, 16 and eight bytes at a time: what costs the emulator time is a jump, and it runs `rep movsb` byte by byte.

    .macro MOVE
    mov rax, rcx
    mov r10, rcx
    sub r10, rdx
    cmp r10, r8
    jb 4f // the destination begins inside the source
    sub r8, 64
    jb 7f
6:
    .irp at, 0, 8, 16, 24, 32, 40, 48, 56
    mov r9, qword ptr [rdx + \at]
    mov qword ptr [rcx + \at], r9
    .endr
    add rdx, 64
    add rcx, 64
    sub r8, 64
    jae 6b
7:
    .irp size, 32, 16, 8
    test r8b, \size
    jz 1f
    .irp at, 0, 8, 16, 24
    .if \at < \size
    mov r9, qword ptr [rdx + \at]
    mov qword ptr [rcx + \at], r9
    .endif
    .endr
    add rdx, \size
    add rcx, \size
1:
    .endr
    and r8, 7
    jz 3f
2:  mov r9b, byte ptr [rdx]
    mov byte ptr [rcx], r9b
    inc rdx
    inc rcx
    dec r8
    jnz 2b
3:  ret
4:  cmp r8, 8 // backward
    jb 5f
    mov r9, qword ptr [rdx + r8 - 8]
    mov qword ptr [rcx + r8 - 8], r9
    sub r8, 8
    jmp 4b
5:  test r8, r8
    je 3b
    mov r9b, byte ptr [rdx + r8 - 1]
    mov byte ptr [rcx + r8 - 1], r9b
    dec r8
    jmp 5b
    .endm

EXPORT memcpy
    MOVE
EXPORT memmove
    MOVE
EXPORT RtlMoveMemory
    MOVE
EXPORT RtlCopyMemory
    MOVE

    .macro SET // rcx, dl, r8
    mov rax, rcx
    movzx edx, dl
    movabs r9, 0x0101010101010101
    imul rdx, r9
    sub r8, 64
    jb 5f
4:
    .irp at, 0, 8, 16, 24, 32, 40, 48, 56
    mov qword ptr [rcx + \at], rdx
    .endr
    add rcx, 64
    sub r8, 64
    jae 4b
5:
    .irp size, 32, 16, 8
    test r8b, \size
    jz 1f
    .irp at, 0, 8, 16, 24
    .if \at < \size
    mov qword ptr [rcx + \at], rdx
    .endif
    .endr
    add rcx, \size
1:
    .endr
    and r8, 7
    jz 3f
2:  mov byte ptr [rcx], dl
    inc rcx
    dec r8
    jnz 2b
3:  ret
    .endm

EXPORT memset
    SET
EXPORT RtlFillMemory
    xchg rdx, r8
    SET
EXPORT RtlZeroMemory
    mov r8, rdx
    xor edx, edx
    SET

EXPORT RtlCompareMemory
    xor eax, eax
1:  cmp rax, r8
    jae 2f
    mov r9b, byte ptr [rcx + rax]
    cmp r9b, byte ptr [rdx + rax]
    jne 2f
    inc rax
    jmp 1b
2:  ret

EXPORT memcmp
    xor eax, eax
1:  cmp rax, r8
    jae 2f
    mov r9b, byte ptr [rcx + rax]
    cmp r9b, byte ptr [rdx + rax]
    jne 3f
    inc rax
    jmp 1b
2:  xor eax, eax
    ret
3:  sbb eax, eax
    or eax, 1
    ret

// rax is the size of a frame: every page of it is touched, so that a guard page is met
EXPORT __chkstk
    push rcx
    push rax
    lea rcx, [rsp + 0x18]
1:  cmp rax, 0x1000
    jb 2f
    sub rcx, 0x1000
    test qword ptr [rcx], rcx
    sub rax, 0x1000
    jmp 1b
2:  sub rcx, rax
    test qword ptr [rcx], rcx
    pop rax
    pop rcx
    ret
