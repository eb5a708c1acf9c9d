/*
 * probe_program.S: a boot sector that proves that an accelerator runs a guest.
 *
 * Real mode to long mode with paging, twenty timer interrupts out of `hlt`, fifty million turns of a loop, then
 * exit code 85 ((42 << 1) | 1) through isa-debug-exit. There are hosts where /dev/kvm opens and a guest is started,
 * but spins for ever; none of them gets through here.
 *
 * The bytes in probe_program.py are this file, assembled: a test compares them.
 */
.code16
.globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp

    /* Page tables at 0x1000, 0x2000, 0x3000: the first 2 MiB map to themselves. IDT at 0x4000. */
    cld
    movw $0x1000, %di
    xorl %eax, %eax
    movw $0x1000, %cx
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x83, 0x3000

    lgdt gdt_register
    movl %cr4, %eax
    orl $0x20, %eax                 /* PAE */
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          /* EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax           /* PG and PE */
    movl %eax, %cr0
    ljmp $8, $long_mode

.code64
long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0x7c00, %esp

    /* Vector 0x20 is the timer. */
    movl $0x4200, %edi
    leaq timer(%rip), %rax
    movw %ax, (%rdi)
    movw $8, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    lidt idt_register

    /* The interrupt controller delivers from vector 0x20 on, the timer alone, every 1.19 MHz / 0x4a9 = 1 ms. */
    movb $0x11, %al
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $4, %al
    outb %al, $0x21
    movb $1, %al
    outb %al, $0x21
    movb $0xfe, %al
    outb %al, $0x21
    movb $0x34, %al
    outb %al, $0x43
    movb $0xa9, %al
    outb %al, $0x40
    movb $4, %al
    outb %al, $0x40

    xorl %ebx, %ebx
    sti
wait_for_ticks:
    hlt
    cmpl $20, %ebx
    jb wait_for_ticks
    cli

    movl $50000000, %ecx
turn:
    decl %ecx
    jnz turn

    movb $42, %al
    outb %al, $0xf4
stop:
    hlt
    jmp stop

timer:
    incl %ebx
    movb $0x20, %al
    outb %al, $0x20
    iretq

.balign 8
gdt:            .quad 0, 0x00209a0000000000, 0x0000920000000000
gdt_register:   .word 23
                .long gdt
idt_register:   .word 0x20f
                .quad 0x4000

.org 510
                .word 0xaa55
