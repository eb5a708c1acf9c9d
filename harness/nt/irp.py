"""Major functions: IRP_MJ_* and the filter manager's own operation codes, as FLT_OPERATION_REGISTRATION uses them.

Source: ntifs.h and fltkernel.h as documented; values above 0x1B are the filter manager's, kept in a UCHAR.
"""

from enum import IntEnum, IntFlag

from harness.nt.words import word


class IrpMajor(IntEnum):
    """Major function codes a minifilter can register for."""

    CREATE = 0x00
    CREATE_NAMED_PIPE = 0x01
    CLOSE = 0x02
    READ = 0x03
    WRITE = 0x04
    QUERY_INFORMATION = 0x05
    SET_INFORMATION = 0x06
    QUERY_EA = 0x07
    SET_EA = 0x08
    FLUSH_BUFFERS = 0x09
    QUERY_VOLUME_INFORMATION = 0x0A
    SET_VOLUME_INFORMATION = 0x0B
    DIRECTORY_CONTROL = 0x0C
    FILE_SYSTEM_CONTROL = 0x0D
    DEVICE_CONTROL = 0x0E
    INTERNAL_DEVICE_CONTROL = 0x0F
    SHUTDOWN = 0x10
    LOCK_CONTROL = 0x11
    CLEANUP = 0x12
    CREATE_MAILSLOT = 0x13
    QUERY_SECURITY = 0x14
    SET_SECURITY = 0x15
    POWER = 0x16
    SYSTEM_CONTROL = 0x17
    DEVICE_CHANGE = 0x18
    QUERY_QUOTA = 0x19
    SET_QUOTA = 0x1A
    PNP = 0x1B
    ACQUIRE_FOR_SECTION_SYNCHRONIZATION = 0xFF
    RELEASE_FOR_SECTION_SYNCHRONIZATION = 0xFE
    ACQUIRE_FOR_MOD_WRITE = 0xFD
    RELEASE_FOR_MOD_WRITE = 0xFC
    ACQUIRE_FOR_CC_FLUSH = 0xFB
    RELEASE_FOR_CC_FLUSH = 0xFA
    QUERY_OPEN = 0xF9
    FAST_IO_CHECK_IF_POSSIBLE = 0xF3
    NETWORK_QUERY_OPEN = 0xF2
    MDL_READ = 0xF1
    MDL_READ_COMPLETE = 0xF0
    PREPARE_MDL_WRITE = 0xEF
    MDL_WRITE_COMPLETE = 0xEE
    VOLUME_MOUNT = 0xED
    VOLUME_DISMOUNT = 0xEC

    @property
    def spelling(self) -> str:
        """The lower-case, dashed spelling used in `Operations` values and I/O scripts, e.g. "query-information"."""
        return self.name.lower().replace("_", "-")


IRP_MJ_OPERATION_END = 0x80


@word
class OperationClass(IntFlag):
    """How an operation reaches the filter manager; exactly one bit is set in callback data (rule PRE-FIO-06)."""

    IRP = 1
    FAST_IO = 2
    FS_FILTER = 4
