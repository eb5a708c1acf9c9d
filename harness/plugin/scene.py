"""The scene of a test: the stack of minifilters it wants to find, and the files that make it.

A guest can come with its scene in place: a template is made of it once, and every test that wants it, in this run and
in later ones, gets a fork of that.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pytest

from harness.guest.deploy import DriverUnderTest
from harness.guest.registration import DriverOptions
from harness.minifilter.build import BuiltDriver
from harness.plugin.drivers import PROBE, Drivers
from harness.plugin.options import Settings
from harness.plugin.stack import StackPlan, stack_of

LAB_FIXTURE = "lab"


@dataclass(frozen=True)
class Scene:
    """A plan with the files for it."""

    plan: StackPlan
    built: Mapping[str, BuiltDriver]

    @property
    def minifilters(self) -> list[DriverUnderTest]:
        """What is deployed, from top to bottom."""
        return [
            DriverUnderTest(
                entry, self.built[self.plan.driver_of(entry)], self.plan.options.get(entry.label, DriverOptions())
            )
            for entry in self.plan.entries
        ]

    @property
    def facts(self) -> dict[str, object]:
        """All that goes into a guest with this scene, for the key of its template."""
        return {
            "stack": [
                {
                    "service": item.entry.service,
                    "altitude": str(item.entry.altitude),
                    "image": item.driver.sha256,
                    "group": item.driver.package.group,
                    "options": asdict(item.options),
                }
                for item in self.minifilters
            ],
            "probe": self.built[PROBE].sha256,
        }


class Scenes:
    """The scenes of one session, and the drivers for them."""

    def __init__(self, settings: Settings, drivers: Drivers) -> None:
        self._settings = settings
        self._drivers = drivers

    def of(self, item: pytest.Item) -> Scene | None:
        """The scene of a test, its drivers built; None for a test that has no `lab`."""
        if not has_scene(item):
            return None
        plan = stack_of(item, self._settings)
        return Scene(plan, self._drivers.build([*plan.drivers, PROBE]))


def has_scene(item: pytest.Item) -> bool:
    """Whether a test uses `lab`."""
    return LAB_FIXTURE in getattr(item, "fixturenames", ())
