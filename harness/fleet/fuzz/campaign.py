"""A campaign: batches of cases are tried, what reaches something new joins the corpus, what goes wrong is kept."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harness.fleet.fuzz.case import Case, Step, sound
from harness.fleet.fuzz.dictionary import dictionary_of
from harness.fleet.fuzz.fault import Fault, died, endless, faults_in
from harness.fleet.fuzz.kept import Corpus
from harness.fleet.fuzz.mutation import Mutator
from harness.fleet.fuzz.shrink import shrunk
from harness.fleet.fuzz.suite_file import Suite
from harness.fleet.fuzz.target import Target
from harness.fleet.fuzz.vocabulary import Door, Vocabulary
from harness.minifilter.build import BuiltDriver
from harness.wire.attempts import PER_EDGE, Attempt, Tried

BATCH = 64
SIDE_BY_SIDE = 2
"""Batches of one round: the same on every machine, so that it tries the same."""
MOST_STALE = 8
"""How often an edge is reached by a case that does not reach it alone, before it counts as known."""
MOST_STALE_TIMES = 3
"""The same for how often a known edge is taken: that may be a matter of what the cases before have left behind."""
MOST_JOINED = 1000
"""Steps that fltprobe still takes in one script."""
_ENDS = {"connect": "disconnect", "open": "close", "open-by-id": "close"}
BEGINNINGS = 64
NEAR = BATCH // 2
"""How many cases near to one that has reached something come before any others."""


@dataclass(frozen=True)
class Limits:
    """When a campaign ends: after so many seconds, or executions, or when it is interrupted."""

    seconds: float | None = None
    count: int | None = None


@dataclass
class Found:
    """One cause: the smallest case known for it, the file that shows it, how often it came, and when first."""

    fault: Fault
    case: Case
    file: Path
    times: int = 1
    executions: int = 0
    seconds: float = 0.0


@dataclass
class Outcome:
    """What a campaign has come to; filled in while it goes on."""

    executions: int = 0
    seconds: float = 0.0
    corpus: int = 0
    edges: int = 0
    found: dict[tuple[str, ...], Found] = field(default_factory=dict)
    lost: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Causes that did not come again, neither alone nor behind the cases before."""
    others: dict[tuple[str, ...], tuple[Fault, Case]] = field(default_factory=dict)
    """What is no verdict on the driver, with a case that shows it."""
    interrupted: bool = False


@dataclass
class _Reaching:
    """A case that has reached something alone; `is_new_way` says that some of that is not only a matter of times."""

    case: Case
    news: set[int]
    is_new_way: bool


