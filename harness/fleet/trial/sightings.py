"""What the two observers, and the kernel where it is ours, have seen of a driver during the workload."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.minifilter.events import Event, Phase
from harness.minifilter.trace import Operation, Trace
from harness.nt import IrpMajor, Irql, OperationClass, PostopStatus, PreopStatus

ABOVE, BELOW = "above", "below"
_CALLBACKS = {Phase.PRE: "pre", Phase.RESUME_PRE: "pre", Phase.POST: "post", Phase.RESUME_POST: "post"}


@dataclass
class Seen:
    """What is known of one major function. Counts are of operations but for `pre` and `post`, which are of callbacks.

    `above` and `below` are how many the observers have seen on each side, `own` those that began between them.
    """

    above: int = 0
    below: int = 0
    stopped: int = 0
    own: int = 0
    pre: int = 0
    post: int = 0
    returned: Counter[str] = field(default_factory=Counter)
    """By what the preoperation callback returned, or POSTPONED for completion processing put off in post."""
    parameters: Counter[str] = field(default_factory=Counter)
    """Which parameters were others below than above."""
    results: Counter[str] = field(default_factory=Counter)
    """What of the result was another above than below."""
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By callback (`pre`, `post`) and parameter or member of IoStatus: how many times it was left as another."""
    pends: list[int] = field(default_factory=list)
    """How long each operation was pended before it went on, in performance counts."""


@dataclass
class Sightings:
    """All that was seen of a driver."""

    majors: dict[str, Seen] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    highest_irql: int = 0
    pended: int = 0
    lost: int = 0
    by_kernel: bool = False
    """Its own callbacks are seen, not only what comes of them."""

    def add(self, trace: Trace, label: str) -> None:
        """Count what came of one part of the workload. `label` is the driver between the observers."""
        for operation in trace.operations:
            self._between(operation, trace.process)
        lane = [event for event in trace.seen if event.filter == label]
        for event in lane:
            self._callback(event)
        self._pends(lane)

    def of(self, major: IrpMajor | int, kind: OperationClass | None) -> Seen:
        """The row of a major function."""
        name = major.name if isinstance(major, IrpMajor) else f"0x{major:X}"
        if kind is OperationClass.FAST_IO:
            name += " (fast I/O)"
        return self.majors.setdefault(name, Seen())

    def _between(self, operation: Operation, process: int) -> None:
        above, below = ([e for e in operation.events if e.filter == label] for label in (ABOVE, BELOW))
        row = self.of(operation.major, operation.operation_class)
        row.above += bool(above)
        row.below += bool(below)
        if not above:
            row.own += any(event.generated or event.requestor_process != process for event in below)
            return
        if not below:
            row.stopped += 1
            return
        first, second = above[0], below[0]
        for name in ("offset", "length", "flags", "irp_flags"):
            if name != "flags" and getattr(first, name) != getattr(second, name):
                row.parameters[name] += 1
        row.results.update(_changed_results(above, below))

    def _callback(self, event: Event) -> None:
        if event.is_lifecycle:
            return
        row = self.of(event.major, event.operation_class)
        self.threads.add(event.thread)
        self.highest_irql = max(self.highest_irql, event.irql)
        if event.phase in _CALLBACKS and event.returned is not PreopStatus.PENDING:  # told when it goes on
            row.changed.update((_CALLBACKS[event.phase], name) for name in event.changed)
        if event.phase is Phase.PRE:
            row.pre += 1
            row.returned[event.returned.name if isinstance(event.returned, PreopStatus) else "?"] += 1
        elif event.phase is Phase.POST:
            row.post += 1
            if event.returned is PostopStatus.MORE_PROCESSING_REQUIRED:
                row.returned["POSTPONED"] += 1

    def _pends(self, lane: Iterable[Event]) -> None:
        begun: dict[int, int] = {}
        for event in lane:
            if event.phase is Phase.PRE and event.returned is PreopStatus.PENDING:
                self.pended += 1
                begun[event.callback_data] = event.performance_count
            elif event.phase is Phase.RESUME_PRE and event.callback_data in begun:
                since = begun.pop(event.callback_data)
                self.of(event.major, event.operation_class).pends.append(event.performance_count - since)

    @property
    def irql(self) -> str:
        """The highest IRQL of a callback, by its name."""
        return (
            Irql(self.highest_irql).name if self.highest_irql in Irql.__members__.values() else str(self.highest_irql)
        )

    @property
    def did_anything(self) -> bool:
        """Whether any operation was changed, held or ended by the driver, or one of its own was begun."""
        return any(
            row.changed or row.pends or row.own or row.stopped or row.parameters or row.results or _ended(row)
            for row in self.majors.values()
        )

    def rows(self) -> Mapping[str, Seen]:
        """The rows that have something to tell, the busiest first."""
        if not self.by_kernel:
            return dict(sorted(self.majors.items(), key=lambda item: -item[1].above))
        touched = {name: row for name, row in self.majors.items() if row.pre or row.post}
        return dict(sorted(touched.items(), key=lambda item: -(item[1].pre + item[1].post)))


def _ended(row: Seen) -> bool:
    return bool(row.returned[PreopStatus.COMPLETE.name] or row.returned[PreopStatus.PENDING.name])


def _changed_results(above: Iterable[Event], below: Iterable[Event]) -> list[str]:
    """What of the IoStatus the requester is given is not what came from below."""
    up = next((event for event in above if event.phase is Phase.POST and not event.draining), None)
    down = next((event for event in below if event.phase is Phase.POST and not event.draining), None)
    if up is None or down is None:
        return []
    return [name for name in ("status", "information") if getattr(up, name) != getattr(down, name)]
