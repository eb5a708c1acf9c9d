"""A test's trace as the viewer of report.html takes it: columns of numbers, and one table of all texts.

What the viewer shows in words is put into words here, so that the page needs no vocabulary of Windows. Times are in
microseconds after the first callback of the test's first script.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntFlag
from functools import cache
from typing import Any

from harness.minifilter.prints import Print
from harness.minifilter.timeline import changes, describe, rows
from harness.minifilter.trace import STEP_NAMES
from harness.minifilter.tracing import KERNEL, event_of
from harness.nt import CallbackDataFlags, IrpMajor, PostOperationFlags, PreopStatus, status_name
from harness.text import safe_line
from harness.wire import trace as wire

FORMAT = 1
_IRP_FLAGS = IntFlag(
    "_IRP_FLAGS", {"NOCACHE": 1, "PAGING_IO": 2, "SYNCHRONOUS_API": 4, "SYNCHRONOUS_PAGING_IO": 0x40, "CREATE": 0x80}
)


class Texts:
    """A table of texts, each once."""

    def __init__(self) -> None:
        self.table: list[str] = [""]
        self._places = {"": 0}

    def place(self, text: str) -> int:
        """Where a text, made safe, is in the table."""
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.table)
            self.table.append(safe_line(text))
        return place


def picture_of(trace: wire.Trace) -> dict[str, Any]:
    """The document of one trace."""
    texts = Texts()
    prepares = {operation.id for operation in trace.operations if operation.prepares}
    callbacks = [item for item in trace.callbacks if not item.operation or item.operation not in prepares]
    operations = [operation for operation in trace.operations if not operation.prepares]
    frequency = {io.number: io.frequency for io in trace.ios}
    start = min((item.performance_count for item in callbacks), default=_first(trace))

    def microseconds(count: int, io: int) -> float:
        return round((count - start) * 1_000_000 / (frequency.get(io) or 1), 1)

    lanes = _lanes(trace, callbacks)
    return {
        "format": FORMAT,
        "clock": "virtual time" if trace.header.guest_kind != "windows" else "performance counter",
        "lanes": [{"label": label, **facts} for label, facts in lanes.items()],
        "ios": [_io(trace, io, microseconds) for io in trace.ios],
        "operations": [_operation(operation, texts) for operation in operations],
        "callbacks": _callbacks(callbacks, list(lanes), microseconds, texts),
        "pended": [[item.operation, list(lanes).index(item.filter), item.begin, item.end] for item in trace.pended],
        "prints": [
            [microseconds(item.performance_count, item.io), item.io, item.operation, *_printed(item), int(item.before)]
            for item in trace.prints
        ],
        "notes": [[note.source, safe_line(note.text)] for note in trace.notes],
        "marks": [
            {
                "verdict": mark.verdict,
                "text": safe_line(mark.text),
                "rule": mark.rule,
                "driver": mark.driver,
                "operation": mark.operation,
                "callback": mark.callback,
                "came": list(mark.came),
                "must": list(mark.must),
            }
            for mark in trace.marks
        ],
        "texts": texts.table,
    }


def _first(trace: wire.Trace) -> int:
    return min((item.performance_count for item in trace.prints if not item.before), default=0)


def _lanes(trace: wire.Trace, callbacks: Iterable[wire.Callback]) -> dict[str, dict[str, str]]:
    """The filters by their label, top to bottom; one that the stack does not name comes last."""
    lanes = {item.label: {"driver": item.driver, "altitude": item.altitude} for item in trace.minifilters}
    for item in callbacks:
        lane = lanes.setdefault(item.filter, {"driver": "", "altitude": ""})
        if item.source == KERNEL:
            lane["seen_by"] = "the kernel"
    return lanes


def _io(trace: wire.Trace, io: wire.Io, microseconds: Callable[[int, int], float]) -> dict[str, Any]:
    steps = (step for step in trace.steps if step.io == io.number)
    return {
        "number": io.number,
        "lines": [safe_line(line) for line in io.script.splitlines()],
        "prepared": io.prepared,
        "process": io.process,
        "error": safe_line(io.error),
        "began": io.began,
        "seconds": io.seconds,
        "lost": sum(ring.dropped for ring in trace.rings if ring.io == io.number),
        "held": {ring.filter: ring.outstanding for ring in trace.rings if ring.io == io.number and ring.outstanding},
        "steps": [
            [
                step.line,
                status_name(step.status),
                step.information,
                step.thread,
                microseconds(step.begin, io.number),
                microseconds(step.end, io.number),
                int(step.outstanding),
                int(step.status < 0x80000000),
                step.data,
            ]
            for step in steps
        ],
    }


def _operation(operation: wire.Operation, texts: Texts) -> list[Any]:
    major = operation.major
    name = IrpMajor(major).name if major in IrpMajor.__members__.values() else f"0x{major:02X}"
    return [
        operation.id,
        operation.io,
        operation.step or 0,
        texts.place(name),
        texts.place(operation.name),
        operation.requestor_process,
        operation.requestor_thread,
        int(operation.paging),
        int(operation.generated),
    ]


def _callbacks(
    callbacks: Sequence[wire.Callback], lanes: Sequence[str], microseconds: Callable[[int, int], float], texts: Texts
) -> dict[str, list[Any]]:
    """One column for each fact; texts are places in the table."""
    place = {label: number for number, label in enumerate(lanes)}
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    known: dict[tuple[object, ...], tuple[int, ...]] = {}
    for item in callbacks:
        key = _alike(item)
        words = known.get(key)
        if words is None:
            words = known[key] = _words(item, texts)
        values = (
            item.id,
            item.io,
            item.operation,
            place[item.filter],
            microseconds(item.performance_count, item.io),
            item.thread,
            item.process,
            item.irql,
            item.information,
            _details(item, texts),
            *words,
        )
        for name, value in zip(_COLUMNS, values, strict=True):
            columns[name].append(value)
    return columns


_COLUMNS = (
    *("id", "io", "operation", "lane", "time", "thread", "process", "level", "information", "details"),
    *("step", "callback", "title", "irql", "returned", "status", "turns"),
)


def _alike(item: wire.Callback) -> tuple[object, ...]:
    """What two callbacks have alike that are told in the same words."""
    about = (item.major, item.operation_class, item.name, item.length, item.offset, item.irp_flags, item.flags)
    return (
        item.phase,
        item.returned,
        item.status,
        item.irql,
        item.detail,
        item.post_flags,
        bool(item.operation),
        *about,
    )


def _words(item: wire.Callback, texts: Texts) -> tuple[int, ...]:
    """A callback in words, the last seven columns: its step of the path, what it was, what it is about, and so on."""
    event = event_of(item)
    (row,) = rows([event], 0)
    step = STEP_NAMES.get(event.phase, "")
    return (
        texts.place(step),
        texts.place(row.callback),
        texts.place(describe(event)) if item.operation else 0,
        texts.place(row.irql),
        texts.place(row.returned),
        texts.place("" if row.io_status == "-" else row.io_status),
        _turns(step, event.returned),
    )


def _turns(kind: str, returned: object) -> int:
    """Where an operation goes from here: 1 on to the next below, 2 back up (completed here), 3 held here, 0 up."""
    if kind in {"pre", "resume"}:
        return {PreopStatus.COMPLETE: 2, PreopStatus.PENDING: 3}.get(returned, 1)  # type: ignore[call-overload,no-any-return]
    return 2 if kind == "cancel" else 0


def _details(item: wire.Callback, texts: Texts) -> list[int]:
    """What else is known of a callback: names and values, two and two, as places in the table of texts."""
    facts: list[tuple[str, str]] = []
    if item.length or item.offset:
        facts.append(("parameters", f"{item.length} bytes at {item.offset}"))
    facts += [(f"{name} before", was) for name, was in changes(item.changed)]
    facts += _flags("data flags", CallbackDataFlags, item.flags)
    facts += _flags("IRP flags", _IRP_FLAGS, item.irp_flags)
    facts += _flags("post flags", PostOperationFlags, item.post_flags)
    addresses: Mapping[str, int] = {
        "completion context": item.completion_context,
        "callback data": item.callback_data,
        "instance": item.instance,
        "file object": item.file_object,
    }
    facts += [(name, f"0x{value:X}") for name, value in addresses.items() if value]
    facts += [("requester", f"{item.requestor_process}:{item.requestor_thread}")] if item.requestor_process else []
    facts += [("rule of the test", str(item.rule_id))] if item.rule_id else []
    facts += [("recorded by", "the kernel")] if item.source == KERNEL else []
    return [texts.place(text) for fact in facts for text in fact]


@cache
def _flags(name: str, kind: type[IntFlag], value: int) -> tuple[tuple[str, str], ...]:
    if not value:
        return ()
    known = [flag.name for flag in kind if flag & value and flag.name]
    rest = value & ~sum(flag for flag in kind)
    return ((name, ", ".join([*known, *([f"0x{rest:X}"] if rest else [])])),)


def _printed(item: wire.Print) -> tuple[str, str]:
    """The thread and the line of a print."""
    told = Print(
        item.time_stamp,
        item.performance_count,
        item.component,
        item.level,
        item.thread,
        item.process,
        item.full_length,
        item.text,
    )
    return f"{item.process}:{item.thread}", f"{told.source}: {told.line}" if told.source else told.line
