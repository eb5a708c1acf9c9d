"""Schedules: what of a run was decided otherwise than by itself, as short text, and what a kernel says of such a run.

Without moves a run is the *plain* one: a thread goes on until it waits, a DPC comes as soon as it may, and what is free
beside that is drawn from the seed. A move changes that in one place. A schedule that is given again is the same run
again; a move that finds nothing to change (nobody there to go on with) changes nothing.

    t1288@racy+0x10c4#2>t40     thread 1288, about to do what is at racy+0x10c4 for the second time: thread 40 goes on
    t1288#3>d1                  thread 1288 has come to rest for the third time: the DPCs of processor 1 go on
    t40@racy+0x1200#1>time      ...: time passes until the next timer is due
    posted#2=1                  the second decision whether a completion is posted: 1, yes
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.wire.codec import MalformedMessageError

TIME = "time"
"""Who goes on where a schedule lets time pass: the next timer."""
_SWITCH = re.compile(r"(?P<actor>[td]\d+)?(?:@(?P<at>[^@#>=,\s]+))?#(?P<count>\d+)>(?P<to>[td]\d+|time)")
_CHOSEN = re.compile(r"(?P<kind>[a-z][a-z -]*)#(?P<number>\d+)=(?P<taken>\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor (`t<thread>`, `d<processor>` for its DPCs) is: at an instruction of a driver, or at rest.

    `count` is how often it has been there, from 1.
    """

    actor: str
    at: str
    count: int

    def __str__(self) -> str:
        return f"{self.actor}{'@' if self.at else ''}{self.at}#{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `str` has written; MalformedMessageError for anything else."""
        return Switch.parse(f"{text}>{TIME}").place


@dataclass(frozen=True, slots=True)
class Switch:
    """At a place, somebody else goes on."""

    place: Place
    to: str

    def __str__(self) -> str:
        return f"{self.place}>{self.to}"

    @classmethod
    def parse(cls, text: str) -> "Switch":
        """What `str` has written; MalformedMessageError for anything else."""
        found = _SWITCH.fullmatch(text)
        if found is None:
            raise MalformedMessageError(f"{text!r} is no switch of a schedule: THREAD@DRIVER+OFFSET#COUNT>WHO")
        return cls(Place(found["actor"] or "", found["at"] or "", int(found["count"])), found["to"])


@dataclass(frozen=True, slots=True)
class Chosen:
    """The n-th decision of a kind (from 1) is taken so, and not as the seed has it."""

    kind: str
    number: int
    taken: int

    def __str__(self) -> str:
        return f"{self.kind}#{self.number}={self.taken}"


Move = Switch | Chosen


def parse_move(text: str) -> Move:
    """A move as `str` has written it; MalformedMessageError says what is wrong with it."""
    found = _CHOSEN.fullmatch(text)
    if found is not None:
        return Chosen(found["kind"], int(found["number"]), int(found["taken"]))
    return Switch.parse(text)


def parse_moves(text: str) -> tuple[Move, ...]:
    """Moves with commas between them; none for an empty text."""
    return tuple(parse_move(word) for word in map(str.strip, text.split(",")) if word)


def moves_text(moves: Iterable[Move]) -> str:
    """The opposite."""
    return ",".join(map(str, moves))


@dataclass(frozen=True)
class Plan:
    """How a run is to go: its moves; or, with `random`, by priorities that are drawn from it, changed at `changes`.

    A thread (or the DPCs of a processor) that has come to a place of `changes` is the least important from then on;
    at those of `times`, time passes first. `tell`: say afterwards who did what.
    """

    moves: tuple[str, ...] = ()
    random: int | None = None
    changes: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    tell: bool = False


@dataclass(frozen=True)
class Decision:
    """A place at which somebody else could have gone on: who was there (`options`, the one who would first).

    `cell` is the address of the 8 bytes that are about to be touched there, if memory is.
    """

    place: str
    options: tuple[str, ...]
    cell: int = 0


@dataclass(frozen=True)
class Turn:
    """What one thread, or one DPC, did until another went on. Chains of calls are innermost first."""

    who: str
    began: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    how: str = ""
    """`interrupted`, `ended`, or what it waits for."""


@dataclass(frozen=True)
class Followed:
    """How a run went: the moves that it really made, where it could have gone otherwise, and who did what in turn."""

    moves: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    shared: tuple[int, ...] = ()
    """Cells that several have touched, one at least to write."""
    turns: tuple[Turn, ...] = field(default_factory=tuple)


# -- requests


@dataclass(frozen=True)
class KeepPoint:
    """Have this point kept, to go back to; the drivers of these services are those whose schedule is explored."""

    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoBack:
    """Go back to the point that was kept, and on by a plan; without `keep` the point is then forgotten."""

    plan: Plan | None = None
    keep: bool = True


@dataclass(frozen=True)
class AskFollowed:
    """Ask how the run has gone since, also of a kernel that has stopped."""
