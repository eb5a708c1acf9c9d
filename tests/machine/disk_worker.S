/*
 * disk_worker.S: a boot sector that works on the second disk through the firmware, for ever.
 *
 * It writes sector 2048 and reads it back, and says on the serial port how that went: W or R for success, w or r for
 * an error. The firmware drives AHCI and USB disks, which the reference guest's kernel does not.
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
    sti
    cld

again:
    movb $0x43, %ah             /* extended write, without verification */
    movw $'W', %bx
    call one
    movb $0x42, %ah             /* extended read */
    movw $'R', %bx
    call one
    jmp again

one:
    pushw %bx
    xorb %al, %al
    movb $0x81, %dl
    movw $packet, %si
    movw $1, 2(%si)             /* the firmware leaves there how many sectors it got done */
    int $0x13
    popw %bx
    jnc say
    orb $0x20, %bl
say:
    movw $0x3fd, %dx            /* wait until the serial port takes a character */
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movw $0x3f8, %dx
    movb %bl, %al
    outb %al, %dx
    ret

.balign 4
packet:
    .byte 16, 0
    .word 1                     /* one sector */
    .word 0x8000, 0             /* buffer */
    .quad 2048

.org 510
    .word 0xaa55
