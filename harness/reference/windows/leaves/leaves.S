// leaves.S: exports of the kernel as machine code, for what drivers call too often to leave the emulator for it.
//
// A leaf works on the same guest memory as the Python function of its name, which is what it means: whenever anything
// is not as usual (a lock is held, the IRQL is wrong, the scheduler wants the processor) a counted leaf jumps to that
// function's stub with every argument as it came. A fault in a counted leaf does the same (cpu/traps.py), so a counted
// leaf touches memory that may fault before it changes anything, and keeps rcx, rdx, r8, r9 and r11 until then.
//
// `assemble.py` makes blob.py of this.

#include "leaves.inc"

    .intel_syntax noprefix
    .text

#include "ke.S"
#include "rtl.S"
#include "flt.S"
