"""Stacks of minifilters: what is asked for, and the deployment of it in a guest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from harness.fleet.drivers import PROBE
from harness.fleet.filters import FilterHandle
from harness.guest import Guest
from harness.guest.deploy import Deployment, DriverUnderTest, capturing
from harness.guest.probe import PROGRAM
from harness.guest.registration import DriverOptions
from harness.guest.stack import PlacedEntry, parse_stack, place
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import Control


@dataclass(frozen=True)
class StackPlan:
    """A stack as it is wanted. `replaced` says which driver takes whose place in this run (--replace)."""

    entries: tuple[PlacedEntry, ...]
    options: Mapping[str, DriverOptions]
    replaced: Mapping[str, str]

    @property
    def drivers(self) -> tuple[str, ...]:
        """The drivers that are loaded, from top to bottom."""
        return tuple(self.driver_of(entry) for entry in self.entries)

    @classmethod
    def of(cls, entries: str | Sequence[str]) -> Self:
        """The plan of a stack that registers as its drivers do by themselves: `"observer@above, completion"`."""
        return cls(tuple(place(parse_stack(entries))), {}, {})

    def driver_of(self, entry: PlacedEntry) -> str:
        """The driver that is loaded for an entry."""
        return self.replaced.get(entry.driver, entry.driver)


@dataclass(frozen=True)
class DeployedStack:
    """What stands in the guest. `hashes` is the SHA-256 of each driver's image, by driver."""

    handles: tuple[FilterHandle, ...]
    hashes: dict[str, str]


class Stack:
    """The stack of one guest: deployed when a test first needs it, kept while the next ones want the same."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._plan: StackPlan | None = None
        self._deployment: Deployment | None = None
        self._ports: dict[str, bool] = {}
        self._services: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._captures: str | None = None
        self._has_probe = False

    @classmethod
    def standing(cls, guest: Guest, plan: StackPlan, minifilters: Sequence[DriverUnderTest]) -> Self:
        """The stack of a guest that came with it in place."""
        stack = cls(guest)
        stack._deployment = Deployment(guest, minifilters)
        stack._has_probe = True
        stack._keep(plan, minifilters)
        return stack

    def deploy(self, plan: StackPlan, built: Mapping[str, BuiltDriver]) -> DeployedStack:
        """Make the guest's stack this one; the handles are new for every test, without rules.

        `built` has the drivers of the plan, and fltprobe.
        """
        if plan != self._plan:
            self._replace(plan, built)
        handles = (
            FilterHandle(label, self._services[label], has_port=has_port, captures_prints=label == self._captures)
            for label, has_port in self._ports.items()
        )
        return DeployedStack(tuple(handles), dict(self._hashes))

    @property
    def minifilters(self) -> Sequence[DriverUnderTest]:
        """What stands, under the names that it was registered by."""
        return self._deployment.stack if self._deployment is not None else ()

    def remove(self) -> None:
        """Detach, unload and forget what stands, if something does."""
        if self._deployment is not None:
            self._deployment.remove()
            self._plan = self._deployment = None

    def forget(self) -> None:
        """A test has detached or unloaded something: the next test needs the stack anew."""
        self._plan = None

    def _replace(self, plan: StackPlan, built: Mapping[str, BuiltDriver]) -> None:
        self.remove()
        stack = [
            DriverUnderTest.of(entry, built[plan.driver_of(entry)], plan.options.get(entry.label, DriverOptions()))
            for entry in plan.entries
        ]
        files = {} if self._has_probe else {PROGRAM: built[PROBE].sys.read_bytes()}
        self._deployment = Deployment(self._guest, stack, files)
        self._deployment.deploy()
        self._has_probe = True
        self._keep(plan, self._deployment.stack)  # what came by an INF has the names that are in it

    def _keep(self, plan: StackPlan, stack: Sequence[DriverUnderTest]) -> None:
        self._plan = plan
        self._ports = {item.entry.label: item.driver.package.control is Control.FLTLAB for item in stack}
        self._services = {item.entry.label: item.entry.service for item in stack}
        self._hashes = {item.driver.name: item.driver.sha256 for item in stack}
        self._captures = capturing(stack)
