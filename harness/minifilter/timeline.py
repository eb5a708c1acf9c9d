"""The callback timeline: what the minifilters recorded of operations, as a person reads it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.minifilter.events import ContextCall, Event, Phase
from harness.nt import IrpMajor, Irql, PostopStatus, PreopStatus, status_name

HEADINGS = ("t/us", "thread", "filter", "callback", "irql", "returned", "IoStatus")


class HasEvents(Protocol):
    """An operation, as far as a timeline needs it."""

    @property
    def events(self) -> list[Event]: ...


@dataclass(frozen=True)
class Row:
    """One event in words; `microseconds` after the first event of the timeline."""

    microseconds: float
    thread: str
    filter: str
    callback: str
    irql: str
    returned: str
    io_status: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.microseconds:.1f}",
            self.thread,
            self.filter,
            self.callback,
            self.irql,
            self.returned,
            self.io_status,
        )


def describe(event: Event) -> str:
    """The operation an event belongs to, in words: `READ data.bin, 4096 bytes at 0 (IRP)`."""
    major = event.major.name if isinstance(event.major, IrpMajor) else f"major 0x{event.major:02X}"
    name = f" {event.name}" if event.name else ""
    extent = f", {event.length} bytes at {event.offset}" if event.major in {IrpMajor.READ, IrpMajor.WRITE} else ""
    how = [
        event.operation_class.name.replace("_", " ") if event.operation_class and event.operation_class.name else "?"
    ]
    how += ["paging"] if event.paging else []
    how += ["generated"] if event.generated else []
    return f"{major}{name}{extent} ({', '.join(how)})"


def rows(events: Sequence[Event], start: int, frequency: int = 10_000_000) -> list[Row]:
    """Events in words; `start` is the performance count that counts as zero."""
    return [
        Row(
            microseconds=(event.performance_count - start) * 1_000_000 / frequency,
            thread=f"{event.process}:{event.thread}",
            filter=event.filter,
            callback=_callback(event),
            irql=Irql(event.irql).name if event.irql in Irql.__members__.values() else str(event.irql),
            returned=_returned(event),
            io_status=status_name(event.status) if event.phase is Phase.POST or _completes(event) else "-",
        )
        for event in events
    ]


def render(operations: Iterable[HasEvents], limit: int = 40) -> Iterator[str]:
    """The timeline of operations as lines of text; at most `limit` operations."""
    operations = list(operations)
    if not operations:
        yield "no operation was recorded"
        return
    start = min(operation.events[0].performance_count for operation in operations)
    tables = [rows(operation.events, start) for operation in operations[:limit]]
    widths = [
        max(len(heading), *(len(row.cells[column]) for table in tables for row in table))
        for column, heading in enumerate(HEADINGS)
    ]
    yield _line(HEADINGS, widths)
    for operation, table in zip(operations, tables, strict=False):
        yield describe(operation.events[0])
        for row in table:
            yield _line(row.cells, widths)
    if len(operations) > limit:
        yield f"… and {len(operations) - limit} more operations"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if not column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(["", first, *rest]).rstrip()


def _completes(event: Event) -> bool:
    return event.phase in {Phase.PRE, Phase.RESUME_PRE} and event.returned is PreopStatus.COMPLETE


def _callback(event: Event) -> str:
    if event.phase is Phase.CONTEXT and event.detail in ContextCall.__members__.values():
        return f"context {ContextCall(event.detail).name.lower().replace('_', ' ')}"
    return f"{event.phase.spelling}{', draining' if event.draining else ''}"


def _returned(event: Event) -> str:
    if event.phase in {Phase.CONTEXT, Phase.GENERATED_IO}:
        return status_name(event.returned_value)
    if isinstance(event.returned, PreopStatus | PostopStatus):
        return event.returned.name
    return "" if event.phase is Phase.WORK_ROUTINE else f"0x{event.returned_value:X}"
