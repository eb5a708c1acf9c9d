"""Events of the test minifilters: the decoder of FLTLAB_EVENT (drivers/include/fltlab.h).

`FIELDS` is the layout; harness/minifilter/layout.py holds the C structure against it at build time.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any

from harness.errors import GuestError
from harness.nt import IrpMajor, OperationClass, PostopStatus, PreopStatus
from harness.text import SafeText, safe_line
from harness.wire.trace import NOT_RETURNED, Phase, made

__all__ = [
    "EVENT_SIZE",
    "FIELDS",
    "ContextCall",
    "Event",
    "Field",
    "Mechanism",
    "Phase",
    "decode_event",
    "decode_events",
    "words_of",
]

EVENT_SIZE = 192
NAME_OFFSET = 128
NAME_LENGTH = 32


class Mechanism(IntEnum):
    """FLTLAB_MECHANISM_*: by what an operation was parked."""

    DEFERRED = 1
    GENERIC = 2
    QUEUE = 3
    THREAD = 4


class ContextCall(IntEnum):
    """FLTLAB_CONTEXT_*: `detail` of a CONTEXT event."""

    SET = 1
    GET_IN_PRE = 2
    GET_IN_POST = 3
    USED_IN_POST = 4
    NOT_SAFE = 5


@dataclass(frozen=True)
class Field:
    """A member of FLTLAB_EVENT: its name in C, its name in Event, its offset and struct code."""

    c_name: str
    name: str
    offset: int
    code: str


FIELDS: tuple[Field, ...] = (
    Field("Sequence", "sequence", 0, "Q"),
    Field("TimeStampCounter", "time_stamp", 8, "Q"),
    Field("PerformanceCount", "performance_count", 16, "Q"),
    Field("CallbackData", "callback_data", 24, "Q"),
    Field("Instance", "instance", 32, "Q"),
    Field("FileObject", "file_object", 40, "Q"),
    Field("CompletionContext", "completion_context", 48, "Q"),
    Field("Information", "information", 56, "Q"),
    Field("Offset", "offset", 64, "Q"),
    Field("Length", "length", 72, "I"),
    Field("IoStatus", "status", 76, "I"),
    Field("Returned", "returned_value", 80, "I"),
    Field("ThreadId", "thread", 84, "I"),
    Field("ProcessId", "process", 88, "I"),
    Field("RequestorThreadId", "requestor_thread", 92, "I"),
    Field("RequestorProcessId", "requestor_process", 96, "I"),
    Field("CallbackDataFlags", "flags", 100, "I"),
    Field("IrpFlags", "irp_flags", 104, "I"),
    Field("PostFlags", "post_flags", 108, "I"),
    Field("RuleId", "rule_id", 112, "I"),
    Field("Detail", "detail", 116, "I"),
    Field("Phase", "phase_value", 120, "B"),
    Field("MajorFunction", "major_value", 121, "B"),
    Field("MinorFunction", "minor", 122, "B"),
    Field("Irql", "irql", 123, "B"),
    Field("OperationFlags", "operation_flags", 124, "B"),
    Field("RequestorMode", "requestor_mode", 125, "B"),
    Field("OperationClass", "class_value", 126, "B"),
    Field("NameLength", "name_length", 127, "B"),
)

_NAMES = tuple(item.name for item in FIELDS)
_STRUCT = struct.Struct("<" + "".join(field.code for field in FIELDS))

IRP_PAGING_IO = 0x00000002
IRP_NOCACHE = 0x00000001
FLTFL_CALLBACK_DATA_GENERATED_IO = 0x00010000
FLTFL_CALLBACK_DATA_REISSUED_IO = 0x00020000
FLTFL_POST_OPERATION_DRAINING = 0x00000001


@dataclass(frozen=True)
class Event:
    """One recorded callback or step. `filter` is the label of the driver in its stack; numbers are as recorded.

    Addresses, identifiers and statuses are unsigned; `status` and, in lifecycle events, `returned` are NTSTATUS.
    `by_kernel`: the minifilter records nothing itself, and the reference kernel has; `changed` is then what the
    callback has changed, with what it was.
    """

    filter: str
    sequence: int
    time_stamp: int
    performance_count: int
    callback_data: int
    instance: int
    file_object: int
    completion_context: int
    information: int
    offset: int
    length: int
    status: int
    returned_value: int
    thread: int
    process: int
    requestor_thread: int
    requestor_process: int
    flags: int
    irp_flags: int
    post_flags: int
    rule_id: int
    detail: int
    phase: Phase
    major: IrpMajor | int
    minor: int
    irql: int
    operation_flags: int
    requestor_mode: int
    operation_class: OperationClass | None
    name: SafeText
    by_kernel: bool = False
    until: int = 0
    """The time stamp when it returned, of one that the kernel recorded."""
    changed: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def returned(self) -> PreopStatus | PostopStatus | int:
        """What the callback returned or the resume call was given: an enum where the value is a documented one."""
        try:
            if self.phase in (Phase.PRE, Phase.RESUME_PRE, Phase.CANCEL):
                return PreopStatus(self.returned_value)
            if self.phase in (Phase.POST, Phase.RESUME_POST, Phase.SAFE_POST):
                return PostopStatus(self.returned_value)
        except ValueError:
            pass
        return self.returned_value

    @property
    def has_returned(self) -> bool:
        """Whether the callback has come back; only the kernel sees one that has not."""
        return not self.by_kernel or self.returned_value != NOT_RETURNED

    @property
    def is_pre(self) -> bool:
        """A preoperation callback."""
        return self.phase is Phase.PRE

    @property
    def is_post(self) -> bool:
        """A postoperation callback."""
        return self.phase is Phase.POST

    @property
    def context_call(self) -> ContextCall | None:
        """Which call on a context a CONTEXT event is about; `returned` is its NTSTATUS."""
        return ContextCall(self.detail) if self.phase is Phase.CONTEXT else None

    @property
    def mechanism(self) -> Mechanism | None:
        """By what a parked operation was parked, in the events of its coming back."""
        coming_back = (Phase.WORK_ROUTINE, Phase.RESUME_PRE, Phase.RESUME_POST, Phase.CANCEL)
        return Mechanism(self.detail) if self.phase in coming_back else None

    @property
    def draining(self) -> bool:
        """A postoperation call with FLTFL_POST_OPERATION_DRAINING."""
        return bool(self.post_flags & FLTFL_POST_OPERATION_DRAINING)

    @property
    def generated(self) -> bool:
        """An operation that a minifilter started itself."""
        return bool(self.flags & FLTFL_CALLBACK_DATA_GENERATED_IO)

    @property
    def reissued(self) -> bool:
        """An operation that a minifilter issued again."""
        return bool(self.flags & FLTFL_CALLBACK_DATA_REISSUED_IO)

    @property
    def paging(self) -> bool:
        """Paging I/O. IRP_SYNCHRONOUS_PAGING_IO does not tell: without IRP_PAGING_IO it is IRP_INPUT_OPERATION."""
        return self.operation_class is OperationClass.IRP and bool(self.irp_flags & IRP_PAGING_IO)

    @property
    def is_lifecycle(self) -> bool:
        """An event of the instance or the filter, not of an operation."""
        return self.phase >= Phase.INSTANCE_SETUP


def decode_event(label: str, record: bytes) -> Event:
    """Decode one FLTLAB_EVENT of the filter `label`; GuestError if the record is not one."""
    if len(record) != EVENT_SIZE:
        raise GuestError(f"an event of {label} has {len(record)} bytes instead of {EVENT_SIZE}")
    values: dict[str, Any] = dict(zip(_NAMES, _STRUCT.unpack_from(record), strict=True))
    name_length = values.pop("name_length")
    phase, major, operation_class = (values.pop(key) for key in ("phase_value", "major_value", "class_value"))
    if name_length > NAME_LENGTH:
        raise GuestError(f"an event of {label} has a name of {name_length} characters", details=(record.hex(),))
    name = record[NAME_OFFSET : NAME_OFFSET + 2 * name_length].decode("utf-16-le", errors="surrogatepass")
    try:
        words = words_of(phase, major, operation_class)
    except ValueError as error:
        raise GuestError(
            f"an event of {label} has phase {phase}, which this version does not know", details=(record.hex(),)
        ) from error
    return made(Event, {"filter": label, **words, "name": safe_line(name), "changed": {}, **values})


@lru_cache(4096)
def words_of(phase: int, major: int, operation_class: int) -> Mapping[str, Any]:
    """The members of an event that are words; ValueError for a phase that is none."""
    return {
        "phase": Phase(phase),
        "major": IrpMajor(major) if major in IrpMajor.__members__.values() else major,
        "operation_class": OperationClass(operation_class) if operation_class in (1, 2, 4) else None,
    }


def decode_events(label: str, records: Sequence[str]) -> Iterator[Event]:
    """Decode what fltprobe reports for one filter: records in hex, in the order of their sequence."""
    for text in records:
        try:
            record = bytes.fromhex(text)
        except ValueError as error:
            raise GuestError(f"an event of {label} is not hexadecimal", details=(text[:80],)) from error
        yield decode_event(label, record)
