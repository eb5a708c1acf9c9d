"""Interrupt request levels of x64 Windows."""

from enum import IntEnum


class Irql(IntEnum):
    """IRQL values; a minifilter's callbacks see the first three."""

    PASSIVE = 0
    APC = 1
    DISPATCH = 2
    CLOCK = 13
    IPI = 14
    HIGH = 15
