"""The raw trace of one test, as data: the host writes it, and reports, `compare` and the farm read it.

A trace is a file of JSON lines. Each line is one record; its key `is` names the record's type, and members that are at
their default are left out. The first line is the `Header`, with the version of the format. What the records are about
is put together by number: an `Io` is one I/O script, `Operation` one FLT_CALLBACK_DATA under it, `Callback` what one
filter recorded of an operation, or of its own life where `operation` is 0.

A reader leaves out types and members that it does not know: they may be added without a new version. Numbers are as
the guest gave them: NTSTATUS and addresses unsigned, times as performance counts (`Io.frequency` a second; on a
reference guest they count virtual time) and as time stamp counter.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

_Made = TypeVar("_Made")
FILE_NAME = "trace.jsonl"
VERSION = 1


class Phase(IntEnum):
    """FLTLAB_PHASE_*: where an event was recorded."""

    PRE = 1
    POST = 2
    RESUME_PRE = 3
    RESUME_POST = 4
    WORK_ROUTINE = 5
    SAFE_POST = 6
    CANCEL = 7
    GENERATED_IO = 8
    CONTEXT = 9
    INSTANCE_SETUP = 16
    QUERY_TEARDOWN = 17
    TEARDOWN_START = 18
    TEARDOWN_COMPLETE = 19
    UNLOAD = 20
    CONTEXT_CLEANUP = 21

    @property
    def spelling(self) -> str:
        """The lower-case, dashed spelling, e.g. "resume-pre"."""
        return self.name.lower().replace("_", "-")


NOT_RETURNED = 0xFFFF_FFFF
"""What `Callback.returned` is as long as the callback has not returned; only the kernel sees one."""


class NotATraceError(ValueError):
    """A file that is no trace, or one of a version that this reader does not know."""


@dataclass(frozen=True)
class Header:
    """What the trace is of. `seed` is that of the reference kernel; None on Windows."""

    test: str
    guest: str = ""
    guest_kind: str = ""
    seed: int | None = None
    version: int = VERSION


@dataclass(frozen=True)
class Minifilter:
    """One minifilter of the stack; they come from top to bottom. `options` are those of driver_options."""

    label: str
    driver: str
    altitude: str
    service: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Io:
    """One I/O script, as fltprobe was given it; its first `prepared` lines are the harness's own.

    `error` is what ended it before its end, if something did. `began` is the host's time (UTC, ISO 8601) and `seconds`
    how long the host waited for the answer.
    """

    number: int
    script: str
    prepared: int = 0
    process: int = 0
    thread: int = 0
    frequency: int = 10_000_000
    error: str = ""
    began: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step of a script that was run. `data` is the beginning of what came back, in hexadecimal, `digest` of all.

    `information_class` is how a directory listing in it is laid out.
    """

    io: int
    line: int
    verb: str
    name: str = ""
    status: int = 0
    information: int = 0
    thread: int = 0
    begin: int = 0
    end: int = 0
    data: str = ""
    outstanding: bool = False
    digest: int = 0
    information_class: int = 0


@dataclass(frozen=True)
class Ring:
    """What became of one minifilter's events: how many were lost, and how many operations it still held."""

    io: int
    filter: str
    dropped: int = 0
    outstanding: int = 0


@dataclass(frozen=True)
class Operation:
    """One operation: what its requester asked for. `id` counts from 1 through the test.

    `step` is the line of the script that caused it, where that is known. `prepares`: it began before the test's own
    first step.
    """

    id: int
    io: int
    major: int
    minor: int = 0
    operation_class: int = 0
    name: str = ""
    offset: int = 0
    length: int = 0
    requestor_process: int = 0
    requestor_thread: int = 0
    paging: bool = False
    generated: bool = False
    step: int | None = None
    prepares: bool = False


@dataclass(frozen=True)
class Callback:
    """What one filter recorded: a callback, a resumption, a step of its own, or an event of its life.

    `source` says who recorded it: the minifilter itself, or the `kernel` for one that cannot. `phase` is FLTLAB_PHASE_*
    and the other members are those of FLTLAB_EVENT (drivers/include/fltlab.h). `changed` names the parameters that are
    not what the filter before was shown, with what they were; of one that the kernel recorded, what the filter itself
    has changed, IoStatus included.
    """

    id: int
    io: int
    operation: int
    filter: str
    phase: int
    sequence: int = 0
    time_stamp: int = 0
    performance_count: int = 0
    callback_data: int = 0
    instance: int = 0
    file_object: int = 0
    completion_context: int = 0
    information: int = 0
    offset: int = 0
    length: int = 0
    status: int = 0
    returned: int = 0
    thread: int = 0
    process: int = 0
    requestor_thread: int = 0
    requestor_process: int = 0
    flags: int = 0
    irp_flags: int = 0
    post_flags: int = 0
    rule_id: int = 0
    detail: int = 0
    major: int = 0
    minor: int = 0
    irql: int = 0
    operation_flags: int = 0
    requestor_mode: int = 0
    operation_class: int = 0
    name: str = ""
    source: str = "minifilter"
    until: int = 0
    """The time stamp when it returned, of one that the kernel recorded."""
    changed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pended:
    """An operation that a filter held back: from which callback on, and which one let it go (0: none did)."""

    operation: int
    filter: str
    begin: int
    end: int = 0


