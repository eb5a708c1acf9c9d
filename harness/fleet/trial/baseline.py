"""What the workload answers without the driver: with two observers alone, in a guest that nobody has used."""

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.fleet.drivers import PROBE, Drivers
from harness.fleet.providers import provider_for
from harness.fleet.settings import Settings
from harness.fleet.trial.census import Census
from harness.fleet.trial.sightings import ABOVE, BELOW
from harness.fleet.trial.workload import WORKLOAD, Part
from harness.guest import Guest
from harness.guest.deploy import OBSERVER, Deployment, DriverUnderTest
from harness.guest.probe import PROGRAM, run_probe
from harness.guest.registration import DriverOptions
from harness.guest.stack import PlacedEntry, parse_stack, place
from harness.minifilter.build import BuiltDriver
from harness.minifilter.probe import ProbeResult

RING = 16384
"""Events that an observer keeps; enough for any part of the workload."""


@dataclass
class Baseline:
    """The answers by the name of a part, what is on the volume in the end, and the answer to what is hard."""

    parts: dict[str, ProbeResult] = field(default_factory=dict)
    census: Census = field(default_factory=dict)
    under_load: ProbeResult | None = None


def observe(guest: Guest, places: Sequence[PlacedEntry], built: Mapping[str, BuiltDriver]) -> None:
    """Deploy observers, and fltprobe with them."""
    ring = DriverOptions(event_capacity=RING)
    observers = [DriverUnderTest(one, built[OBSERVER], ring) for one in places]
    Deployment(guest, observers, {PROGRAM: built[PROBE].sys.read_bytes()}).deploy()


def run_part(guest: Guest, part: Part) -> tuple[ProbeResult, ProbeResult]:
    """Run a part between the observers: the answer to its own lines, numbered as they are, and the whole answer."""
    connect = [f"filter {ABOVE}", f"filter {BELOW}"]
    _, result = run_probe(guest, "\n".join([*connect, *part.lines]) + "\n")
    own = (replace(step, line=step.line - len(connect)) for step in result.steps if step.line > len(connect))
    return replace(result, steps=tuple(own)), result


class Baselines:
    """The answers of guests by their name; each is asked once, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, dict[str, ProbeResult]] = {}

    def of(self, guest: str, part: Part) -> ProbeResult:
        """What a part of the workload answers in guests of a name."""
        if guest not in self._known:
            self._known[guest] = self._ask(guest)
        return self._known[guest][part.name]

    def _ask(self, name: str) -> dict[str, ProbeResult]:
        built = Drivers(()).build([OBSERVER, PROBE])
        places = place(parse_stack(f"{OBSERVER}@{ABOVE}, {OBSERVER}@{BELOW}"))
        with contextlib.ExitStack() as scoped:
            provider = provider_for(name, self._settings)
            scoped.callback(provider.close)
            folder = Path(scoped.enter_context(tempfile.TemporaryDirectory(prefix="fltlab-without-")))
            guest = scoped.enter_context(provider.open(folder, None)).guest
            observe(guest, places, built)
            return {part.name: run_part(guest, part)[0] for part in WORKLOAD}
