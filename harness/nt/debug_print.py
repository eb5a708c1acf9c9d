"""Who prints by DbgPrintEx: the components (DPFLTR_*_ID of dpfilter.h) that fltlab's images let through."""

from enum import IntEnum


class DebugComponent(IntEnum):
    """DPFLTR_TYPE."""

    FLTMGR = 47
    """What the filter manager says itself."""
    IHVDRIVER = 77
    VERIFIER = 93
    DEFAULT = 101
