"""Replaying a recording: the same stack and the same I/O on another guest, and what came out differently."""

from collections.abc import Mapping
from typing import Any

from harness.fleet.drivers import Drivers
from harness.fleet.scene import Scene
from harness.fleet.stack import Stack, StackPlan
from harness.guest import Guest
from harness.guest.probe import run_probe
from harness.guest.registration import DriverOptions
from harness.guest.stack import parse_stack, place
from harness.minifilter.recording import Recording, differences, observe


def replay(recording: Recording, guest: Guest, drivers: Drivers) -> list[str]:
    """Run a recording's scripts in a guest, which must be clean; the differences, none if it does the same."""
    entries = tuple(place(parse_stack(recording.stack)))
    options = {label: _options(given) for label, given in recording.options.items()}
    plan = StackPlan(entries, options, {})
    scene = Scene.of(plan, drivers)
    Stack(guest).deploy(plan, scene.built)
    found: list[str] = []
    for number, recorded in enumerate(recording.io, start=1):
        _, result = run_probe(guest, recorded.script)
        lines = differences(recorded, observe(recorded.script, result))
        if lines:
            found += [f"I/O {number}", *lines]
    return found


def _options(given: Mapping[str, Any]) -> DriverOptions:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return DriverOptions(**values)
