"""Choices: every decision of a run that is free, in one log of typed draws, recorded and replayable.

Whoever may decide freely (which processor goes on, when a thread is preempted, how long the disk takes, where a
completion comes) draws here and nowhere else, so that the log *is* the schedule: given again, it gives the same run.
The guest's own randomness (`rdrand`, UUIDs, rand()) is no choice and comes from a generator of its own; a log can be
changed without changing what the guest rolls.
"""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Draw:
    """One decision: what was decided, how many possibilities there were, and which was taken (from 0)."""

    kind: str
    options: int
    taken: int

    def __str__(self) -> str:
        return f"{self.kind} {self.options} {self.taken}"

    @classmethod
    def parse(cls, line: str) -> "Draw":
        """A line as `str` writes it; ValueError says what is wrong with it."""
        words = line.split()
        try:
            kind, options, taken = words[0], int(words[1]), int(words[2])
        except (IndexError, ValueError):
            raise ValueError(f"a draw is KIND OPTIONS TAKEN, not {line!r}") from None
        if len(words) > 3 or not 0 <= taken < options:
            raise ValueError(f"a draw takes one of its options, counted from 0, not {line!r}")
        return cls(kind, options, taken)


class ReplayError(Exception):
    """A run asks for another decision than the log has at this place: it is the log of something else."""

    def __init__(self, number: int, asked: str, options: int, logged: Draw) -> None:
        super().__init__(
            f"draw {number} of the log is {logged.kind} among {logged.options}, but the run decides {asked} among"
            f" {options}: the log is of another run (other drivers, suites, policy, or fltlab)"
        )


Decide = Callable[[Random], int]


class _Explored:
    """The decisions of a run whose schedule is explored (harness/wire/schedule.py)."""

    def __init__(self, seed: int, taken: Mapping[tuple[str, int], int], other: int | None) -> None:
        self._seed, self._taken, self._other = seed, taken, other
        self._counts: Counter[str] = Counter()
        self._streams: dict[tuple[str, int | None], Random] = {}
        self.deviations: list[tuple[str, int, int]] = []

    def draw(self, kind: str, options: int, decide: Decide) -> int:
        self._counts[kind] += 1
        number = self._counts[kind]
        usual = decide(self._stream(kind, None))
        taken = usual if self._other is None else decide(self._stream(kind, self._other))
        taken = min(self._taken.get((kind, number), taken), options - 1)
        if taken != usual:
            self.deviations.append((kind, number, taken))
        return taken

    def _stream(self, kind: str, other: int | None) -> Random:
        stream = self._streams.get((kind, other))
        if stream is None:
            name = f"{kind} of {self._seed}" + (f" in {other}" if other is not None else "")
            stream = self._streams[kind, other] = Random(name)
        return stream


class Choices:
    """Draws decisions by a seed, or as a log has them, and beyond its end by the seed."""

    def __init__(self, seed: int, replayed: Iterable[Draw] = ()) -> None:
        self._seed = seed
        self._random = Random(f"choices of {seed}")
        self._explored: _Explored | None = None
        self._replayed = deque(replayed)
        """What is still to be drawn of the log that is replayed."""
        self._questions: list[tuple[str, int]] = []
        """Kinds and options."""
        self._codes: dict[tuple[str, int], int] = {}
        """The place of each among them."""
        self._asked, self._taken = array("I"), array("Q")
        """What was asked, by that place, and what was taken: a run draws hundreds of thousands."""

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Draw]:
        """All draws so far, in order."""
        for code, taken in zip(self._asked, self._taken, strict=True):
            yield Draw(*self._questions[code], taken)

    # -- the types of draws

    def one_of(self, kind: str, options: int) -> int:
        """One of so many equal possibilities, from 0."""
        return self._draw(kind, options, lambda random: random.randrange(options)) if options > 1 else 0

    def chance(self, kind: str, probability: float) -> bool:
        """Yes or no."""
        return bool(self._draw(kind, 2, lambda random: int(random.random() < probability)))

    def between(self, kind: str, least: int, most: int) -> int:
        """A number of a range, both ends included."""
        return least + self.one_of(kind, most - least + 1)

    def distance(self, kind: str, mean: int, most: int) -> int:
        """How many steps until something happens by chance: 1 to `most`, on average about `mean`."""
        return 1 + self._draw(kind, most, lambda random: min(int(random.expovariate(1 / mean)), most - 1))

    # -- schedules

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Nothing is explored meanwhile: draws are by the seed."""
        explored, self._explored = self._explored, None
        try:
            yield
        finally:
            self._explored = explored

    def explore(self, taken: Mapping[tuple[str, int], int], other: int | None) -> None:
        """From here on each kind of decision has a stream of its own: one decision more moves no other kind.

        `taken` has what is not as the seed has it, by kind and number (from 1); with `other`, another seed decides.
        """
        self._explored = _Explored(self._seed, taken, other)

    @property
    def deviations(self) -> list[tuple[str, int, int]]:
        """What has come out otherwise than the seed has it since `explore`: kind, number, taken."""
        return self._explored.deviations if self._explored is not None else []

    def _draw(self, kind: str, options: int, decide: "Decide") -> int:
        if self._replayed:
            logged = self._replayed.popleft()
            if (logged.kind, logged.options) != (kind, options):
                raise ReplayError(len(self), kind, options, logged)
            taken = logged.taken
        elif self._explored is not None:
            taken = self._explored.draw(kind, options, decide)
        else:
            taken = decide(self._random)
        code = self._codes.get((kind, options))
        if code is None:
            code = self._codes[kind, options] = len(self._questions)
            self._questions.append((kind, options))
        self._asked.append(code)
        self._taken.append(taken)
        return taken
