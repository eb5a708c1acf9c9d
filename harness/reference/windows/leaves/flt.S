// flt.S: the filter manager's calls of all filters' callbacks in turn (windows/fltmgr/chains.py).
//
// rcx is a chain. rsp is as in a callback that Python calls: the return address is overwritten with one of our own, so
// that a callback finds the same stack either way. Chain and return address are kept above its home space, where
// Python leaves room. What a callback returns is only taken here if it is nothing special; else Python judges it.

#define CHAIN_AT [rsp + 0x28]
#define RETURN_AT [rsp + 0x30]

    .macro KEEP
    mov rax, qword ptr [rsp]
    add rsp, 8
    mov CHAIN_AT, rcx
    mov RETURN_AT, rax
    KEPT KEEP_ONE
    .endm

    .macro RETURN answer
    mov eax, \answer
    jmp RETURN_AT
    .endm

// KEPT each: what a callback must not keep (windows/verifier/kept.py). Uses rax and rdx.
    .macro KEPT each
    mov rdx, qword ptr gs:[KPCR_CURRENT_THREAD]
    pushfq
    pop rax
    and eax, CONTROL_FLAGS
    \each CHAIN_CONTROLS, eax
    mov eax, dword ptr [rdx + KTHREAD_KERNEL_APC_DISABLE] // and SpecialApcDisable
    \each CHAIN_REGIONS, eax
    mov eax, HELD
    \each CHAIN_SPIN_LOCKS, eax
    mov rax, qword ptr [rdx + KTHREAD_PROCESS]
    \each CHAIN_PROCESS, rax
    .endm
    .macro KEEP_ONE at, value
    mov [rcx + \at], \value
    .endm
    .macro COMPARE_ONE at, value
    xor \value, [rcx + \at]
    or r9, rax
    .endm

// NOTE visit: for the trace. r10 is the call page; uses r8 and r9.
    .macro NOTE visit, full
    mov r8, NOTES
    cmp r8, NOTES_END
    jae \full
    mov r9, NANOSECONDS
    mov qword ptr [r10 + r8], r9
    mov r9, qword ptr gs:[KPCR_CURRENT_THREAD]
    mov r9, qword ptr [r9 + KTHREAD_THREAD_ID]
    mov qword ptr [r10 + r8 + 8], r9
    mov qword ptr [r10 + r8 + 0x10], rcx
    mov qword ptr [r10 + r8 + 0x18], \visit
    add NOTES, NOTE_SIZE
    .endm

// CALL routine: with the arguments in place; goes on behind it, with rcx the chain and r8d what it returned.
    .macro CALL routine
    lea rax, [rip + 98f]
    push rax
    jmp \routine
98: mov r8d, eax
    mov rcx, CHAIN_AT
    .endm

// UNCHANGED: gathers in r9 whether the callback has returned as it was called, and nobody wants the operation back; all
// bits are clear then. rdx is the operation afterwards, rax the visit.
    .macro UNCHANGED
    movzx r9d, byte ptr [rcx + CHAIN_STOP]
    KEPT COMPARE_ONE
    movzx eax, byte ptr [rcx + CHAIN_IRQL]
    xor al, IRQL
    or r9, rax
    mov rdx, qword ptr [rcx + CHAIN_DATA]
    mov rax, qword ptr [rcx + CHAIN_STATUS]
    xor rax, qword ptr [rdx + DATA_STATUS]
    or r9, rax
    mov rax, qword ptr [rcx + CHAIN_NOW]
    .endm

// NEXT: go on with the next filter, unless the processor is wanted for something else.
    .macro NEXT on, otherwise
    mov r10, CALL_PAGE
    cmp ATTENTION, 0
    je \on
    jmp \otherwise
    .endm

ROUTINE FltpCallPreoperations
    KEEP
