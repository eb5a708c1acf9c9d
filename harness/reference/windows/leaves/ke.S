// ke.S: IRQL, spin locks, the current thread and process, time.

leaves_begin:

// -- who runs (never counted: compilers inline most of these)

EXPORT KeGetCurrentIrql
    movzx eax, IRQL
    ret

EXPORT KeGetCurrentProcessorNumber
    mov eax, dword ptr gs:[KPCR_NUMBER]
    ret

EXPORT KeGetCurrentThread
    mov rax, qword ptr gs:[KPCR_CURRENT_THREAD]
    ret

EXPORT PsGetCurrentThread
    mov rax, qword ptr gs:[KPCR_CURRENT_THREAD]
    ret

    .macro CURRENT_THREAD_FIELD offset
    mov rax, qword ptr gs:[KPCR_CURRENT_THREAD]
    mov rax, qword ptr [rax + \offset]
    ret
    .endm

EXPORT IoGetCurrentProcess
    CURRENT_THREAD_FIELD KTHREAD_PROCESS
EXPORT PsGetCurrentProcess
    CURRENT_THREAD_FIELD KTHREAD_PROCESS
EXPORT PsGetCurrentProcessId
    CURRENT_THREAD_FIELD KTHREAD_PROCESS_ID
EXPORT PsGetCurrentThreadId
    CURRENT_THREAD_FIELD KTHREAD_THREAD_ID
EXPORT PsGetThreadProcess
    mov rax, qword ptr [rcx + KTHREAD_PROCESS]
    ret
EXPORT IoThreadToProcess
    mov rax, qword ptr [rcx + KTHREAD_PROCESS]
    ret

// THREAD_FIELD: of the thread in rcx, if that is one
    .macro THREAD_FIELD offset
    ENTER
    cmp IRQL, DISPATCH_LEVEL
    ja 9f
    cmp qword ptr [rcx + KTHREAD_SELF], rcx
    jne 9f
    ACCOUNT
    mov rax, qword ptr [rcx + \offset]
    DONE
9:  SLOW
    .endm

COUNTED PsGetThreadId
    THREAD_FIELD KTHREAD_THREAD_ID
COUNTED PsGetThreadProcessId
    THREAD_FIELD KTHREAD_PROCESS_ID

// FltGetRequestorProcessId(rcx: callback data): of the thread at offset 8 of it
    .macro REQUESTOR
    ENTER
    cmp IRQL, DISPATCH_LEVEL
    ja 9f
    mov rdx, qword ptr [rcx + 8]
    test rdx, rdx
    jz 9f
    cmp qword ptr [rdx + KTHREAD_SELF], rdx
    jne 9f
    ACCOUNT
    mov rax, qword ptr [rdx + KTHREAD_PROCESS_ID]
    DONE
9:  SLOW
    .endm

COUNTED FltGetRequestorProcessId
    REQUESTOR
COUNTED FltGetRequestorProcessIdEx
    REQUESTOR

// -- time

COUNTED KeQueryPerformanceCounter
    ENTER
    test rcx, rcx
    jz 1f
    mov qword ptr [rcx], PERFORMANCE_FREQUENCY
1:  ACCOUNT
    mov rax, NANOSECONDS
    xor edx, edx
    mov ecx, 100
    div rcx
    DONE

// -- IRQL

    .macro RAISE_TO irql // rcx and rdx are free
    ENTER
    mov cl, \irql
    movzx edx, IRQL
    cmp dl, cl
    ja 9f
    ACCOUNT
    mov eax, edx
    SET_IRQL_DONE cl
9:  SLOW
    .endm

    .macro RAISE
    ENTER
    movzx edx, IRQL
    cmp dl, cl
    ja 9f
    ACCOUNT
    mov eax, edx
    SET_IRQL_DONE cl
9:  SLOW
    .endm

COUNTED KfRaiseIrql
    RAISE
COUNTED KeRaiseIrql
    RAISE
COUNTED KeRaiseIrqlToDpcLevel
    RAISE_TO DISPATCH_LEVEL
COUNTED KeRaiseIrqlToSynchLevel
    RAISE_TO SYNCH_LEVEL

    .macro LOWER
    ENTER
    LOWERABLE cl, 9f
    ACCOUNT
    xor eax, eax
    SET_IRQL_DONE cl
