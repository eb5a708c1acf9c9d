"""The filter manager's structures in guest memory; offsets as in drivers/include/fltkernel.h (x64)."""

from struct import Struct

from harness.reference.machine.memory.structure import Field, Structure

CALLBACK_DATA_SIZE = 88
PARAMETER_BLOCK_SIZE = 72
RELATED_OBJECTS_SIZE = 48
UNSET_STATUS = 0xCCCC_CCCC
UNSET_INFORMATION = 0xCCCC_CCCC_CCCC_CCCC
"""What IoStatus holds on the way down: a filter that completes without storing a status is seen by it (PRE-COMP-02)."""

CALLBACK_DATA = Struct("<I4xQQI4xQQ32xB7x")
"""Flags, Thread, Iopb, IoStatus.Status, IoStatus.Information, TagData, RequestorMode."""
PARAMETER_BLOCK = Struct("<IBBBBQQ48s")
"""IrpFlags, MajorFunction, MinorFunction, OperationFlags, Reserved, TargetFileObject, TargetInstance, Parameters."""
RELATED_OBJECTS = Struct("<HH4xQQQQQ")
"""Size, TransactionContext, Filter, Volume, Instance, FileObject, Transaction."""
REGISTRATION = Struct("<HHI13Q")
OPERATION_REGISTRATION = Struct("<B3xIQQQ")
CONTEXT_REGISTRATION = Struct("<HH4xQQI4xQQQ")
IO_STATUS = Struct("<I4xQ")

assert CALLBACK_DATA.size == CALLBACK_DATA_SIZE
assert PARAMETER_BLOCK.size == PARAMETER_BLOCK_SIZE
assert RELATED_OBJECTS.size == RELATED_OBJECTS_SIZE
assert REGISTRATION.size == 112
assert OPERATION_REGISTRATION.size == 32
assert CONTEXT_REGISTRATION.size == 56


class CallbackData(Structure):
    """FLT_CALLBACK_DATA."""

    SIZE = CALLBACK_DATA_SIZE
    flags = Field(0, "I")
    thread = Field(8)
    iopb = Field(16)
    status = Field(24, "I")
    information = Field(32)
    tag_data = Field(40)
    queue_flink = Field(48)
    queue_blink = Field(56)
    queue_context_0 = Field(64)
    queue_context_1 = Field(72)
    requestor_mode = Field(80, "B")


class CallbackDataQueue(Structure):
    """FLT_CALLBACK_DATA_QUEUE: an IO_CSQ, then the filter's routines."""

    SIZE = 128
    flags = Field(64, "I")
    instance = Field(72)
    insert = Field(80)
    remove = Field(88)
    peek = Field(96)
    acquire = Field(104)
    release = Field(112)
    complete_cancelled = Field(120)


class RegistrationView(Structure):
    """FLT_REGISTRATION."""

    SIZE = 112
    size = Field(0, "H")
    version = Field(2, "H")
    flags = Field(4, "I")
    contexts = Field(8)
    operations = Field(16)
    unload = Field(24)
    setup = Field(32)
    query_teardown = Field(40)
    teardown_start = Field(48)
    teardown_complete = Field(56)
    generate_name = Field(64)
    normalize_name = Field(72)
    normalize_cleanup = Field(80)
    normalize_name_ex = Field(96)
