/*
 * control.c: what code does to its processor: stack pointer, jumps, flags, registers, privileged instructions.
 */

#include "hostile.h"

#define ASM(What, Text)                                                                                                \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(FltObjects);                                                                            \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __asm__ volatile(Text);                                                                                        \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

ASM(rsp_null, "xorl %esp, %esp\n pushq %rax")
ASM(rsp_user, "movl $0x10000, %esp\n pushq %rax")
ASM(rsp_wild, "movabsq $0xFFFFC1234567F000, %rsp\n pushq %rax")
ASM(rsp_null_jump, "xorl %esp, %esp\n xorl %eax, %eax\n jmp *%rax")
ASM(rsp_wild_call, "movabsq $0xFFFFC1234567F000, %rsp\n xorl %eax, %eax\n call *%rax")
ASM(rsp_odd, "movabsq $0x1234567812345678, %rsp\n pushq %rax")
ASM(stack_cleared_jump, "movq %rsp, %rdi\n xorl %eax, %eax\n movl $100, %ecx\n rep stosq\n jmp *%rax")
ASM(stack_cleared_ret, "movq %rsp, %rdi\n xorl %eax, %eax\n movl $100, %ecx\n rep stosq\n ret")
ASM(stack_whole_cleared, "movq %rsp, %rdi\n movq %rsp, %rcx\n orq $0xfff, %rcx\n subq %rsp, %rcx\n incq %rcx\n"
                         " shrq $3, %rcx\n xorl %eax, %eax\n rep stosq\n ret")
ASM(stack_filled_ret, "movq %rsp, %rdi\n movabsq $0x4141414141414141, %rax\n movl $100, %ecx\n rep stosq\n ret")
ASM(jump_wild, "movabsq $0xFFFFC1234567F000, %rax\n jmp *%rax")
ASM(jump_user, "movl $0x70000, %eax\n jmp *%rax")
ASM(jump_odd, "movabsq $0x1234567812345678, %rax\n jmp *%rax")
ASM(jump_stack, "movq %rsp, %rax\n jmp *%rax")
ASM(undefined_instruction, "ud2")
ASM(breakpoint, "int3")
ASM(software_interrupt, "int $0x80")
ASM(double_fault_int, "int $8")
ASM(page_fault_int, "int $14")
ASM(trap_int, "int $0x2e")
ASM(iret_garbage, "pushq $0\n pushq $0\n pushq $0\n pushq $0\n pushq $0\n iretq")
ASM(sysret, "xorl %ecx, %ecx\n sysretq")
ASM(swap_gs, "swapgs\n movq %gs:0x188, %rax")
ASM(load_cr0, "movq %cr0, %rax\n andq $~0x10000, %rax\n movq %rax, %cr0")
ASM(load_cr3, "xorl %eax, %eax\n movq %rax, %cr3")
ASM(load_cr4, "xorl %eax, %eax\n movq %rax, %cr4")
ASM(load_idt, "subq $16, %rsp\n movq $0, (%rsp)\n movq $0, 8(%rsp)\n lidt (%rsp)\n int3")
ASM(load_task_register, "movl $0x1234, %eax\n ltr %ax")
ASM(load_ss, "movl $0x1234, %eax\n movw %ax, %ss")
ASM(load_ds, "movl $0x1234, %eax\n movw %ax, %ds")
ASM(far_return, "pushq $0x1234\n pushq $0\n lretq")
ASM(write_gs_base, "movl $0xC0000101, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr")
ASM(divide_by_zero, "xorl %ecx, %ecx\n xorl %edx, %edx\n movl $1, %eax\n divl %ecx")
ASM(trap_flag, "pushfq\n orq $0x100, (%rsp)\n popfq\n nop\n nop")
ASM(direction_flag, "std")
ASM(write_efer, "movl $0xC0000080, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr")
ASM(write_system_call, "movl $0xC0000082, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr")
ASM(write_fs_base, "movl $0xC0000100, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr")
ASM(write_kernel_gs_base, "movl $0xC0000102, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr")
ASM(raise_cr8, "movl $15, %eax\n movq %rax, %cr8")

/* What a function must keep: the compiler knows nothing of it. */

static VOID
Recurse(volatile ULONG Depth)
{
    volatile CHAR Room[512];

    Room[Depth % sizeof(Room)] = 1;
    Recurse(Depth + 1);
    Room[0] = Room[Depth % sizeof(Room)];
}

KIND(recursion)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    Recurse(0);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(return_address_null)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    *(volatile PVOID *)_AddressOfReturnAddress() = NULL;
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(return_address_data)
{
    static ULONG Code;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    *(volatile PVOID *)_AddressOfReturnAddress() = &Code;
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(return_into_pool)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    *(volatile PVOID *)_AddressOfReturnAddress() = ExAllocatePoolWithTag(NonPagedPoolExecute, 64, TAG);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(return_into_export)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"ExFreePoolWithTag");

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    *(volatile PVOID *)_AddressOfReturnAddress() = MmGetSystemRoutineAddress(&Name);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(stack_array_overrun)
{
    volatile CHAR Room[64];
    volatile SIZE_T Index;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    for (Index = 0; Index < 0x4000; Index++) {
        *((volatile CHAR *)Room + Index) = 0x41;
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

KIND(stack_in_pool)
{
    PUCHAR Block = ExAllocatePoolWithTag(NonPagedPoolNx, 0x2000, TAG);

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    __asm__ volatile("leaq 0x1f00(%0), %%rsp\n pushq $0\n ret" : : "r"(Block));
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
