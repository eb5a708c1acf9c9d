"""Between what fltprobe answered and the raw trace of a test (harness/wire/trace.py)."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from harness.minifilter.events import FIELDS, Event, Phase, words_of
from harness.minifilter.probe import FilterReport, ProbeResult, Step
from harness.minifilter.timeline import under_way
from harness.minifilter.trace import Operation, group, in_order
from harness.minifilter.trace import Trace as IoTrace
from harness.nt import PostopStatus, PreopStatus
from harness.text import safe_line
from harness.wire import trace as wire
from harness.wire.trace import made

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_OTHERWISE = frozenset({"returned_value", "phase_value", "major_value", "class_value", "name_length"})
_RAW = tuple(item.name for item in FIELDS if item.name not in _OTHERWISE)
"""The members that an event and a callback have alike."""
_raw = attrgetter(*_RAW)
MINIFILTER, KERNEL = "minifilter", "kernel"
"""Who has recorded a callback."""
_PARAMETERS = ("offset", "length", "irp_flags", "flags")
_PENDS = {Phase.PRE: PreopStatus.PENDING, Phase.POST: PostopStatus.MORE_PROCESSING_REQUIRED}
_RESUMES = {Phase.PRE: Phase.RESUME_PRE, Phase.POST: Phase.RESUME_POST}


@dataclass(frozen=True)
class Asked:
    """One I/O script as fltprobe was given it, and when (UTC, ISO 8601; seconds until the answer, on the host).

    `prepared` lines at its beginning are the harness's own.
    """

    script: str
    prepared: int = 0
    began: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class IoRun:
    """One I/O script, what fltprobe answered, and the trace of it."""

    asked: Asked
    result: ProbeResult
    trace: IoTrace


@dataclass(frozen=True)
class Unanswered:
    """One I/O script that fltprobe gave no answer to, and why; `seen` is what the kernel has seen meanwhile."""

    asked: Asked
    error: str
    seen: tuple[Event, ...] = ()


class TraceWriter:
    """Numbers the operations and callbacks of one test through all of its scripts."""

    def __init__(self) -> None:
        self._operations = 0
        self._callbacks = 0
        self._grouped: list[Operation] = []
        """The operations of the script that is being written."""
        self._number_of: dict[int, tuple[int, int]] = {}  # by id(event): its operation and its callback

    def records(self, number: int, io: IoRun | Unanswered) -> Iterator[wire.Record]:
        """The records of one script; `number` counts from 1."""
        asked = wire.Io(number, **_members(io.asked))
        if isinstance(io, Unanswered):
            yield replace(asked, error=io.error)
            yield from self._events(number, in_order(io.seen), {event.filter: None for event in io.seen})
            return
        result = io.result
        yield replace(
            asked,
            process=result.process_id,
            thread=result.thread_id,
            frequency=result.frequency,
            error=result.error or "",
        )
        for step in result.steps:
            yield wire.Step(number, **{**_members(step), "data": step.data.hex()})
        for label, report in result.filters.items():
            yield wire.Ring(number, label, report.dropped, report.outstanding)
        kept = {id(event) for event in io.trace.whole.events}
        events = in_order((*result.events, *io.trace.seen))
        yield from self._events(number, events, io.trace.labels, kept, result)
        yield from self._prints(number, io.trace)

    def _events(
        self,
        number: int,
        events: Sequence[Event],
        labels: Iterable[str],
        kept: Container[int] | None = None,
        result: ProbeResult | None = None,
    ) -> Iterator[wire.Record]:
        """Events in the order of time; `kept` are the ids of those that came under the test's own steps, None: all."""
        operations = self._grouped = group(tuple(labels), events)
        of = {id(event): operation for operation in operations for event in operation.events}
        first = {id(operation): self._operations + place for place, operation in enumerate(operations, start=1)}
        self._operations += len(operations)
        for operation in operations:
            prepares = kept is not None and id(operation.first) not in kept
            step = None if prepares or result is None else _cause(operation, result)
            yield _operation(first[id(operation)], number, operation, step, prepares=prepares)
        before: dict[int, Event] = {}
        for event in events:
            self._callbacks += 1
            owner = of.get(id(event))
            known = first[id(owner)] if owner is not None else 0
            self._number_of[id(event)] = (known, self._callbacks)
            yield _callback(self._callbacks, number, known, event, before.get(known) if known else None)
            before[known] = event
        for operation in operations:
            yield from self._pended(operation)

    def numbers_of(self, event: Event) -> tuple[int, int]:
        """The numbers of an event's operation and of its callback; zeros if it was not written."""
        return self._number_of.get(id(event), (0, 0))

    def last_of(self, label: str, events: Iterable[Event]) -> tuple[int, int]:
        """The same of the last callback of a filter in an operation."""
        numbers = [self.numbers_of(event) for event in events if event.filter == label and not event.is_lifecycle]
        return numbers[-1] if numbers else (0, 0)

    def _pended(self, operation: Operation) -> Iterator[wire.Pended]:
        for place, event in enumerate(operation.events):
            if event.phase not in _PENDS or event.returned is not _PENDS[event.phase]:
                continue
            later = (
                other
                for other in operation.events[place + 1 :]
                if other.filter == event.filter and other.phase in {_RESUMES[event.phase], Phase.CANCEL}
            )
            end = next(later, None)
            known, begin = self.numbers_of(event)
            yield wire.Pended(known, event.filter, begin, self.numbers_of(end)[1] if end else 0)

    def _prints(self, number: int, trace: IoTrace) -> Iterator[wire.Record]:
        operations = self._grouped
        printed = [(item, True) for item in trace.printed.before] + [(item, False) for item in trace.printed.during]
        for item, before in printed:
            place = under_way(operations, item)
            known = self.numbers_of(operations[place].first)[0] if place is not None else 0
            yield wire.Print(number, **_members(item), operation=known, before=before)
        for note in trace.printed.notes:
            yield wire.Note("prints", note)