@dataclass(frozen=True)
class Print:
    """One call of DbgPrint or its family; `operation` is the one it stands in, 0 between operations.

    `before`: it came before the test's own first step.
    """

    io: int
    text: str
    time_stamp: int = 0
    performance_count: int = 0
    component: int = 0
    level: int = 0
    thread: int = 0
    process: int = 0
    full_length: int = 0
    operation: int = 0
    before: bool = False


@dataclass(frozen=True)
class Note:
    """A remark that is about no callback: `source` is `kernel` (what it did last), or `prints` (what is missing)."""

    source: str
    text: str


@dataclass(frozen=True)
class Mark:
    """What is wrong, at the place where it is.

    `verdict` is `violated` (the kernel reported it) or `failed` (the test's own assertion). `callback` is the one that
    is to blame or came last before what did not come; `came` and `must` are paths of callbacks, `filter.callback`.
    """

    verdict: str
    text: str
    rule: str = ""
    driver: str = ""
    operation: int = 0
    callback: int = 0
    came: tuple[str, ...] = ()
    must: tuple[str, ...] = ()


Record = Minifilter | Io | Step | Ring | Operation | Callback | Pended | Print | Note | Mark

KINDS: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Header, Minifilter, Io, Step, Ring, Operation, Callback, Pended, Print, Note, Mark)
}


@dataclass(frozen=True)
class Trace:
    """A trace that was read."""

    header: Header
    minifilters: tuple[Minifilter, ...] = ()
    ios: tuple[Io, ...] = ()
    steps: tuple[Step, ...] = ()
    rings: tuple[Ring, ...] = ()
    operations: tuple[Operation, ...] = ()
    callbacks: tuple[Callback, ...] = ()
    pended: tuple[Pended, ...] = ()
    prints: tuple[Print, ...] = ()
    notes: tuple[Note, ...] = ()
    marks: tuple[Mark, ...] = ()


def write_trace(path: Path, header: Header, records: Iterable[Record]) -> None:
    """Write a trace anew."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{_line(record)}\n" for record in (header, *records))


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records to a trace."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{_line(record)}\n" for record in records)


def read_trace(path: Path) -> Trace:
    """Read a trace; OSError if there is none, NotATraceError if it is not one that this version knows.

    A last line that a kill has cut short is left out.
    """
    found: dict[type, list[Any]] = {kind: [] for kind in KINDS.values()}
    for record in _records(path):
        found[type(record)].append(record)
    if not found[Header]:
        raise NotATraceError(f"{path}: there is no header")
    return Trace(
        header=found[Header][0],
        minifilters=tuple(found[Minifilter]),
        ios=tuple(found[Io]),
        steps=tuple(found[Step]),
        rings=tuple(found[Ring]),
        operations=tuple(found[Operation]),
        callbacks=tuple(found[Callback]),
        pended=tuple(found[Pended]),
        prints=tuple(found[Print]),
        notes=tuple(found[Note]),
        marks=tuple(found[Mark]),
    )


def _records(path: Path) -> Iterator[Any]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
            kind = KINDS.get(document.pop("is"))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            if number == len(lines) and not line.endswith("\n"):
                return
            raise NotATraceError(f"{path}:{number} is no line of a trace: {error}") from error
        if number == 1 and (kind is not Header or document.get("version", VERSION) != VERSION):
            raise NotATraceError(f"{path} is no trace of version {VERSION}")
        if kind is not None:
            yield _decode(kind, document, f"{path}:{number}")


def _line(record: Any) -> str:
    kind = type(record)
    document: dict[str, Any] = {"is": kind.__name__.lower()}
    if kind is Header:
        document["version"] = record.version
    for name, default in _DEFAULTS[kind].items():
        value = getattr(record, name)
        if value != default:
            document[name] = value
    return _ENCODER.encode(document)


_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _decode(kind: type[Any], document: Mapping[str, Any], where: str) -> Any:
    known = _DEFAULTS[kind]
    values = dict(known)
    for name, value in document.items():
        if name in known:
            values[name] = tuple(value) if isinstance(value, list) else value
    missing = [name for name, value in values.items() if value is MISSING]
    if missing:
        raise NotATraceError(f"{where} is no {kind.__name__.lower()}: it has no {', '.join(missing)}")
    return made(kind, values)


def made(kind: type[_Made], values: Mapping[str, object]) -> _Made:
    """A frozen dataclass with these members, all of which are given, or are at a default that is no factory's.

    There are thousands in a run, and its own __init__ sets each member by a call.
    """
    record = object.__new__(kind)
    vars(record).update(values)
    return record


def _members(kind: type[Any]) -> dict[str, object]:
    """The members of a record and their defaults; those without one are always written."""
    return {
        item.name: item.default_factory() if item.default_factory is not MISSING else item.default
        for item in fields(kind)
    }


_DEFAULTS: Mapping[type[Any], Mapping[str, object]] = {kind: _members(kind) for kind in KINDS.values()}
