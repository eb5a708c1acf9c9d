"""The trace of one I/O script: the events of all minifilters, put together into operations, and questions about them.

An operation is what the filter manager handles with one FLT_CALLBACK_DATA. Its address is the same for every
minifilter, and used again for later operations; `group` tells these generations apart by the order of the stack.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from harness.errors import TestError
from harness.minifilter.events import Event, Phase
from harness.minifilter.prints import Print, PrintReport, Prints, gather
from harness.minifilter.probe import ProbeResult
from harness.minifilter.timeline import describe, render
from harness.nt import IrpMajor, OperationClass
from harness.text import safe_line

# The steps of an operation's path, by the names that tests use.
STEP_NAMES = {
    Phase.PRE: "pre",
    Phase.POST: "post",
    Phase.RESUME_PRE: "resume",
    Phase.RESUME_POST: "resume-post",
    Phase.SAFE_POST: "safe-post",
    Phase.CANCEL: "cancel",
}
NAME_LENGTH = 32


@dataclass
class Operation:
    """The events of one operation, in the order of time. `labels` is the stack, top to bottom."""

    labels: Sequence[str]
    events: list[Event] = field(default_factory=list)

    @property
    def first(self) -> Event:
        return self.events[0]

    @property
    def major(self) -> IrpMajor | int:
        return self.first.major

    @property
    def operation_class(self) -> OperationClass | None:
        return self.first.operation_class

    @property
    def file_object(self) -> int:
        return self.first.file_object

    @property
    def offset(self) -> int:
        """The byte offset that the requester asked for."""
        return self.first.offset

    @property
    def length(self) -> int:
        return self.first.length

    @property
    def begin(self) -> int:
        """When the first minifilter was shown it, as a performance count."""
        return self.first.performance_count

    @cached_property
    def name(self) -> str:
        """The last component of the file's name, as given at create; empty if no minifilter knew it."""
        return next((event.name for event in self.events if event.name), "")

    @property
    def path(self) -> "CallbackPath":
        """The callbacks and resumptions in their order, e.g. ["above.pre", "completion.pre", "above.post"]."""
        return CallbackPath(self)

    def of(self, label: str) -> "FilterView":
        """What one minifilter recorded of it."""
        if label not in self.labels:
            raise TestError(f"the stack has no minifilter {label!r}", details=(f"it has {', '.join(self.labels)}",))
        return FilterView(label, self)

    def __str__(self) -> str:
        return "\n".join(render([self]))


class CallbackPath(list[str]):
    """The path of an operation, as a list that knows the operation and the event of each of its steps."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.events = [event for event in operation.events if event.phase in STEP_NAMES]
        super().__init__(f"{event.filter}.{STEP_NAMES[event.phase]}" for event in self.events)


@dataclass(frozen=True)
class FilterView:
    """One minifilter's part in an operation; false if it has none."""

    label: str
    operation: Operation

    @property
    def events(self) -> list[Event]:
        return [event for event in self.operation.events if event.filter == self.label]

    def __bool__(self) -> bool:
        return bool(self.events)

    @property
    def pre(self) -> Event:
        """Its preoperation callback; TestError with the timeline if it had none, or more than one."""
        return self._one(Phase.PRE)

    @property
    def post(self) -> Event:
        """Its postoperation callback; TestError with the timeline if it had none, or more than one."""
        return self._one(Phase.POST)

    @property
    def resume(self) -> Event:
        """Its call of FltCompletePendedPreOperation; TestError with the timeline if it made none, or several."""
        return self._one(Phase.RESUME_PRE)

    @property
    def resume_post(self) -> Event:
        """Its call of FltCompletePendedPostOperation; as `resume`."""
        return self._one(Phase.RESUME_POST)

    @property
    def safe_post(self) -> Event:
        """The safe callback it gave to FltDoCompletionProcessingWhenSafe; as `resume`."""
        return self._one(Phase.SAFE_POST)

    def _one(self, phase: Phase) -> Event:
        found = [event for event in self.events if event.phase is phase]
        if len(found) != 1:
            raise TestError(
                f"{self.label} recorded {len(found)} events '{STEP_NAMES[phase]}' of {describe(self.operation.first)}, "
                "not one",
                details=tuple(render([self.operation])),
                about=self.operation,
            )
        return found[0]