def probe_result(trace: wire.Trace, io: wire.Io) -> ProbeResult:
    """What fltprobe answered to one script of a trace, without what drivers printed."""
    labels = [ring.filter for ring in trace.rings if ring.io == io.number]
    callbacks = [item for item in trace.callbacks if item.io == io.number and item.source == MINIFILTER]
    rings = {ring.filter: ring for ring in trace.rings if ring.io == io.number}
    return ProbeResult(
        process_id=io.process,
        thread_id=io.thread,
        steps=tuple(
            Step(**{**_members(step, without=("io",)), "data": bytes.fromhex(step.data)})
            for step in trace.steps
            if step.io == io.number
        ),
        filters={
            label: FilterReport(
                tuple(event_of(item) for item in callbacks if item.filter == label),
                rings[label].dropped,
                rings[label].outstanding,
            )
            for label in labels
        },
        frequency=io.frequency,
        error=safe_line(io.error) if io.error else None,
    )


def event_of(callback: wire.Callback) -> Event:
    """The event that a callback of a trace was made from."""
    by_kernel = callback.source == KERNEL
    return made(
        Event,
        {
            **dict(zip(_RAW, _raw(callback), strict=True)),
            **words_of(callback.phase, callback.major, callback.operation_class),
            "filter": callback.filter,
            "returned_value": callback.returned,
            "name": safe_line(callback.name),
            "by_kernel": by_kernel,
            "until": callback.until,
            "changed": callback.changed if by_kernel else {},
        },
    )


def _callback(number: int, io: int, operation: int, event: Event, before: Event | None) -> wire.Callback:
    changed = event.changed
    if before is not None and not event.by_kernel:
        changed = {name: getattr(before, name) for name in _PARAMETERS if getattr(before, name) != getattr(event, name)}
    return made(
        wire.Callback,
        {
            **dict(zip(_RAW, _raw(event), strict=True)),
            "id": number,
            "io": io,
            "operation": operation,
            "filter": event.filter,
            "phase": int(event.phase),
            "major": int(event.major),
            "operation_class": int(event.operation_class or 0),
            "returned": event.returned_value,
            "name": event.name,
            "source": KERNEL if event.by_kernel else MINIFILTER,
            "until": event.until,
            "changed": changed,
        },
    )


def _operation(number: int, io: int, operation: Operation, step: int | None, *, prepares: bool) -> wire.Operation:
    first = operation.first
    return wire.Operation(
        number,
        io,
        int(first.major),
        first.minor,
        int(first.operation_class or 0),
        operation.name,
        first.offset,
        first.length,
        first.requestor_process,
        first.requestor_thread,
        first.paging,
        first.generated,
        step,
        prepares,
    )


def _cause(operation: Operation, result: ProbeResult) -> int | None:
    """The line of the step during which an operation of fltprobe began, on the thread that asked for it if it tells."""
    first = operation.first
    if first.requestor_process != result.process_id:
        return None
    around = [step for step in result.steps if step.begin <= operation.begin <= step.end]
    own = [step for step in around if step.thread == first.requestor_thread]
    found = own or around
    return found[-1].line if found else None


def _members(item: "DataclassInstance", without: Sequence[str] = ()) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(item) if field.name not in without}
