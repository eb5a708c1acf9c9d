"""The scene of a test: the stack of minifilters it wants to find, and the files that make it.

A guest can come with its scene in place: where several tests want the same one, a template is made of it, and every
test gets a fork of that.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pytest

from harness.guest.deploy import DriverUnderTest
from harness.guest.registration import DriverOptions
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import Control
from harness.plugin.drivers import PROBE, Drivers
from harness.plugin.options import Settings
from harness.plugin.stack import StackPlan, stack_of

LAB_FIXTURE = "lab"
SHARED_BY = 2
"""How many tests of a run must want a scene for a template of it to be worth its making."""


@dataclass(frozen=True)
class Scene:
    """A plan with the files for it; `shared` if several tests of this run want it."""

    plan: StackPlan
    built: Mapping[str, BuiltDriver]
    shared: bool

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

    @property
    def greeting(self) -> str:
        """An I/O script that only connects to every minifilter: what is run once has its code translated."""
        lines = [
            f"filter {item.entry.label}" for item in self.minifilters if item.driver.package.control is Control.FLTLAB
        ]
        return "\n".join([*lines, "sleep 1"]) + "\n"


class Scenes:
    """The scenes of one session: how often each is wanted, and the drivers for them."""

    def __init__(self, items: list[pytest.Item], settings: Settings, drivers: Drivers) -> None:
        self._settings = settings
        self._drivers = drivers
        self._wanted = Counter(_key(stack_of(item, settings)) for item in items if has_scene(item))

    def of(self, item: pytest.Item) -> Scene | None:
        """The scene of a test, its drivers built; None for a test that has no `lab`."""
        if not has_scene(item):
            return None
        plan = stack_of(item, self._settings)
        built = self._drivers.build([*plan.drivers, PROBE])
        return Scene(plan, built, shared=self._wanted[_key(plan)] >= SHARED_BY)


def has_scene(item: pytest.Item) -> bool:
    """Whether a test uses `lab`."""
    return LAB_FIXTURE in getattr(item, "fixturenames", ())


def _key(plan: StackPlan) -> str:
    return repr((plan.entries, sorted(plan.options.items()), sorted(plan.replaced.items())))