class Campaign:
    """One run of the fuzzer."""

    def __init__(
        self,
        target: Target,
        built: BuiltDriver,
        doors: Sequence[Door],
        seed: int,
        corpus: Corpus,
        suite: Suite,
        progress: Callable[[Outcome], None],
    ) -> None:
        self._target = target
        self._random = Random(seed)
        vocabulary = Vocabulary(tuple(doors), target.entrances(), dictionary_of(built.sys))
        self._mutator = Mutator(self._random, vocabulary)
        self._corpus = corpus
        self._suite = suite
        self._progress = progress
        self._pending: deque[Case] = deque(sound(vocabulary.beginning(self._random)) for _ in range(BEGINNINGS))
        self._cases: list[Case] = []
        self._learning: list[int] = []
        self._learnt: set[int] = set()
        self._edges: set[int] = set()
        self._stale: Counter[int] = Counter()
        self._without: set[tuple[str, ...]] = set()
        self.outcome = Outcome()
        self._began = time.monotonic()

    def run(self, limits: Limits, seeds: Sequence[Case] = ()) -> Outcome:
        """Go on until a limit is reached, or Ctrl-C: all that was found is on disk by then."""
        self._pending.extendleft(reversed(seeds))
        outcome = self.outcome
        try:
            # What is left behind without any case is not a case's.
            self._without = {fault.cause for fault in self._after_unload(self._tried([()], unload=True)[0], 0)}
            while not self._is_over(limits):
                size = SIDE_BY_SIDE * BATCH
                left = limits.count - outcome.executions if limits.count is not None else size
                self._round([self._next() for _ in range(min(left, size))])
                outcome.seconds = time.monotonic() - self._began
                self._progress(outcome)
        except KeyboardInterrupt:
            outcome.interrupted = True
        outcome.seconds = time.monotonic() - self._began
        return outcome

    def _is_over(self, limits: Limits) -> bool:
        late = limits.seconds is not None and time.monotonic() - self._began >= limits.seconds
        return late or (limits.count is not None and self.outcome.executions >= limits.count)

    def _next(self) -> Case:
        return self._pending.popleft() if self._pending else self._mutator.another(self._cases)

    # -- one round

    def _round(self, cases: Sequence[Case]) -> None:
        batches = [cases[at : at + BATCH] for at in range(0, len(cases), BATCH)]
        reaching: list[tuple[Case, Sequence[int]]] = []
        for batch, tried in zip(batches, self._tried(batches, unload=True), strict=True):
            reaching += self._judge(batch, tried)
        self._learn_from(reaching)

    def _judge(self, cases: Sequence[Case], tried: Tried) -> list[tuple[Case, Sequence[int]]]:
        """Keep what went wrong in a batch; the cases that reached something, with that."""
        attempts = tried.attempts[: len(cases)]
        self.outcome.executions += len(attempts)
        for at, attempt in enumerate(attempts):
            for fault in faults_in(attempt):
                self._fault(fault, cases, at)
        if len(attempts) == len(cases):
            for fault in self._after_unload(tried, len(cases)):
                if fault.cause not in self._without:
                    self._left(fault, cases)
        else:
            ended = self._broken_off(tried)
            if ended is not None:
                self.outcome.executions += 1
                self._fault(ended, cases, len(attempts))
            self._pending.extendleft(reversed(cases[len(attempts) + (ended is not None) :]))
        return [(case, one.news) for case, one in zip(cases, attempts, strict=False) if one.news and one.stop is None]

    def _broken_off(self, tried: Tried) -> Fault | None:
        if tried.out_of_time:
            return endless(self._target.service)
        return died(self._target.service, tried.exit_code) if tried.exit_code else None

    def _tried(self, batches: Sequence[Sequence[Case]], *, unload: bool = False, tell: bool = True) -> Sequence[Tried]:
        """Try batches of cases, each in a copy of its own; what has been learnt is no news, if that is to be told."""
        if not batches:
            return ()
        learning: list[int] = []
        if tell:
            learning, self._learning = self._learning, learning
        return self._target.side_by_side(batches, learning, unload=unload)

    # -- what is learnt

    def _learn_from(self, reaching: Sequence[tuple[Case, Sequence[int]]]) -> None:
        """Cases that reached something: each is kept, without the steps that it does not take, if it does so alone."""
        suspects = self._worth_trying(reaching)
        found, faults = [], []
        for (case, fresh), tried in zip(suspects, self._tried([[case] for case, _ in suspects]), strict=True):
            alone = tried.attempts[0] if tried.attempts else Attempt()
            faults += [(fault, case) for fault in faults_in(alone)]
            reached = {number for number in alone.news if number not in self._learnt} if alone.stop is None else set()
            if reached:
                found.append(_Reaching(case, reached, not _edges(reached) <= self._edges))
                self._learn(reached)
            self._stale.update(_edges(fresh - self._learnt))
        self._cut(found)
        for one in found:
            self._cases.append(one.case)
            self._corpus.add(one.case)
            self._pending.extend(self._mutator.near(one.case) for _ in range(NEAR))
            if one.is_new_way:
                self._pending.extendleft(reversed(list(self._mutator.walk(one.case))))
        self.outcome.corpus = len(self._cases)
        self.outcome.edges = len(self._edges)
        for fault, case in faults:
            self._fault(fault, [case], 0)

    def _learn(self, news: set[int]) -> None:
        self._learning += sorted(news - self._learnt)
        self._learnt |= news
        self._edges |= _edges(news)

    def _worth_trying(self, reaching: Sequence[tuple[Case, Sequence[int]]]) -> list[tuple[Case, set[int]]]:
        """The cases that are the first to reach something that is not learnt; with all that is not."""
        self._learn({number for _, news in reaching for number in news if self._is_stale(number)})
        claimed: set[int] = set()
        chosen = []
        for case, news in reaching:
            fresh = {*news} - self._learnt
            if not fresh <= claimed:
                claimed |= fresh
                chosen.append((case, fresh))
        return chosen

    def _is_stale(self, number: int) -> bool:
        edge = number // PER_EDGE
        return self._stale[edge] >= (MOST_STALE_TIMES if edge in self._edges else MOST_STALE)

    def _cut(self, found: "Sequence[_Reaching]") -> None:
        """Take from each case the steps behind the one that has reached all of this."""
        long = [one for one in found if len(one.case) > 1]
        beginnings = [[one.case[:count] for count in range(1, len(one.case))] for one in long]
        # What they reach is still news to the kernel, as that has not been told yet.
        for one, cases, tried in zip(long, beginnings, self._tried(beginnings, tell=False), strict=True):
            reached = (attempt.news for attempt in tried.attempts)
            enough = (case for case, news in zip(cases, reached, strict=False) if one.news <= {*news})
            one.case = next(enough, one.case)

    # -- what goes wrong

    def _after_unload(self, tried: Tried, count: int) -> list[Fault]:
        return [fault for attempt in tried.attempts[count : count + 1] for fault in faults_in(attempt)]

    def _fault(self, fault: Fault, cases: Sequence[Case], at: int) -> None:
        """A cause that came under one case of a batch: alone if it comes again so, else behind those before it."""
        if self._is_known(fault):
            return
        if fault.cause == ("died",) or fault.cause == ("endless",):
            self._keep(fault, cases[at])
            return
        (alone,) = self._comes(fault, cases[at : at + 1])
        needed = cases[at : at + 1] if alone else self._needed(fault, cases[: at + 1])
        joined = together(needed) if needed else ()
        if joined and len(joined) <= MOST_JOINED and (alone or self._comes(fault, [joined])[0]):
            self._keep(fault, shrunk(joined, lambda smaller: self._comes(fault, smaller)))
            return
        self.outcome.lost[fault.cause] += 1

    def _needed(self, fault: Fault, cases: Sequence[Case]) -> Sequence[Case]:
        """The last of some cases with those before it that it takes; none if it does not come again at all."""

        def comes_last(some: Sequence[Case]) -> bool:
            attempts = self._tried([some])[0].attempts
            return len(attempts) == len(some) and any(one.cause == fault.cause for one in faults_in(attempts[-1]))

        if not comes_last(cases):
            return ()
        width = len(cases) // 2
        while width:
            at = 0
            while at + width < len(cases):
                fewer = [*cases[:at], *cases[at + width :]]
                if comes_last(fewer):
                    cases = fewer
                else:
                    at += width
            width //= 2
        return cases

    def _left(self, fault: Fault, cases: Sequence[Case]) -> None:
        """What was found when the driver was unloaded behind a batch: half of the cases is enough, or the other."""
        if self._is_known(fault):
            return
        while len(cases) > 1:
            half = len(cases) // 2
            halves = cases[:half], cases[half:]
            left = self._is_left(fault, [together(some) for some in halves])
            cases = next((some for some, is_left in zip(halves, left, strict=True) if is_left), cases[:0])
        if not cases:
            self.outcome.lost[fault.cause] += 1
            return
        self._keep(fault, shrunk(cases[0], lambda smaller: self._is_left(fault, smaller)))

    def _is_known(self, fault: Fault) -> bool:
        if fault.cause in self.outcome.others:
            return True
        known = self.outcome.found.get(fault.cause)
        if known is not None:
            known.times += 1
        return known is not None or self.outcome.lost[fault.cause] >= MOST_STALE

    def _comes(self, fault: Fault, cases: Sequence[Case]) -> list[bool]:
        """Of each case whether the fault comes when it is alone."""
        tried = self._tried([[case] for case in cases])
        return [any(fault.cause == other.cause for one in each.attempts for other in faults_in(one)) for each in tried]

    def _is_left(self, fault: Fault, cases: Sequence[Case]) -> list[bool]:
        """Of each case whether the fault comes when the driver is unloaded behind it."""
        tried = self._tried([[case] for case in cases], unload=True)
        return [any(fault.cause == other.cause for other in self._after_unload(each, 1)) for each in tried]

    def _keep(self, fault: Fault, case: Case) -> None:
        if not fault.is_drivers:
            self.outcome.others[fault.cause] = fault, case
            return
        seconds = time.monotonic() - self._began
        file = self._suite.write(fault, case)
        self.outcome.found[fault.cause] = Found(fault, case, file, 1, self.outcome.executions, seconds)
        self._progress(self.outcome)


def _edges(news: Iterable[int]) -> set[int]:
    return {number // PER_EDGE for number in news}


def together(cases: Sequence[Case]) -> Case:
    """Cases as one, each with connections and handles of its own, which end with it as with a process of its own."""
    if len(cases) == 1:
        return cases[0]
    joined: list[Step] = []
    for number, case in enumerate(cases):
        steps = [step.renamed(f"{number}") for step in case]
        opened = {step.operands[0]: _ENDS[step.verb] for step in steps if step.verb in _ENDS}
        joined += [*steps, *(Step(verb, (name,)) for name, verb in opened.items())]
    return tuple(joined)
