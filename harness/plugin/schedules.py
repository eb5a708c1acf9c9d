"""`--schedules N` and `--schedule`: a test is run again and again from the same point, under other schedules.

The point is where the stack stands and the test has not begun. A schedule under which the test fails is shrunk, and the
test fails as it does under what is left, with the story of the race beside its error.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.errors import FltLabError
from harness.plugin.facts import FACTS
from harness.report.cause import cause_of

if TYPE_CHECKING:
    from harness.fleet.filters import FilterHandle
    from harness.fleet.health import KernelWatch
    from harness.fleet.lab import Lab
    from harness.fleet.pool import Lease
    from harness.fleet.scene import Scene
    from harness.fleet.schedules.exploration import Explored
    from harness.fleet.volume import Volume
    from harness.wire.schedule import Followed, Plan

SUBJECT = pytest.StashKey["ItemSubject"]()
TOLD = pytest.StashKey["Told"]()
FILE = "schedule.txt"
_OBSERVER = "observer"


@dataclass(frozen=True)
class Told:
    """What is said of the schedule that makes a test fail: lines, and its file's content."""

    lines: tuple[str, ...]
    content: str


@dataclass
class ItemSubject:
    """One test with its guest, as a subject of exploration (harness/fleet/schedules)."""

    lease: "Lease"
    lab: "Lab"
    volume: "Volume"
    watch: "KernelWatch"
    handles: "Callable[[], tuple[FilterHandle, ...]]"
    call: Callable[[], object] = lambda: None
    error: BaseException | None = None
    _findings: int = field(init=False)

    def begin(self, services: list[str]) -> None:
        """Keep the point that every attempt begins at."""
        self._findings = self.lease.findings
        self.lease.guest.keep_point(services)

    def attempt(self, plan: "Plan") -> str | None:
        """Run the test once, and look for what it left, as at the end of any test."""
        self._go_back(plan)
        self.error = None
        try:
            self.call()
            self.lab.close()
            self.watch.check()
            self.watch.audit()
        except (pytest.skip.Exception, pytest.exit.Exception):
            raise
        except (Exception, pytest.fail.Exception) as error:
            if isinstance(error, FltLabError) and not error.is_failure:
                raise
            self.error = error
            message = error.message if isinstance(error, FltLabError) else str(error)
            return cause_of(message.splitlines()[0] if message else type(error).__name__)
        return None

    def followed(self) -> "Followed":
        """How the kernel went."""
        return self.lease.guest.followed()

    def end(self) -> None:
        """Be at the point once more, and forget it: the next test finds the guest as this one did."""
        self._go_back(None)

    def _go_back(self, plan: "Plan | None") -> None:
        guest = self.lease.guest
        self.lease.provider.next_test(guest)
        guest.go_back(plan, keep=plan is not None)
        self.lease.findings = self._findings
        self.watch.begin_again()
        self.volume.begin_again()
        self.lab.begin_again(self.handles())


def offer(item: pytest.Item, scene: "Scene", subject: ItemSubject) -> None:
    """Have the schedules of a test explored when it is called, if that was asked for."""
    from harness.plugin.options import settings

    chosen = settings(item.config)
    if not chosen.schedules and chosen.schedule is None:
        return
    if chosen.schedule is not None:
        chosen.schedule.require(item.stash[FACTS].drivers)
    watched = [one.entry.service for one in scene.minifilters if one.driver.name != _OBSERVER]
    subject.begin(watched or [one.entry.service for one in scene.minifilters])
    item.stash[SUBJECT] = subject


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Call the test under one schedule after the other; its failure is that under the shrunk one."""
    subject = pyfuncitem.stash.get(SUBJECT, None)
    if subject is None:
        return None
    from harness.fleet.schedules.exploration import explore, follow
    from harness.plugin.options import settings

    chosen = settings(pyfuncitem.config)
    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 (as pytest itself calls it)
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}
    subject.call = lambda: pyfuncitem.obj(**arguments)
    if chosen.schedule is not None:
        explored = follow(subject, chosen.schedule.moves)
    else:
        explored = explore(subject, chosen.schedules, chosen.seed, chosen.exploration)
    pyfuncitem.stash[FACTS].schedules = explored.tried
    if explored.found is None:
        subject.end()
        return True
    pyfuncitem.stash[TOLD] = _told(pyfuncitem, explored, chosen.seed)
    assert subject.error is not None
    raise subject.error


def _told(item: pytest.Function, explored: "Explored", seed: int) -> Told:
    from harness.fleet.schedules.schedule_file import Schedule
    from harness.fleet.schedules.story import story

    scene = cast("Scene", item.funcargs["fltlab_scene"])
    images = {one.entry.service: one.driver.sys for one in scene.minifilters if one.driver.pdb is not None}
    assert explored.found is not None
    content = Schedule(explored.found.moves, item.stash[FACTS].drivers, seed).text()
    return Told(tuple(story(explored, images)), content)
