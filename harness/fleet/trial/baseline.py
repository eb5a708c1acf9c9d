"""What the workload answers without the driver: with two observers alone, in a guest that nobody has used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.fleet.drivers import PROBE, Drivers
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

STEP_MILLISECONDS = 60_000
"""What a step may take of the guest's time: a driver may hold an operation back for long, and yet let it go."""

Answers = dict[str, ProbeResult]
"""What came of each part of the workload, by its name."""


@dataclass
class Baseline:
    """The answers by the name of a part, what is on the volume in the end, and the answer to what is hard."""

    parts: Answers = field(default_factory=dict)
    census: Census = field(default_factory=dict)
    under_load: ProbeResult | None = None


def observe(guest: Guest, places: Sequence[PlacedEntry], built: Mapping[str, BuiltDriver]) -> None:
    """Deploy observers, and fltprobe with them."""
    ring = DriverOptions(event_capacity=RING)
    observers = [DriverUnderTest(one, built[OBSERVER], ring) for one in places]
    Deployment(guest, observers, {PROGRAM: built[PROBE].sys.read_bytes()}).deploy()


def run_part(guest: Guest, part: Part) -> tuple[ProbeResult, ProbeResult]:
    """Run a part between the observers: the answer to its own lines, numbered as they are, and the whole answer."""
    return run_lines(guest, part.lines, (f"filter {ABOVE}", f"filter {BELOW}"))


def run_lines(guest: Guest, lines: Sequence[str], before: Sequence[str] = ()) -> tuple[ProbeResult, ProbeResult]:
    """The answer to lines, numbered as they are, and with that to what comes before them."""
    before = [f"deadline {STEP_MILLISECONDS}", *before]
    _, result = run_probe(guest, "\n".join([*before, *lines]) + "\n")
    own = (replace(step, line=step.line - len(before)) for step in result.steps if step.line > len(before))
    return replace(result, steps=tuple(own)), result


def ask_without(guest: Guest) -> Answers:
    """What each part of the workload answers, by its name, in a guest that nobody has used."""
    places = place(parse_stack(f"{OBSERVER}@{ABOVE}, {OBSERVER}@{BELOW}"))
    observe(guest, places, Drivers(()).build([OBSERVER, PROBE]))
    return {part.name: run_part(guest, part)[0] for part in WORKLOAD}
