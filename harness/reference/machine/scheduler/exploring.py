"""The scheduler of a run whose schedule is explored: nothing is drawn, and every switch has a place with a name.

Until `follow` it is the ordinary scheduler. From then on a run is the plain one (harness/wire/schedule.py) but for the
moves of its plan; and it notes where it could have gone otherwise. Threads of equal priority may take each other's
turn at any point of a watched driver, whichever processor they are on, and at any rest.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from random import Random

from harness.nt import Irql
from harness.reference.machine.scheduler.engine import Outcome
from harness.reference.machine.scheduler.processor import Processor
from harness.reference.machine.scheduler.scheduler import Scheduler
from harness.reference.machine.scheduler.thread import Execution, Thread
from harness.reference.machine.scheduler.turns import Turns
from harness.wire.schedule import TIME, Decision, Followed, Place, Plan, Switch, parse_moves

_QUANTUM = 4096
"""Calls after which others get their turn all the same: a thread may ask again and again what another is to do."""
_LONGEST_LEAP = 1_000_000
"""How far in the future, in 100 ns, a timer may be that a schedule lets come now: further on are people's deadlines."""
_ALL_LEAPS = 5_000_000
"""How much time, in 100 ns, a schedule may let pass in all."""
_MOST_DECISIONS = 6000
_HIGHEST = 1000
"""As what a DPC counts, compared with threads' priorities."""


@dataclass(frozen=True, slots=True)
class _Option:
    """Somebody who can go on: on which processor, and, if it is not there yet, which thread is put there."""

    processor: Processor
    thread: Thread | None
    priority: int


class _Following:
    """One run under a plan."""

    def __init__(self, plan: Plan) -> None:
        moves = [move for text in plan.moves for move in parse_moves(text)]
        self.switches = {move.place: move.to for move in moves if isinstance(move, Switch)}
        self.random = Random(f"schedule {plan.random}") if plan.random is not None else None
        self.changes = {Place.parse(text) for text in plan.changes}
        self.times = {Place.parse(text) for text in plan.times}
        self.priorities: dict[str, float] = {}
        self.lowest = 0.0
        self.counts: Counter[tuple[str, str]] = Counter()
        self.moves: list[Switch] = []
        self.decisions: list[Decision] = []
        self.touched: dict[int, dict[str, bool]] = {}
        """By 8 bytes of memory: who has touched them, and whether it has written."""
        self.last = ""
        """Who has run last."""
        self.place = Place("", "", 0)
        """Where it stopped."""
        self.leapt = 0
        self.tired = False
        """It wants others to get their turn."""
        self.next = ""
        """Who goes on, if that has been decided at a point."""
        self.ran: dict[str, int] = {}
        """When each has run last, by counting."""
        self.turns = count()

    def note(self, decision: Decision) -> None:
        if len(self.decisions) < _MOST_DECISIONS:
            self.decisions.append(decision)

    def at(self, actor: str, where: str) -> Place:
        self.counts[actor, where] += 1
        return Place(actor, where, self.counts[actor, where])

    def priority(self, actor: str) -> float:
        if actor not in self.priorities:
            assert self.random is not None
            self.priorities[actor] = 1 + self.random.random()
        return self.priorities[actor]

    def demote(self, actor: str) -> None:
        self.lowest -= 1
        self.priorities[actor] = self.lowest


