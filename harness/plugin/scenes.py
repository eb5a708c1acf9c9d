"""The scene of a test: the stack that its marks ask for, and the drivers for it."""

import pytest

from harness.fleet.drivers import Drivers, altitudes_of
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.fleet.stack import StackPlan
from harness.guest.registration import DriverOptions
from harness.guest.stack import at_their_own, parse_stack, place
from harness.plugin.facts import LAB_FIXTURE


class Scenes:
    """The scenes of one session, and the drivers for them."""

    def __init__(self, settings: Settings, drivers: Drivers) -> None:
        self._settings = settings
        self._drivers = drivers

    def of(self, item: pytest.Item) -> Scene | None:
        """The scene of a test, its drivers built; None for a test that has no `lab`."""
        if LAB_FIXTURE not in getattr(item, "fixturenames", ()):
            return None
        return Scene.of(stack_of(item, self._settings), self._drivers)


def stack_of(item: pytest.Item, settings: Settings) -> StackPlan:
    """The stack that a test's marks describe; an empty one if it has none."""
    mark = item.get_closest_marker("stack")
    stack = parse_stack(list(mark.args) if mark else [])
    theirs = altitudes_of(settings.drivers)
    own = {entry.label: theirs.get(settings.replacements.get(entry.driver, entry.driver)) for entry in stack}
    entries = place(at_their_own(stack, {label: altitude for label, altitude in own.items() if altitude is not None}))
    options: dict[str, DriverOptions] = {}
    for mark in reversed(list(item.iter_markers("driver_options"))):  # the nearest mark is the last word
        given = mark.kwargs
        options[mark.args[0]] = DriverOptions(
            operations=_texts(given.get("operations")),
            contexts=_texts(given.get("contexts")),
            options=_texts(given.get("options")),
            event_capacity=given.get("event_capacity"),
        )
    return StackPlan(tuple(entries), options, settings.replacements)


def _texts(given: object) -> tuple[str, ...] | None:
    if given is None:
        return None
    assert isinstance(given, list | tuple)
    return tuple(map(str, given))
