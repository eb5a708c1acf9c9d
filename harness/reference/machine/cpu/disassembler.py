"""Capstone for x64. Loading it takes long: the nursery of kernels does it once for all of them."""

from functools import cache

from capstone import CS_ARCH_X86, CS_MODE_64, Cs


@cache
def plain() -> Cs:
    """Addresses and lengths only; a byte that begins no instruction is one by itself."""
    disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
    disassembler.skipdata = True
    return disassembler


@cache
def detailed() -> Cs:
    """With operands, and which of them are written."""
    disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
    disassembler.detail = True
    return disassembler
