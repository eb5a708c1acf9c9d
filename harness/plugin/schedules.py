"""`--schedules N`, `--schedule` and `--seeds A..B`: a test is run again and again, under other schedules.

The point is where the stack stands and the test has not begun. A schedule under which the test fails is shrunk, and the
test fails as it does under what is left, with the story of the race beside its error.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.errors import ConfigurationError, FltLabError
from harness.plugin.facts import FACTS
from harness.report.cause import cause_of
from harness.report.records import Schedules, Witness

if TYPE_CHECKING:
    from harness.fleet.health import KernelWatch
    from harness.fleet.lab import Lab
    from harness.fleet.pool import Lease
    from harness.fleet.scene import Scene
    from harness.fleet.schedules.exploration import Explored
    from harness.fleet.volume import Volume
    from harness.minifilter.tracing import IoRun, Unanswered
    from harness.wire.schedule import Followed, Plan

SUBJECT = pytest.StashKey["ItemSubject"]()
TOLD = pytest.StashKey["Told"]()
FILE = "schedule.txt"
MOST_SEEDS = 20
_OBSERVER = "observer"


@dataclass(frozen=True)
class Told:
    """What is said of the schedule that makes a test fail: lines, and its file's content."""

    lines: tuple[str, ...]
    content: str = ""
    seed: int | None = None
    """The seed that it fails with, if that is not the run's."""


@dataclass
class ItemSubject:
    """One test with its guest, as a subject of exploration (harness/fleet/schedules)."""

    lease: "Lease"
    lab: "Lab"
    volume: "Volume"
    watch: "KernelWatch"
    services: tuple[str, ...]
    """Of the drivers whose schedules are explored."""
    anew: Callable[[int], None]
    """Begin in a new kernel with a seed, the stack deployed."""
    witnesses: list[Witness]
    """What the test has witnessed: at its end, in any of its attempts."""
    call: Callable[[], object] = lambda: None
    error: BaseException | None = None
    _findings: int = field(init=False)
    _again: tuple[Callable[[], None], ...] = field(init=False)
    _witnessed: dict[str, bool] = field(default_factory=dict)
    _first: "list[IoRun | Unanswered]" = field(default_factory=list)
    """The scripts of the first attempt."""

    def begin(self, seed: int | None) -> None:
        """Every attempt begins as it is now; with a seed in a new kernel, whose point is kept.

        In one that other tests have used, threads have other numbers than when this test is run again by itself.
        """
        if self.lab.scripts:
            raise ConfigurationError(
                "the schedules of this test cannot be explored: a fixture does I/O before the test begins",
                hint="do it in the test itself",
            )
        self._again = (self.lab.remember(), self.volume.remember(), self.watch.begin_again)
        if seed is not None:
            self.anew(seed)
            self.lease.guest.keep_point(self.services)
        self._findings = self.lease.findings

    def attempt(self, plan: "Plan") -> str | None:
        """Run the test once, and look for what it left, as at the end of any test."""
        self._go_back(plan)
        return self._tried()

    def attempt_with(self, seed: int) -> str | None:
        """The same in a kernel that was started with a seed."""
        self.anew(seed)
        self._begin_again()
        return self._tried()

    def _tried(self) -> str | None:
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
        for witness in self.witnesses:
            self._witnessed[witness.text] = self._witnessed.get(witness.text, False) or witness.seen
        self._first = self._first or list(self.lab.scripts)
        return None

    def followed(self) -> "Followed":
        """How the kernel went."""
        return self.lease.guest.followed()

    def end(self) -> None:
        """Be at the point once more, and forget it: the next test finds the guest as this one did."""
        self._go_back(None)
        self.show()

    def show(self) -> None:
        """What is kept of a test that held every time: the trace of its first run, and whatever any run witnessed."""
        self.lab.scripts[:] = self._first
        self.witnesses[:] = [Witness(text, seen) for text, seen in self._witnessed.items()]

    def _go_back(self, plan: "Plan | None") -> None:
        guest = self.lease.guest
        self.lease.provider.next_test(guest)
        guest.go_back(plan, keep=plan is not None)
        self.lease.findings = self._findings
        self._begin_again()

    def _begin_again(self) -> None:
        for again in self._again:
            again()


def services_of(scene: "Scene") -> tuple[str, ...]:
    """Those of a stack's drivers whose schedules are explored: of all but the observers."""
    watched = tuple(one.entry.service for one in scene.minifilters if one.driver.name != _OBSERVER)
    return watched or tuple(one.entry.service for one in scene.minifilters)


def offer(item: pytest.Item, subject: ItemSubject) -> None:
    """Have the schedules of a test explored when it is called, if that was asked for."""
    from harness.plugin.options import settings

    chosen = settings(item.config)
    if chosen.schedule is not None:
        chosen.schedule.require(item.stash[FACTS].drivers)
        chosen.schedule.require_places(subject.services)
    if chosen.seeds or chosen.schedules or chosen.schedule is not None:
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
    subject.begin(None if chosen.seeds else chosen.seed)
    if chosen.seeds:
        return _with_seeds(pyfuncitem, subject, chosen.seeds)
    if chosen.schedule is not None:
        explored = follow(subject, chosen.schedule.moves)
    else:
        explored = explore(subject, chosen.schedules, chosen.seed, chosen.exploration)
    failed = (explored.found.number,) if explored.found is not None else ()
    pyfuncitem.stash[FACTS].schedules = Schedules(chosen.schedules or 1, explored.tried, failed)
    if explored.found is None:
        subject.end()
        return True
    pyfuncitem.stash[TOLD] = _told(pyfuncitem, explored, chosen.seed)
    assert subject.error is not None
    raise subject.error


def _with_seeds(item: pytest.Function, subject: ItemSubject, seeds: range) -> bool:
    """Run a test with every seed; what fails is told by its causes, each with its seeds."""
    causes: dict[str, list[int]] = {}
    for seed in seeds:
        cause = subject.attempt_with(seed)
        if cause is not None:
            causes.setdefault(cause, []).append(seed)
    failing = tuple(sorted(seed for each in causes.values() for seed in each))
    item.stash[FACTS].schedules = Schedules(len(seeds), len(seeds), failing, by_seeds=True)
    subject.lease.spoiled = True  # it has another seed than the run
    if not causes:
        subject.show()
        return True
    (_, first), *others = causes.items()
    lines = [f"with {len(first)} of {len(seeds)} seeds: {_listed(first)}"]
    lines += [f"with {len(failed)} more: {_listed(failed)}: {cause} (--seed {failed[0]})" for cause, failed in others]
    subject.attempt_with(first[0])  # what is kept of the guest is of this one
    item.stash[TOLD] = Told(tuple(lines), seed=first[0])
    assert subject.error is not None
    raise subject.error


def _listed(seeds: list[int]) -> str:
    rest = f" and {len(seeds) - MOST_SEEDS} more" if len(seeds) > MOST_SEEDS else ""
    return ", ".join(map(str, seeds[:MOST_SEEDS])) + rest


def _told(item: pytest.Function, explored: "Explored", seed: int) -> Told:
    from harness.fleet.schedules.schedule_file import Schedule
    from harness.fleet.schedules.story import story

    scene = cast("Scene", item.funcargs["fltlab_scene"])
    images = {one.entry.service: one.driver.sys for one in scene.minifilters if one.driver.pdb is not None}
    assert explored.found is not None
    content = Schedule(explored.found.moves, item.stash[FACTS].drivers, seed).text()
    return Told(tuple(story(explored, images)), content)
