"""The filter manager's callback statuses and flags, as fltkernel.h names them."""

from enum import IntEnum, IntFlag

from harness.nt.words import word


class PreopStatus(IntEnum):
    """FLT_PREOP_CALLBACK_STATUS."""

    SUCCESS_WITH_CALLBACK = 0
    SUCCESS_NO_CALLBACK = 1
    PENDING = 2
    DISALLOW_FASTIO = 3
    COMPLETE = 4
    SYNCHRONIZE = 5
    DISALLOW_FSFILTER_IO = 6


class PostopStatus(IntEnum):
    """FLT_POSTOP_CALLBACK_STATUS."""

    FINISHED_PROCESSING = 0
    MORE_PROCESSING_REQUIRED = 1
    DISALLOW_FSFILTER_IO = 2


@word
class CallbackDataFlags(IntFlag):
    """FLTFL_CALLBACK_DATA_*: Flags of FLT_CALLBACK_DATA."""

    IRP_OPERATION = 0x00000001
    FAST_IO_OPERATION = 0x00000002
    FS_FILTER_OPERATION = 0x00000004
    SYSTEM_BUFFER = 0x00000008
    GENERATED_IO = 0x00010000
    REISSUED_IO = 0x00020000
    DRAINING_IO = 0x00040000
    POST_OPERATION = 0x00080000
    NEW_SYSTEM_BUFFER = 0x00100000
    DIRTY = 0x80000000


@word
class PostOperationFlags(IntFlag):
    """FLTFL_POST_OPERATION_*: the Flags argument of a post-operation callback."""

    DRAINING = 0x00000001


@word
class RegistrationFlags(IntFlag):
    """FLTFL_REGISTRATION_*."""

    DO_NOT_SUPPORT_SERVICE_STOP = 0x00000001
    SUPPORT_NPFS_MSFS = 0x00000002
    SUPPORT_DAX_VOLUME = 0x00000004


@word
class OperationRegistrationFlags(IntFlag):
    """FLTFL_OPERATION_REGISTRATION_*."""

    SKIP_PAGING_IO = 0x00000001
    SKIP_CACHED_IO = 0x00000002
    SKIP_NON_DASD_IO = 0x00000004
    SKIP_NON_CACHED_NON_PAGING_IO = 0x00000008


@word
class InstanceSetupFlags(IntFlag):
    """FLTFL_INSTANCE_SETUP_*."""

    AUTOMATIC_ATTACHMENT = 0x00000001
    MANUAL_ATTACHMENT = 0x00000002
    NEWLY_MOUNTED_VOLUME = 0x00000004
    DETACHED_VOLUME = 0x00000008


@word
class InstanceTeardownFlags(IntFlag):
    """FLTFL_INSTANCE_TEARDOWN_*."""

    MANUAL = 0x00000001
    FILTER_UNLOAD = 0x00000002
    MANDATORY_FILTER_UNLOAD = 0x00000004
    VOLUME_DISMOUNT = 0x00000008
    INTERNAL_ERROR = 0x00000010


@word
class FilterUnloadFlags(IntFlag):
    """FLTFL_FILTER_UNLOAD_*."""

    MANDATORY = 0x00000001


@word
class ContextType(IntFlag):
    """FLT_*_CONTEXT."""

    VOLUME = 0x0001
    INSTANCE = 0x0002
    FILE = 0x0004
    STREAM = 0x0008
    STREAM_HANDLE = 0x0010
    TRANSACTION = 0x0020
    SECTION = 0x0040
    END = 0xFFFF