class ExploringScheduler(Scheduler):
    """A scheduler that can follow a plan."""

    _run: _Following | None = None
    turns: Turns | None = None
    describe_point: Callable[[int], tuple[str, int, bool]]
    """Of an instruction that is about to run: its name, the memory that it touches (0 if none), whether it writes."""
    _stopped_at: dict[str, int]

    def follow(self, plan: Plan) -> None:
        """Go on by a plan."""
        self._run = _Following(plan)
        self._stopped_at = {}
        self.turns = Turns(self._supervisor) if plan.tell else None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """No plan is followed meanwhile."""
        run, self._run = self._run, None
        try:
            yield
        finally:
            self._run = run

    def followed(self) -> Followed:
        """How the run has gone since `follow`."""
        run = self._run
        if run is None:
            return Followed()
        turns = self.turns.told() if self.turns is not None else ()
        shared = (cell for cell, by in run.touched.items() if len(by) > 1 and any(by.values()))
        return Followed(tuple(map(str, run.moves)), tuple(run.decisions), tuple(shared), turns)

    # -- at a point of a driver

    def reached(self, address: int) -> bool:
        """An instruction of a watched driver is about to run; whether somebody else goes on instead."""
        run = self._run
        if run is None:
            return False
        processor = self.current_processor
        actor = self._actor(processor)
        if self._stopped_at.pop(actor, 0) == address:
            return False
        name, cell, writes = self.describe_point(address)
        place = run.at(actor, name)
        if self.turns is not None:
            self.turns.passed(actor, name)
        if cell:
            by = run.touched.setdefault(cell, {})
            by[actor] = writes or by.get(actor, False)
        options = self._options()
        leap = self._may_leap(run)
        if len(options) < 2 and not leap:
            return False
        others = (*(one for one in options if one != actor), *([TIME] if leap else []))
        run.note(Decision(str(place), (actor, *others), cell))
        chosen = self._chosen_at(run, place, options, actor)
        if chosen in (actor, ""):
            return False
        run.place, run.next, run.last = place, chosen, actor
        self._stopped_at[actor] = address
        return True

    @staticmethod
    def _chosen_at(run: _Following, place: Place, options: dict[str, _Option], plain: str) -> str:
        """Who goes on at a place, where `plain` does by itself."""
        wanted = run.switches.get(place)
        if wanted is not None:
            return wanted if wanted in options or wanted == TIME else plain
        if run.random is None:
            return plain
        if place in run.times:
            return TIME
        if place in run.changes:
            run.demote(place.actor)
        return max(options, key=run.priority) if options else plain

    # -- the loop

    def _step(self) -> bool:
        run = self._run
        if run is None:
            return super()._step()
        options = self._options()
        if not options:
            return False
        self._go_on(run, self._who_goes_on(run, options), options)
        return True

    def _who_goes_on(self, run: _Following, options: dict[str, _Option]) -> str:
        if run.next:
            chosen, run.next = run.next, ""
            plain = run.last
        else:
            plain = self._plain(run, options)
            chosen = plain
            leap = self._may_leap(run)
            if run.tired and run.random is not None:
                run.demote(run.last)
            if len(options) > 1 or leap:
                run.note(
                    Decision(str(run.place), (plain, *(o for o in options if o != plain), *([TIME] if leap else [])))
                )
                chosen = self._chosen_at(run, run.place, options, plain)
                if leap and run.random is not None and run.priority(TIME) > run.priority(chosen):
                    chosen = TIME
        if chosen != plain:
            run.moves.append(Switch(run.place, chosen))
        if chosen == TIME:
            chosen = self._leap(run, options)
        return chosen if chosen in options else plain

    def _plain(self, run: _Following, options: dict[str, _Option]) -> str:
        """Who goes on by itself: who was running, unless it has come to rest or something more important is there."""
        best = max(option.priority for option in options.values())
        last = options.get(run.last)
        if last is not None and not run.tired and last.priority == best:
            return run.last
        return min(
            (
                name
                for name, option in options.items()
                if option.priority == best and not (run.tired and name == run.last)
            ),
            key=lambda name: run.ran.get(name, -1),
            default=run.last,
        )

    def _may_leap(self, run: _Following) -> bool:
        due = self._clock.next_due
        return due is not None and due - self._clock.now <= min(_LONGEST_LEAP, _ALL_LEAPS - run.leapt)

    def _leap(self, run: _Following, options: dict[str, _Option]) -> str:
        """Let time pass until the next timer; who can go on because of it, or else whoever would have anyway."""
        before = set(options)
        if self._may_leap(run):
            begin = self._clock.now
            self._clock.advance()
            run.leapt += self._clock.now - begin
        options.clear()
        options.update(self._options())
        if run.random is not None:
            return max(options, key=run.priority, default=run.last)
        return next((name for name in options if name not in before), run.last)

    def _go_on(self, run: _Following, name: str, options: dict[str, _Option]) -> None:
        option = options.get(name) or next(iter(options.values()))
        name = next(one for one, other in options.items() if other is option)
        processor, thread = option.processor, option.thread
        run.ran[name] = next(run.turns)
        run.last, run.tired = name, False
        if thread is not None:
            processor = self._where(processor, thread)
            if processor.thread is not None:
                replaced = processor.thread
                self._leave(processor, replaced)
                self.make_ready(replaced)
            self._dispatch(processor, thread)
        if self.turns is not None:
            self.turns.begins(name, processor)
        self._run_on(processor)

    def _calls_to_run(self) -> int:
        return _QUANTUM if self._run is not None else super()._calls_to_run()

    def _after(self, processor: Processor, execution: Execution, outcome: Outcome) -> None:
        run = self._run
        if run is not None:
            if not run.next:
                run.place = run.at(run.last, "")
                run.tired = outcome is Outcome.YIELDED or (
                    outcome is Outcome.INTERRUPTED and (execution.stalls > 0 or self.traps.until_preemption <= 0)
                )
            if self.turns is not None:
                self.turns.ends(run.last, processor, execution, outcome, interrupted=bool(run.next))
        super()._after(processor, execution, outcome)
        if run is not None and outcome is Outcome.ENDED and run.last.startswith("d") and processor.thread is not None:
            run.last = self._actor(processor)  # whom the DPC has interrupted

    # -- who can go on

    @staticmethod
    def _actor(processor: Processor) -> str:
        return f"d{processor.number}" if processor.dpc is not None else f"t{processor.current.id}"

    def _options(self) -> dict[str, _Option]:
        found: dict[str, _Option] = {}
        for processor in self.processors:
            if processor.spin is not None and not processor.spin.ready():
                continue
            if processor.dpc is not None or (processor.dpcs and processor.irql < Irql.DISPATCH):
                found[f"d{processor.number}"] = _Option(processor, None, _HIGHEST)
            elif processor.thread is not None:
                found[f"t{processor.thread.id}"] = _Option(processor, None, processor.thread.priority)
        if self._ready_count:
            best = next(queue for queue in reversed(self._ready) if queue)
            for thread in best:
                place = self._room_for(thread)
                if place is not None:
                    found[f"t{thread.id}"] = _Option(place, thread, thread.priority)
        return found

    def _room_for(self, thread: Thread) -> Processor | None:
        """A processor that a ready thread may have: an idle one, or one whose thread is no more important."""
        rooms = [
            processor
            for processor in self.processors
            if thread.affinity & 1 << processor.number
            and processor.dpc is None
            and processor.spin is None
            and (
                processor.thread is None
                or (processor.irql < Irql.DISPATCH and processor.thread.priority <= thread.priority)
            )
            and not (processor.dpcs and processor.irql < Irql.DISPATCH)
        ]
        return min(
            rooms,
            key=lambda one: (one.thread.priority if one.thread else -1, one is not self.current_processor),
            default=None,
        )

    def _where(self, processor: Processor, thread: Thread) -> Processor:
        """The idle processor that a thread really gets, where there are several."""
        idle = [
            other
            for other in self.processors
            if thread.affinity & 1 << other.number and not (other.thread or other.dpc or other.dpcs or other.spin)
        ]
        return idle[self._choices.one_of("room", len(idle))] if len(idle) > 1 and processor in idle else processor
