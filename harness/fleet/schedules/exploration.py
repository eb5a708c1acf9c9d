"""Exploring: one test under many schedules until one makes it fail, and then the fewest moves that do.

What a test is, and how it is run again from the same start, is its *subject*'s to know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.fleet.schedules.search import Mode, Search
from harness.fleet.schedules.shrink import shrink
from harness.wire.schedule import Followed, Move, Plan, Turn, parse_moves


class Subject(Protocol):
    """What is explored."""

    def attempt(self, plan: Plan) -> str | None:
        """Run it once from its start; why it failed, in words that are the same for the same cause. None: it held."""

    def followed(self) -> Followed:
        """How the kernel went in that attempt."""


@dataclass(frozen=True)
class Found:
    """A schedule that makes the subject fail: the cause, the moves, and who did what in turn.

    `number` is which schedule it was, from 1; `longer` how many moves it had before it was shrunk.
    """

    cause: str
    moves: tuple[Move, ...]
    turns: tuple[Turn, ...]
    number: int
    longer: int


@dataclass(frozen=True)
class Explored:
    """What came of it: how many schedules were tried, and the first that failed."""

    tried: int
    found: Found | None = None


def explore(
    subject: Subject, count: int, seed: int, mode: Mode = Mode.BOTH, tell: Callable[[int], None] = lambda _: None
) -> Explored:
    """Try up to `count` schedules. If one fails, the subject has last been run under its shrunk schedule."""
    search = Search(seed, mode)
    for number in range(1, count + 1):
        plan = search.next()
        if plan is None:
            return Explored(number - 1)
        tell(number)
        cause = subject.attempt(plan)
        if cause is not None:
            return Explored(number, _shrunk(subject, plan, subject.followed(), cause, number))
        if search.wants_to_learn(plan, count - number):
            search.learn(plan, subject.followed())
    return Explored(count)


def follow(subject: Subject, moves: tuple[Move, ...]) -> Explored:
    """Run it once under given moves."""
    cause = subject.attempt(Plan(tuple(map(str, moves)), tell=True))
    if cause is None:
        return Explored(1)
    return Explored(1, Found(cause, moves, subject.followed().turns, 1, len(moves)))


def _shrunk(subject: Subject, plan: Plan, followed: Followed, cause: str, number: int) -> Found:
    moves = tuple(move for text in followed.moves for move in parse_moves(text))

    def does(part: tuple[Move, ...]) -> bool:
        return subject.attempt(Plan(tuple(map(str, part)))) == cause

    least = shrink(moves, does)
    again = subject.attempt(Plan(tuple(map(str, least)), tell=True))
    if again is None:  # it was not the schedule alone: what is told is the run that failed
        subject.attempt(plan)
        return Found(cause, moves, (), number, len(moves))
    return Found(again, least, subject.followed().turns, number, len(moves))
