"""Which schedule is tried next: by priorities that are drawn (PCT), and by switches, few before many.

*By switches* is systematic: first the plain run, then every run that differs from it in one switch, then in two. Where
memory is touched that several touch, a switch comes before those at calls, and these before all others.

*By priorities* (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs"): every
thread has a priority, the highest runs, and at one to three places that are drawn the one which is there becomes the
lowest. The places are those at which somebody could have gone on in the runs so far.
"""

import heapq
import itertools
from collections.abc import Iterable, Sequence
from enum import StrEnum
from random import Random

from harness.wire.schedule import TIME, Decision, Followed, Place, Plan, Switch

_MOST_WAITING = 20_000
_ENOUGH = 40
"""After so many runs little is seen that was not seen before."""
_DEEPEST = 3
"""Changes of priority in a run at most."""


class Mode(StrEnum):
    """How schedules are chosen."""

    BOTH = "both"
    """In turn."""
    PCT = "pct"
    BOUNDED = "bounded"


class Search:
    """The schedules of one test, one after the other: `next`, and `learn` what came of it."""

    def __init__(self, seed: int, mode: Mode = Mode.BOTH) -> None:
        self._random = Random(f"search {seed}")
        self._mode = mode
        self._seed = seed
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, float, int, tuple[str, ...]]] = []
        """Systematic: switches, how little is expected, chance, order; and the moves."""
        self._tried: set[tuple[str, ...]] = {()}
        self._places: dict[str, int] = {}
        """Where somebody else could have gone on, and how much is expected of it."""
        self._leaps: set[str] = set()
        self._shared: set[int] = set()
        self._learnt = 0

    def next(self) -> Plan | None:
        """The next schedule; None if all were tried."""
        number = next(self._numbers)
        if number == 1:
            return Plan()
        systematic = self._mode is Mode.BOUNDED or (self._mode is Mode.BOTH and number % 2 == 0)
        if systematic and self._waiting:
            *_, moves = heapq.heappop(self._waiting)
            return Plan(moves=moves)
        if self._mode is Mode.BOUNDED or not self._places:
            return None
        return self._by_priorities(number)

    def wants_to_learn(self, plan: Plan, left: int) -> bool:
        """Whether it matters how a run went, when so many schedules are left to be tried."""
        return self._learnt < _ENOUGH or (plan.random is None and len(self._waiting) < left)

    def learn(self, plan: Plan, followed: Followed) -> None:
        """Take in where the run could have gone otherwise."""
        self._learnt += 1
        self._shared.update(followed.shared)
        for decision in followed.decisions:
            weight = self._weight(decision)
            self._places[decision.place] = max(weight, self._places.get(decision.place, 0))
            if TIME in decision.options:
                self._leaps.add(decision.place)
        if plan.random is None:
            self._continue(plan.moves, followed.decisions)

    def _weight(self, decision: Decision) -> int:
        if decision.cell in self._shared:
            return 16
        if Place.parse(decision.place).at == "":
            return 6
        return 1 if decision.cell else 4

    def _continue(self, moves: tuple[str, ...], decisions: Sequence[Decision]) -> None:
        """All runs that differ from this one in one switch more, after its last."""
        for decision in _after(moves, decisions):
            weight = self._weight(decision)
            for other in decision.options[1:]:
                more = (*moves, f"{decision.place}>{other}")
                if more in self._tried or len(self._waiting) >= _MOST_WAITING:
                    continue
                self._tried.add(more)
                rank = (len(more), -weight + (3 if other == TIME else 0), self._random.random(), next(self._order))
                heapq.heappush(self._waiting, (*rank, more))

    def _by_priorities(self, number: int) -> Plan:
        places = list(self._places)
        weights = list(self._places.values())
        changes = self._drawn(places, weights, number % _DEEPEST + 1)
        leaps = sorted(self._leaps)
        times = [self._random.choice(leaps)] if leaps and self._random.random() < 0.3 else []
        return Plan(random=self._seed * 1_000_003 + number, changes=tuple(changes), times=tuple(times))

    def _drawn(self, places: Sequence[str], weights: Sequence[int], count: int) -> list[str]:
        return list(dict.fromkeys(self._random.choices(places, weights, k=count)))


def _after(moves: Sequence[str], decisions: Sequence[Decision]) -> Iterable[Decision]:
    """The decisions that came after the last of the moves."""
    if not moves:
        return decisions
    last = str(Switch.parse(moves[-1]).place)
    found = next((number for number, decision in enumerate(decisions) if decision.place == last), None)
    return decisions[found + 1 :] if found is not None else ()
