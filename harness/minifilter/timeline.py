"""The callback timeline: what the minifilters recorded of operations, as a person reads it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.minifilter.events import ContextCall, Event, Phase
from harness.minifilter.prints import Print, Prints
from harness.nt import IrpMajor, Irql, PostopStatus, PreopStatus, status_name

PRINTED = "DbgPrint"
PRINTS_BEFORE = 40
"""How many of the prints before a test's own I/O are shown, the last ones."""
_DECIMAL = frozenset({"offset", "length", "information", "key", "output_length", "input_length", "information_class"})
HEADINGS = ("t/us", "thread", "filter", "callback", "irql", "returned", "IoStatus")


class HasEvents(Protocol):
    """An operation, as far as a timeline needs it."""

    @property
    def events(self) -> list[Event]: ...


@dataclass(frozen=True)
class Row:
    """One event in words; `microseconds` after the first event of the timeline.

    A print has no filter of its own: `filter` is "DbgPrint", `text` what was printed. Else that is what the kernel
    remarks about a callback that it has seen, and the minifilter not recorded.
    """

    microseconds: float
    thread: str
    filter: str
    callback: str
    irql: str
    returned: str
    io_status: str
    text: str = ""

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
            text=", ".join(_remarks(event)),
        )
        for event in events
    ]


@dataclass
class Block:
    """What stands together in a timeline: an operation and the prints in it, or prints outside of every operation."""

    title: str
    events: list[Event | Print] = field(default_factory=list)

    def rows(self, start: int, frequency: int = 10_000_000) -> list[Row]:
        """Its events and prints in words, in the order of time; `start` as in `rows`."""
        return [
            row
            for item in self.events
            for row in (
                [_print_row(item, start, frequency)] if isinstance(item, Print) else rows([item], start, frequency)
            )
        ]


def blocks(operations: Sequence[HasEvents], prints: Prints) -> list[Block]:
    """Operations in their order, with each print in its place; one that came while none was under way between them."""
    made = [Block(describe(operation.events[0]), list(operation.events)) for operation in operations]
    loose: list[tuple[int, Print]] = []
    for item in prints.during:
        owner = under_way(operations, item)
        if owner is not None:
            made[owner].events.append(item)
        else:
            later = (n for n, operation in enumerate(operations) if operation.events[0].time_stamp > item.time_stamp)
            loose.append((next(later, len(operations)), item))
    for block in made:
        block.events.sort(key=lambda item: item.time_stamp)
    for place in sorted({place for place, _ in loose}, reverse=True):
        made.insert(place, Block("", [item for at, item in loose if at == place]))
    if prints.before:
        made.insert(0, Block("printed before the test's own I/O", list(prints.before[-PRINTS_BEFORE:])))
    return made


def under_way(operations: Sequence[HasEvents], item: Print) -> int | None:
    """The place of the operation that a print belongs to, None if none was under way.

    Of several it is the one its thread was in, of those the latest.
    """
    found = [
        (any(event.thread == item.thread for event in operation.events), place)
        for place, operation in enumerate(operations)
        if operation.events[0].time_stamp
        <= item.time_stamp
        <= max(event.until or event.time_stamp for event in operation.events)
    ]
    return max(found)[1] if found else None


def render(
    operations: Iterable[HasEvents], limit: int = 40, prints: Prints | None = None, *, brief: bool = False
) -> Iterator[str]:
    """The timeline of operations and prints as lines of text; at most `limit` of what stands together.

    A brief one has no threads, and statuses by their names only: it fits 80 columns.
    """
    operations, prints = list(operations), prints or Prints()
    if not operations:
        yield "no operation was recorded"
    made = blocks(operations, prints)
    if made:
        start = first_count(operations, prints)
        tables = [block.rows(start) for block in made[:limit]]
        shown = _briefly if brief else tuple[str, ...]
        widths = [
            max(map(len, column))
            for column in zip(shown(HEADINGS), *(shown(row.cells) for table in tables for row in table), strict=True)
        ]
        yield _line(shown(HEADINGS), widths)
        for block, table in zip(made, tables, strict=False):
            if block.title:
                yield block.title
            for row in table:
                line = _line(shown(row.cells), widths)
                yield f"{line}  {row.text}" if row.text else line
    if len(made) > limit:
        yield f"… and {len(made) - limit} more"
    yield from prints.notes


def first_count(operations: Sequence[HasEvents], prints: Prints) -> int:
    """The performance count that is a timeline's zero: the first event, or the first print where there is none."""
    counts = [operation.events[0].performance_count for operation in operations]
    return min(counts or [item.performance_count for item in (*prints.during, *prints.before)], default=0)


def changes(changed: Mapping[str, int]) -> list[tuple[str, str]]:
    """What a callback has changed, as names and what each was before."""
    return [
        (
            name.replace("_", " "),
            status_name(value) if name == "status" else f"0x{value:X}" if name not in _DECIMAL else str(value),
        )
        for name, value in changed.items()
    ]


def _remarks(event: Event) -> Iterator[str]:
    """What is known of a callback because the kernel looked on."""
    if not event.by_kernel:
        return
    yield "seen by the kernel"
    if event.changed:
        yield "changed " + ", ".join(f"{name} (was {was})" for name, was in changes(event.changed))


def _print_row(item: Print, start: int, frequency: int) -> Row:
    microseconds = (item.performance_count - start) * 1_000_000 / frequency
    text = f"{item.source}: {item.line}" if item.source else item.line
    return Row(microseconds, f"{item.process}:{item.thread}", PRINTED, "", "", "", "", text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if not column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(["", first, *rest]).rstrip()


def _briefly(cells: Sequence[str]) -> tuple[str, ...]:
    time, _, *others, status = cells
    return time, *others, status.partition(" ")[2] or status


def _completes(event: Event) -> bool:
    return event.phase in {Phase.PRE, Phase.RESUME_PRE} and event.returned is PreopStatus.COMPLETE


def _callback(event: Event) -> str:
    if event.phase is Phase.CONTEXT and event.detail in ContextCall.__members__.values():
        return f"context {ContextCall(event.detail).name.lower().replace('_', ' ')}"
    return f"{event.phase.spelling}{', draining' if event.draining else ''}"


def _returned(event: Event) -> str:
    if not event.has_returned:
        return "not yet"
    if event.phase in {Phase.CONTEXT, Phase.GENERATED_IO} or (event.by_kernel and event.is_lifecycle):
        return status_name(event.returned_value)
    if isinstance(event.returned, PreopStatus | PostopStatus):
        return event.returned.name
    return "" if event.phase is Phase.WORK_ROUTINE else f"0x{event.returned_value:X}"