1:  mov rax, qword ptr [rcx + CHAIN_NOW]
    cmp rax, qword ptr [rcx + CHAIN_END]
    je 8f
    cmp byte ptr [rcx + CHAIN_STOP], 0
    jne 7f
    mov rdx, qword ptr [rcx + CHAIN_DATA]
    mov r11, qword ptr [rax + VISIT_INSTANCE]
    mov qword ptr [rdx + DATA_TARGET_INSTANCE], r11
    mov r10, qword ptr [rcx + CHAIN_RELATED]
    mov r9, qword ptr [rdx + DATA_TARGET_FILE]
    mov qword ptr [r10 + RELATED_FILE], r9
    mov byte ptr [rax + VISIT_OWED], 1
    mov qword ptr [rax + VISIT_CONTEXT], 0
    mov r11, qword ptr [rax + VISIT_PRE]
    test r11, r11
    jz 5f // only a postoperation callback is registered
    mov r10, CALL_PAGE
    NOTE rax, 7f
    and dword ptr [rdx], ~DATA_DIRTY
    mov r10, qword ptr [rcx + CHAIN_RELATED]
    mov rcx, rdx
    mov rdx, r10
    lea r8, [r10 + RELATED_SIZE]
    CALL r11
    UNCHANGED
    .irp at, 0, 8, 24, 32, 40, 48, 56, 64
    mov r11, qword ptr [rcx + CHAIN_PARAMETERS + \at]
    xor r11, qword ptr [rdx + DATA_PARAMETERS + \at]
    or r9, r11
    .endr
    mov r11, qword ptr [rax + VISIT_INSTANCE]
    xor r11, qword ptr [rdx + DATA_TARGET_INSTANCE]
    or r9, r11
    jnz 6f
    cmp r8d, SUCCESS_NO_CALLBACK
    ja 6f
    mov r11, qword ptr [rcx + CHAIN_RELATED]
    mov r11, qword ptr [r11 + RELATED_SIZE]
    test r8d, r8d
    jz 2f
    test r11, r11
    jnz 6f // a context, and no callback to take it
    mov byte ptr [rax + VISIT_OWED], 0
    jmp 4f
2:  cmp qword ptr [rax + VISIT_POST], 0
    je 6f
    mov qword ptr [rax + VISIT_CONTEXT], r11
4:  mov r9, qword ptr [rcx + CHAIN_INFORMATION]
    mov qword ptr [rdx + DATA_STATUS + 8], r9
5:  add qword ptr [rcx + CHAIN_NOW], VISIT_SIZE
    add qword ptr [rcx + CHAIN_RELATED], VISIT_STRIDE
    NEXT 1b, 7f
6:  mov dword ptr [rcx + CHAIN_ANSWER], r8d
    RETURN CHAIN_CALLED
7:  RETURN CHAIN_NOT_CALLED
8:  mov r10, CALL_PAGE
    NOTE rax, 7b // the end: it goes to the file system
    RETURN CHAIN_DONE

// Notes first with which status the operation has come back; Python has made sure that there is room for that.
ROUTINE FltpCallPostoperations
    KEEP
    mov r10, CALL_PAGE
    mov r11d, dword ptr [rcx + CHAIN_STATUS]
    NOTE r11, 7f
1:  mov rax, qword ptr [rcx + CHAIN_NOW]
    lea r9, [rcx + CHAIN_VISITS]
    cmp rax, r9
    jb 8f
    cmp byte ptr [rax + VISIT_OWED], 0
    je 5f
    cmp byte ptr [rcx + CHAIN_STOP], 0
    jne 7f
    mov r10, CALL_PAGE
    lea r11, [rax + 1]
    NOTE r11, 7f
    mov byte ptr [rax + VISIT_OWED], 0
    mov rdx, qword ptr [rcx + CHAIN_DATA]
    .irp at, 0, 8, 24, 32, 40, 48, 56, 64
    mov r9, qword ptr [rcx + CHAIN_PARAMETERS + \at]
    mov qword ptr [rdx + DATA_PARAMETERS + \at], r9
    .endr
    mov r9, qword ptr [rax + VISIT_INSTANCE]
    mov qword ptr [rdx + DATA_TARGET_INSTANCE], r9
    mov r9d, dword ptr [rdx]
    and r9d, ~DATA_DIRTY
    or r9d, DATA_POST_OPERATION
    mov dword ptr [rdx], r9d
    mov r8, qword ptr [rax + VISIT_CONTEXT]
    mov r11, qword ptr [rax + VISIT_POST]
    mov r10, rdx
    mov rdx, qword ptr [rcx + CHAIN_RELATED]
    mov rcx, r10
    xor r9d, r9d
    CALL r11
    UNCHANGED
    or r9, r8
    jnz 6f
5:  sub qword ptr [rcx + CHAIN_NOW], VISIT_SIZE
    sub qword ptr [rcx + CHAIN_RELATED], VISIT_STRIDE
    NEXT 1b, 7f
6:  mov dword ptr [rcx + CHAIN_ANSWER], r8d
    RETURN CHAIN_CALLED
7:  RETURN CHAIN_NOT_CALLED
8:  RETURN CHAIN_DONE
