"""The scene of a test: the stack of minifilters it wants to find, and the files that make it.

A guest can come with its scene in place: a template is made of it once, and every test that wants it, in this run and
in later ones, gets a fork of that.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from harness.fleet.drivers import PROBE, Drivers
from harness.fleet.stack import StackPlan
from harness.guest.deploy import DriverUnderTest
from harness.guest.registration import DriverOptions
from harness.minifilter.build import BuiltDriver


@dataclass(frozen=True)
class Scene:
    """A plan with the files for it."""

    plan: StackPlan
    built: Mapping[str, BuiltDriver]

    @classmethod
    def of(cls, plan: StackPlan, drivers: Drivers) -> Self:
        """The scene of a plan, its drivers built."""
        return cls(plan, drivers.build([*plan.drivers, PROBE]))

    @property
    def minifilters(self) -> list[DriverUnderTest]:
        """What is deployed, from top to bottom."""
        return [
            DriverUnderTest.of(
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