@dataclass(frozen=True)
class SeenByKernel:
    """What the reference kernel has seen of minifilters that record nothing themselves, and how much it has lost."""

    events: tuple[Event, ...] = ()
    lost: int = 0
    prints: PrintReport = field(default_factory=PrintReport)
    """What drivers printed, for where no minifilter of the stack captures it."""


@dataclass(frozen=True)
class Trace:
    """All that the minifilters recorded during one I/O script. `labels` is the stack, top to bottom.

    `printed` is what any driver printed with DbgPrint, as a minifilter of the stack captured it, or a reference kernel
    where none does. `seen` are callbacks
    of those that record nothing themselves: a reference kernel has seen them, and nobody does on Windows. So questions
    are about `events`; `whole` is the trace with what was seen in it, and what is shown to people.
    """

    labels: tuple[str, ...]
    events: tuple[Event, ...]
    process: int
    printed: Prints = field(default_factory=Prints)
    seen: tuple[Event, ...] = ()

    @classmethod
    def of(
        cls, result: ProbeResult, labels: Sequence[str], *, since: int = 0, seen: SeenByKernel | None = None
    ) -> Self:
        """The trace of one run of fltprobe, in the order of time, without operations that began before `since`.

        `since` is a performance count. The close of a file that was prepared for the test may come late, when the
        minifilters' rings have been cleared already, one after the other.
        """
        reports = [(label, report.prints) for label, report in result.filters.items() if report.prints is not None]
        if not reports and seen is not None:
            reports = [("the kernel", seen.prints)]
        kept = _begun(labels, result.events, since)
        known = seen.events if seen is not None else ()
        whole = _begun(labels, (*result.events, *known), since) if known else ()
        by_kernel = tuple(event for event in whole if event.by_kernel)
        return cls(tuple(labels), kept, result.process_id, gather(reports, since), by_kernel)

    @cached_property
    def whole(self) -> "Trace":
        """The same with what only the kernel has seen: a black box has its callbacks among the others' in it."""
        if not self.seen:
            return self
        return replace(self, events=tuple(in_order((*self.events, *self.seen))), seen=())

    @property
    def prints(self) -> tuple[Print, ...]:
        """What drivers printed with DbgPrint during the test's own I/O, in the order of time."""
        return self.printed.during

    @cached_property
    def operations(self) -> list[Operation]:
        """Every operation, in the order in which they began, other processes' and paging I/O among them."""
        return group(self.labels, self.events)

    def all(
        self,
        major: IrpMajor | None = None,
        *,
        name: str | None = None,
        filter: str | None = None,  # noqa: A002 (the field's own word)
        cls: OperationClass | None = None,
        paging: bool | None = False,
        process: str = "own",
    ) -> list[Operation]:
        """The operations that meet everything given, in the order in which they began.

        `name` is the last component of the file's name; `filter` a minifilter that must have recorded it; `cls` how
        it came. Paging I/O is left out unless `paging` says so (None: both), and so are the operations of other
        processes unless `process="any"`.
        """
        return [
            operation
            for operation in self.operations
            if major in {None, operation.major}
            and (name is None or operation.name.casefold() == safe_line(name[:NAME_LENGTH]).casefold())
            and (filter is None or operation.of(filter))
            and cls in {None, operation.operation_class}
            and paging in {None, operation.first.paging}
            and (process == "any" or self.process in _processes(operation))
        ]

    def only(
        self,
        major: IrpMajor | None = None,
        *,
        name: str | None = None,
        filter: str | None = None,  # noqa: A002 (the field's own word)
        cls: OperationClass | None = None,
        paging: bool | None = False,
        process: str = "own",
    ) -> Operation:
        """The one operation that meets everything given; TestError with a timeline if there is none, or another."""
        found = self.all(major, name=name, filter=filter, cls=cls, paging=paging, process=process)
        if len(found) != 1:
            wanted = " ".join(
                [
                    major.name if major is not None else "operation",
                    *([name] if name else []),
                    *([cls.name] if cls and cls.name else []),
                ]
            )
            raise TestError(
                f"the minifilters recorded {len(found)} of {wanted}, not one",
                details=tuple(render(found) if found else render(self.whole.operations, prints=self.printed)),
            )
        return found[0]

    def none(self, major: IrpMajor | None = None, *, name: str | None = None, filter: str | None = None) -> bool:  # noqa: A002
        """Whether no operation meets everything given."""
        return not self.all(major, name=name, filter=filter, paging=None)

    def lifecycle(self, label: str) -> list[str]:
        """What happened to the instances of one minifilter, e.g. ["teardown-start", "teardown-complete"]."""
        return [event.phase.spelling for event in self.events if event.filter == label and event.is_lifecycle]

    def __str__(self) -> str:
        return "\n".join(render(self.whole.operations, prints=self.printed))


