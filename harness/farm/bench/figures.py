"""Figures: what was measured, several times each, and what it comes to."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One thing measured several times. `key` is its name in the JSON, `group` what it is compared with."""

    key: str
    name: str
    group: str
    unit: str
    values: tuple[float, ...]
    more_is_better: bool = False

    @property
    def median(self) -> float:
        """What stands for all of them."""
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """The least and the most, for the reader of the table."""
        return f"{_short(min(self.values))}-{_short(max(self.values))}"

    @property
    def text(self) -> str:
        """The median with its unit."""
        return f"{_short(self.median)} {self.unit}"


@dataclass(frozen=True)
class Goal:
    """What a figure should come to, and whether it does."""

    text: str
    figure: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.figure <= self.limit

    def __str__(self) -> str:
        return (
            f"{'holds' if self.holds else 'MISSED'}: {self.text}: {_short(self.figure)} (at most {_short(self.limit)})"
        )


@dataclass(frozen=True)
class Figures:
    """All of a bench: series, notes on what could not be measured, and facts about the machine."""

    series: tuple[Series, ...]
    notes: tuple[str, ...]
    facts: dict[str, str]

    def find(self, key: str) -> Series | None:
        """The series of that name, if it was measured."""
        return next((series for series in self.series if series.key == key), None)

    def goals(self) -> Iterable[Goal]:
        """The goals that the figures say something about."""
        cold, fork = self.find("cold_boot_s"), self.find("fork_s")
        if cold and fork:
            yield Goal("a fork takes at most a tenth of a cold boot", fork.median / cold.median, 0.1)
        forks, colds = self.find("memory_mib.forks.8"), self.find("memory_mib.cold_boots.8")
        if forks and colds:
            yield Goal("8 forks take at most a third of the memory of 8 boots", forks.median / colds.median, 1 / 3)
        command, session = self.find("command_ms"), self.find("pywinrm_session_ms")
        if command and session:
            yield Goal("a command takes at most half of pywinrm's Session", command.median / session.median, 0.5)
        xdist, cluster = self.find("xdist_cpu_s"), self.find("cluster_cpu_s")
        if xdist and cluster:
            yield Goal(
                "a cluster on one machine takes at most 5 % more CPU than -n", cluster.median / xdist.median, 1.05
            )
        upload = self.find("upload_1_mib_s")
        if upload:
            yield Goal("1 MiB over WinRM takes less than 1 s", upload.median, 1.0)

    def as_json(self) -> dict[str, object]:
        """Medians by their keys, dots as nesting; and every single value under `runs`."""
        document: dict[str, object] = {}
        for series in self.series:
            _put(document, series.key.split("."), round(series.median, 4))
        runs = {series.key: [round(value, 4) for value in series.values] for series in self.series}
        goals = [
            {"text": goal.text, "figure": goal.figure, "limit": goal.limit, "holds": goal.holds}
            for goal in self.goals()
        ]
        return {**document, "runs": runs, "goals": goals, "notes": list(self.notes), "facts": self.facts}


def _put(document: dict[str, object], path: list[str], value: float) -> None:
    *folders, last = path
    for folder in folders:
        inner = document.setdefault(folder, {})
        assert isinstance(inner, dict)
        document = inner
    document[last] = value


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
