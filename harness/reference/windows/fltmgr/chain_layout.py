"""The layouts of operations and chains (operation.py, chains.py), for Python and for machine code (leaves/flt.S)."""

from struct import Struct


class OPERATION:
    """An operation's block: FLT_CALLBACK_DATA, parameter block, for each filter related objects and context slot."""

    STATUS = 0x18
    IOPB = 0x60
    TARGET_FILE = 0x08
    """In the parameter block; as the next."""
    TARGET_INSTANCE = 0x10
    VISITS = 0xB0
    STRIDE = 0x40
    RELATED_FILE = 0x20
    """FileObject in the related objects."""
    SLOT = 0x30
    """Behind them."""


class CHAIN:
    """A chain's record: the operation, how far it is, and from VISITS on its filters, highest first."""

    DATA = 0x00
    """The operation's block."""
    IRQL = 0x08
    """At which all callbacks are called, and have to return (1 byte)."""
    STOP = 0x09
    """Python wants the operation back when the callback that runs now has returned (1 byte)."""
    STATUS = 0x10
    """IoStatus.Status, with what pads it, as callbacks are shown it and have to leave it."""
    INFORMATION = 0x18
    """IoStatus.Information as it is set after each preoperation callback."""
    NOW = 0x20
    """The visit that is being made, or where the chain has stopped."""
    RELATED = 0x28
    """Its FLT_RELATED_OBJECTS."""
    END = 0x30
    """Behind the last visit."""
    ANSWER = 0x38
    """What the callback returned that the chain has stopped at (4 bytes)."""
    CONTROLS = 0x3C
    """IF and DF as they were when the chain began (4 bytes). No callback may leave this or the next otherwise."""
    REGIONS = 0x40
    """The APC counters of the thread (4 bytes)."""
    SPIN_LOCKS = 0x44
    """How many spin locks the processor held (4 bytes)."""
    PROCESS = 0x48
    """EPROCESS of the process that the thread is attached to."""
    PARAMETERS = 0x50
    """The parameter block as all filters are shown it, but for TargetInstance."""
    VISITS = 0x98


class VISIT:
    """One filter's turn."""

    PRE = 0x00
    POST = 0x08
    INSTANCE = 0x10
    CONTEXT = 0x18
    """Its completion context, if a postoperation callback is owed."""
    OWED = 0x20
    """Whether one is (1 byte)."""
    SIZE = 0x28


HEADER = Struct("<QBB6xQQQQQI")
"""A chain's record from DATA to CONTROLS."""
KEPT = Struct("<IhhIQ")
"""From there to PARAMETERS."""
ROUTINES = Struct("<3Q16x")
"""A visit as a chain is made with it."""

DONE, CALLED, NOT_CALLED = 0, 1, 2
"""What the machine code returns: all visits are made; it has stopped after the call at NOW; before it."""

assert HEADER.size == CHAIN.CONTROLS
assert CHAIN.CONTROLS + KEPT.size == CHAIN.PARAMETERS
assert ROUTINES.size == VISIT.SIZE
