"""Offsets of the opaque structures that drivers read through inlined code, or that we must lay out ourselves.

Where documentation or the kit's headers fix an offset it is that one (x64). Of KTHREAD and EPROCESS only the
dispatcher header is fixed for drivers; the rest is ours.
"""


class KPCR:
    """KPCR: the processor control region that gs points to."""

    SIZE = 0x1000
    SELF = 0x18
    CURRENT_PRCB = 0x20
    IRQL = 0x50
    CURRENT_THREAD = 0x188
    PRCB = 0x180
    IDLE_THREAD = 0x198
    NUMBER = 0x1A4
    HELD = 0x7F8
    """How many spin locks the processor holds (4 bytes); from HELD_LOCKS on, which: lock, and return address."""
    HELD_LOCKS = 0x800
    HELD_MOST = 96


class KTHREAD:
    """KTHREAD and ETHREAD."""

    SIZE = 0x800
    TEB = 0xF0
    KERNEL_APC_DISABLE = 0x1E4
    SPECIAL_APC_DISABLE = 0x1E6
    PROCESS = 0x220
    PREVIOUS_MODE = 0x232
    PROCESS_ID = 0x478
    THREAD_ID = 0x480
    TOP_LEVEL_IRP = 0x500
    SELF = 0x7F8
    """Its own address: how a leaf sees that it was given a thread."""


class EPROCESS:
    """KPROCESS and EPROCESS."""

    SIZE = 0x800
    PROCESS_ID = 0x440
    TOKEN = 0x4B8
    IMAGE_FILE_NAME = 0x5A8
    """15 bytes, the last a NUL: drivers look for `System` in that of the system process to learn where it is."""


class KLOCK_QUEUE_HANDLE:  # noqa: N801 (its name in wdm.h)
    """What KeAcquireInStackQueuedSpinLock fills in."""

    LOCK = 0x08
    OLD_IRQL = 0x10