def _begun(labels: Sequence[str], events: Iterable[Event], since: int) -> tuple[Event, ...]:
    """Events in the order of time, without those of operations that began before `since`."""
    ordered = in_order(events)
    early = {id(event) for old in group(labels, ordered) if old.begin < since for event in old.events}
    return tuple(event for event in ordered if id(event) not in early)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events in the order of time."""
    return sorted(events, key=_order)


def _order(event: Event) -> tuple[int, int, bool, str, int]:
    """The order of time: Windows keeps its performance counter alike on all processors, the host their time stamps.

    The kernel counts what it sees of all filters in one sequence, and takes no time for it: a minifilter that has read
    the clock meanwhile came before.
    """
    filter_ = "" if event.by_kernel else event.filter
    return event.performance_count, event.time_stamp, event.by_kernel, filter_, event.sequence


def _processes(operation: Operation) -> set[int]:
    return {event.requestor_process for event in operation.events} | {operation.first.process}


def group(labels: Sequence[str], events: Iterable[Event]) -> list[Operation]:
    """Put events, in the order of time, together into operations."""
    depth = {label: index for index, label in enumerate(labels)}
    operations: list[Operation] = []
    current: dict[int, Operation] = {}
    for event in events:
        if event.is_lifecycle or not event.callback_data:
            continue
        operation = _drained(operations, event) if event.draining else current.get(event.callback_data)
        if operation is None or (not event.draining and _begins_anew(operation, event, depth)):
            operation = Operation(labels)
            operations.append(operation)
            current[event.callback_data] = operation
        operation.events.append(event)
    return operations


def _begins_anew(operation: Operation, event: Event, depth: dict[str, int]) -> bool:
    """Whether an event is of a later operation that happens to have the same address.

    Preoperation callbacks go down the stack: one that is not below all those seen so far begins a new operation,
    unless the operation was issued again (FltReissueSynchronousIo).
    """
    first = operation.first
    if (event.major, event.operation_class) != (first.major, first.operation_class):
        return True
    if event.phase is not Phase.PRE or event.reissued:
        return False
    deepest = max((depth[seen.filter] for seen in operation.events if seen.phase is Phase.PRE), default=-1)
    finished = any(
        seen.phase is Phase.POST and not seen.draining and depth[seen.filter] <= depth[event.filter]
        for seen in operation.events
    )
    return depth[event.filter] <= deepest or finished


def _drained(operations: Sequence[Operation], event: Event) -> Operation | None:
    """The operation that a draining postoperation callback is about: it is given a copy of the callback data."""
    for operation in reversed(operations):
        path = operation.path
        if (
            (operation.major, operation.file_object) == (event.major, event.file_object)
            and f"{event.filter}.pre" in path
            and f"{event.filter}.post" not in path
        ):
            return operation
    return None