9:  SLOW
    .endm

COUNTED KeLowerIrql
    LOWER
COUNTED KfLowerIrql
    LOWER

// -- spin locks

COUNTED KeInitializeSpinLock
    ENTER
    mov qword ptr [rcx], 0
    ACCOUNT
    xor eax, eax
    DONE

    .macro ACQUIRE_RAISE
    ENTER
    movzx edx, IRQL
    HOLDABLE_AT dl, 9f
    cmp qword ptr [rcx], 0
    jne 9f
    mov qword ptr [rcx], 1
    ACCOUNT
    HOLD
    mov IRQL, DISPATCH_LEVEL
    clac
    mov eax, edx
    DONE
9:  SLOW
    .endm

COUNTED KeAcquireSpinLockRaiseToDpc
    ACQUIRE_RAISE
COUNTED KfAcquireSpinLock
    ACQUIRE_RAISE

    .macro ACQUIRE
    ENTER
    cmp IRQL, DISPATCH_LEVEL
    jb 9f
    HOLDABLE 9f
    cmp qword ptr [rcx], 0
    jne 9f
    mov qword ptr [rcx], 1
    ACCOUNT
    HOLD
    xor eax, eax
    DONE
9:  SLOW
    .endm

COUNTED KeAcquireSpinLockAtDpcLevel
    ACQUIRE
COUNTED KefAcquireSpinLockAtDpcLevel
    ACQUIRE

    .macro RELEASE_LOWER
    ENTER
    LOWERABLE dl, 9f
    NEWEST rcx, 9f
    mov qword ptr [rcx], 0
    dec HELD
    ACCOUNT
    xor eax, eax
    SET_IRQL_DONE dl
9:  SLOW
    .endm

COUNTED KeReleaseSpinLock
    RELEASE_LOWER
COUNTED KfReleaseSpinLock
    RELEASE_LOWER

    .macro RELEASE
    ENTER
    NEWEST rcx, 9f
    mov qword ptr [rcx], 0
    dec HELD
    ACCOUNT
    xor eax, eax
    DONE
9:  SLOW
    .endm

COUNTED KeReleaseSpinLockFromDpcLevel
    RELEASE
COUNTED KefReleaseSpinLockFromDpcLevel
    RELEASE

// In-stack queued spin locks: rdx is the KLOCK_QUEUE_HANDLE, with the lock and the old IRQL in it. What is written to
// it before a fault in the lock does not matter: Python writes the same.

COUNTED KeAcquireInStackQueuedSpinLock
    ENTER
    movzx r8d, IRQL
    HOLDABLE_AT r8b, 9f
    cmp qword ptr [rcx], 0
    jne 9f
    mov qword ptr [rdx + QUEUED_LOCK], rcx
    mov byte ptr [rdx + QUEUED_OLD_IRQL], r8b
    mov qword ptr [rcx], 1
    ACCOUNT
    HOLD
    mov IRQL, DISPATCH_LEVEL
    clac
    xor eax, eax
    DONE
9:  SLOW

COUNTED KeAcquireInStackQueuedSpinLockAtDpcLevel
    ENTER
    movzx r8d, IRQL
    HOLDABLE 9f
    cmp qword ptr [rcx], 0
    jne 9f
    mov qword ptr [rdx + QUEUED_LOCK], rcx
    mov byte ptr [rdx + QUEUED_OLD_IRQL], r8b
    mov qword ptr [rcx], 1
    ACCOUNT
    HOLD
    xor eax, eax
    DONE
9:  SLOW

COUNTED KeReleaseInStackQueuedSpinLock
    ENTER
    mov dl, byte ptr [rcx + QUEUED_OLD_IRQL]
    LOWERABLE dl, 9f
    mov r8, qword ptr [rcx + QUEUED_LOCK]
    NEWEST r8, 9f
    mov qword ptr [r8], 0
    dec HELD
    ACCOUNT
    xor eax, eax
    SET_IRQL_DONE dl
9:  SLOW

COUNTED KeReleaseInStackQueuedSpinLockFromDpcLevel
    ENTER
    mov r8, qword ptr [rcx + QUEUED_LOCK]
    NEWEST r8, 9f
    mov qword ptr [r8], 0
    dec HELD
    ACCOUNT
    xor eax, eax
    DONE
9:  SLOW
