"""How long each phase took when this host built images before, and how long a build has yet to go."""

import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.host.accelerator import Accelerator
from harness.host.directories import home, private_directory
from harness.host.regular import kept_json
from harness.image.windows.phases import Phase

KEPT = 5
"""Builds of which the median is taken."""

TCG_FACTOR = 20.0
"""How much longer Windows takes under TCG than under KVM, for a host that has no history: a guess."""


class History:
    """Seconds of each phase in the last builds under one accelerator."""

    def __init__(self, accelerator: Accelerator, path: Path | None = None) -> None:
        self._accelerator = accelerator
        self._path = path if path is not None else home() / "cache" / "windows-build-times.json"
        self._all: dict[str, dict[str, list[float]]] = self._read()

    def typical(self, phase: Phase) -> float:
        """Return how many seconds a phase takes here."""
        past = self._all.get(self._accelerator, {}).get(phase.name)
        if past:
            return statistics.median(past)
        return phase.typical * (TCG_FACTOR if self._accelerator is Accelerator.TCG else 1.0)

    def remaining(self, phase: Phase, in_phase: float) -> float:
        """Return about how many seconds are left of a build that has been in a phase for so long."""
        later = sum(self.typical(other) for other in Phase if other.number > phase.number)
        return max(0.0, self.typical(phase) - in_phase) + later

    def fraction(self, phase: Phase, in_phase: float) -> float:
        """Return how much of a build is done, from 0 to 1."""
        before = sum(self.typical(other) for other in Phase if other.number < phase.number)
        done = before + min(in_phase, self.typical(phase))
        return done / (done + self.remaining(phase, in_phase))

    def add(self, durations: Mapping[Phase, float]) -> None:
        """Keep how long the phases of a build took."""
        times = self._all.setdefault(self._accelerator, {})
        for phase, seconds in durations.items():
            times[phase.name] = [*times.get(phase.name, []), round(seconds, 1)][-KEPT:]
        private_directory(self._path.parent)
        with tempfile.NamedTemporaryFile("w", dir=self._path.parent, delete=False, encoding="utf-8") as file:
            json.dump(self._all, file, indent=1)
        Path(file.name).replace(self._path)

    def _read(self) -> dict[str, dict[str, list[float]]]:
        try:
            values = kept_json(self._path)
            return {
                str(a): {str(p): [float(s) for s in seconds] for p, seconds in t.items()} for a, t in values.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}  # no build yet, or a file of another version: the guesses serve
