"""What a simulated run is of, and what came of it."""

from collections import Counter
from dataclasses import asdict, dataclass

GOAL = 0.10
"""By which part the makespan may be above the bound."""


@dataclass(frozen=True)
class World:
    """What is pretended. Seconds, unless it says otherwise."""

    workers: int = 1000
    tests: int = 100_000
    workers_of_machine: int = 8
    seed: int = 1
    new_tests: float = 0.02
    """The part of the tests that no former run has had."""
    killers: int = 3
    """Tests that kill whoever runs them."""
    cold: float = 0.02
    """The part of the machines that have no image."""
    image_bytes: float = 8e9
    machine_rate: float = 160e6
    """Bytes a second that a machine takes from the store: what two shared cores hash and write."""
    store_rate: float = 12.5e9
    """Bytes a second that the store gives in all."""
    worker_dies: float = 2 * 3600.0
    """A worker dies once in so long; another is there after `restart`."""
    restart: float = 5.0
    machine_dies: float = 10 * 3600.0
    detected: float = 30.0
    """So long after a machine is silent it counts as lost."""
    replaced: float = 120.0
    """So long after that another is there, which has nothing."""
    cuts: int = 2
    """Machines whose network is cut once."""
    cut: float = 60.0
    dispatch: float = 0.02
    """From the coordinator to the first test of a group."""
    message: float = 0.0004
    """What the coordinator needs to share out and to take a result: processor time, measured here."""
    report: float = 0.001
    """What it then needs to write the result down, which it does while it is told of nothing else."""


@dataclass
class Simulated:
    """What came of it; `seconds` are those of all workers, by what they went into."""

    makespan: float
    bound: float
    chain: float
    """The longest template and test in a row: no run is shorter."""
    work: float
    """The seconds of all tests, and of each template once."""
    groups: int
    seconds: dict[str, float]
    results: Counter[str]
    """How often each test's result has counted."""
    given_up: list[str]
    deaths: int
    repeated: int
    """Groups that were run again."""
    late: int
    """Results that came from workers that were given up, and counted, or came twice and did not."""
    coordinator: float
    """The part of the time in which the coordinator was at work."""

    @property
    def over(self) -> float:
        """By which part the makespan is above the bound."""
        return self.makespan / self.bound - 1

    def as_json(self) -> dict[str, object]:
        """The figures, by name; seconds."""
        values = asdict(self)
        values["results"] = sum(count > 0 for count in self.results.values())
        return {**values, "over": round(self.over, 4), "within": self.over <= GOAL}

    def lines(self) -> list[str]:
        """The figures in words."""
        total = sum(self.seconds.values())
        each = self.work / total * self.makespan
        bound = f"bound {self.bound:.1f} s (each worker's share {each:.1f} s, longest chain {self.chain:.1f} s)"
        lost = f"{self.deaths} groups lost their worker, {self.repeated} were run again"
        counted = f"{self.late} results came late or twice, {len(self.given_up)} tests were given up"
        return [
            f"makespan {self.makespan:.1f} s; {bound}",
            f"{sum(self.results.values())} results, {self.groups} groups; {lost}; {counted}",
            f"the coordinator was at work in {self.coordinator:.0%} of the time",
            *(f"{seconds / total:7.2%}  {what}" for what, seconds in self.seconds.items()),
            f"{'holds' if self.over <= GOAL else 'MISSED'}: within {GOAL:.0%} of the bound: {self.over:.1%} above it",
        ]
