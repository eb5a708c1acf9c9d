"""A run on many machines in virtual time: the board that a real run uses, and workers that only pretend.

What the tests take is measured (measured.json): two runs differ by a random factor, as two did; so what a test takes is
not what it is expected to. Workers die, machines do, a network is cut, images have to be fetched, templates made, a few
tests kill whoever runs them. It ends with the makespan against the least that is possible, and says where the time of
all workers went.
"""

import heapq
import itertools
import json
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from harness.cluster.durations import Durations
from harness.cluster.groups import Group, Needs, Offer, PlannedTest, cut
from harness.cluster.policy import Board, Lost
from harness.cluster.simulated import Simulated, World
from harness.report.records import Outcome, TestRecord

MEASURED = Path(__file__).with_name("measured.json")
RELEASES = 7
FILE_SYSTEMS = ("ntfs", "refs", "exfat", "fat32")
LEVELS = ("off", "standard", "full")


@dataclass(frozen=True)
class _Step:
    """One thing that a worker does next."""

    what: str
    seconds: float = 0.0
    test: PlannedTest | None = None


@dataclass
class _Machine:
    name: str
    images: dict[str, float] = field(default_factory=dict)
    """When each is there."""
    templates: dict[tuple[str, str], float] = field(default_factory=dict)
    workers: list["_Worker"] = field(default_factory=list)
    cut: bool = False


@dataclass
class _Worker:
    name: str
    machine: _Machine
    steps: deque[_Step] = field(default_factory=deque)
    group: Group | None = None
    doing: str = "idle"
    since: float = 0.0
    life: int = 0
    """What was planned for a former life does not happen."""
    unsent: list[PlannedTest] = field(default_factory=list)


class Simulation:
    """One run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = random.Random(world.seed)
        self._now = 0.0
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._template_seconds: dict[tuple[str, str], float] = {}
        self._templates_made: set[tuple[str, str]] = set()
        self._actual: dict[str, float] = {}
        self._planned = self._plan()
        self._killers = set(self._draw.sample([test.nodeid for test in self._planned], world.killers))
        image_seconds = world.image_bytes / world.machine_rate + self._boot
        template_seconds = median(self._template_seconds.values())
        releases = {test.guest: _image(test.guest) for test in self._planned}
        needs = {guest: Needs(2048, True, image, image_seconds, template_seconds) for guest, image in releases.items()}
        groups = cut(self._planned, needs, world.workers)
        self._images = frozenset(releases.values())
        self._board = Board(groups, self._images)
        self._idle: dict[str, _Worker] = {}
        self._fetching = 0
        self._busy_until = self._busy = 0.0
        self._result = Simulated(0, 0, 0, 0, len(groups), {}, Counter(), [], 0, 0, 0, 0)

    def run(self) -> Simulated:
        """Run it to its end."""
        world = self._world
        names = (f"m{n}" for n in itertools.count(1))
        machines = [self._machine(next(names), warm=self._draw.random() >= world.cold) for _ in self._shares()]
        for machine, share in zip(machines, self._shares(), strict=True):
            self._populate(machine, share)
            self._after(self._draw.expovariate(1 / world.machine_dies), partial(self._machine_dies, machine, names))
        for machine in self._draw.sample(machines, min(world.cuts, len(machines) - 1)):
            self._after(self._draw.uniform(0, self._expected_end() / 2), partial(self._cut, machine))
        while not self._board.done:
            self._now, _, event = heapq.heappop(self._events)
            event()
        self._now = max(self._now, self._busy)  # what is not written down yet is no result
        for worker in [worker for machine in machines for worker in machine.workers]:
            self._account(worker)
        return self._told()

    # -- what there is to do

    def _plan(self) -> list[PlannedTest]:
        """The tests of the world, expected to take what a former run of them took."""
        measured = json.loads(MEASURED.read_text(encoding="utf-8"))
        self._boot: float = measured["boot"]
        known, rows = Durations(), list(itertools.islice(_rows(measured["tests"]), self._world.tests))
        for nodeid, guest, _, seconds in rows:
            if self._draw.random() >= self._world.new_tests:
                before = seconds * self._draw.lognormvariate(0, measured["deviation"])
                known.learn(TestRecord(nodeid, Outcome.PASSED, before, "", "", guest))
        planned = []
        for nodeid, guest, stack, seconds in rows:
            driver = nodeid.partition("/")[0]
            template = f"{driver} {stack}"
            self._template_seconds[guest, template] = measured["templates"][stack]
            self._actual[nodeid] = seconds * self._draw.lognormvariate(0, measured["deviation"])
            planned.append(PlannedTest(nodeid, guest, template, known.of(nodeid, guest)))
        return planned

    def _expected_end(self) -> float:
        return sum(test.seconds for test in self._planned) / self._world.workers

    # -- who is there

    def _shares(self) -> list[int]:
        """How many workers each machine has."""
        whole, rest = divmod(self._world.workers, self._world.workers_of_machine)
        return [self._world.workers_of_machine] * whole + ([rest] if rest else [])

    def _machine(self, name: str, *, warm: bool) -> _Machine:
        return _Machine(name, dict.fromkeys(self._images, 0.0) if warm else {})

    def _populate(self, machine: _Machine, count: int) -> None:
        for number in range(count):
            worker = _Worker(f"{machine.name}/{number}", machine, since=self._now)
            machine.workers.append(worker)
            self._join(worker)
            self._dies_some_time(worker)

    def _join(self, worker: _Worker) -> None:
        images = frozenset(image for image, when in worker.machine.images.items() if when <= self._now)
        self._board.join(Offer(worker.name, worker.machine.name, 4096, True, images))
        self._give(worker)

    # -- what workers do

    def _give(self, worker: _Worker) -> None:
        group = self._board.take(worker.name)
        if group is None:
            self._turns_to(worker, "idle")
            self._idle[worker.name] = worker
            return
        self._idle.pop(worker.name, None)
        worker.group = group
        said = max(0.0, self._busy_until - self._now)
        worker.steps = deque([_Step("dispatch", said + self._world.dispatch), _Step("image"), _Step("template")])
        worker.steps += [_Step("tests", self._actual[test.nodeid], test) for test in group.tests]
        self._go_on(worker)

    def _coordinator_works(self) -> None:
        """Have the coordinator deal with one result more; what comes meanwhile waits."""
        self._busy_until = max(self._busy_until, self._now) + self._world.message
        self._busy += self._world.message + self._world.report

    def _go_on(self, worker: _Worker) -> None:
        """Begin the next step of a worker, or tell that its group is over."""
        while worker.steps:
            step = worker.steps.popleft()
            what, seconds = self._step(worker, step)
            if what:
                if step.test is not None and step.test.nodeid in self._killers:
                    self._board.begins(worker.name, step.test.nodeid)
                    self._turns_to(worker, what)
                    self._in_this_life(worker, seconds / 2, lambda: self._worker_dies(worker))
                    return
                if step.test is not None and not worker.machine.cut:
                    self._board.begins(worker.name, step.test.nodeid)
                self._turns_to(worker, what)
                self._in_this_life(worker, seconds, partial(self._step_is_over, worker, step))
                return
        worker.group = None
        if worker.machine.cut:
            self._turns_to(worker, "cut off")
            return
        self._took(self._board.finished(worker.name))
        self._give(worker)
        for name in self._board.woken(worker.name):
            if name in self._idle:
                self._give(self._idle[name])

    def _step(self, worker: _Worker, step: _Step) -> tuple[str, float]:
        """What a step comes to now, and how long it takes; "" if there is nothing to it."""
        assert worker.group is not None
        machine, group = worker.machine, worker.group
        if step.what == "image":
            there = machine.images.get(group.needs.image)
            if there is None:
                self._fetching += 1
                rate = min(self._world.machine_rate, self._world.store_rate / self._fetching)
                seconds = self._world.image_bytes / rate + self._boot
                machine.images[group.needs.image] = self._now + seconds
                self._after(seconds, self._fetched)
                return "images", seconds
            return ("waiting for an image", there - self._now) if there > self._now else ("", 0)
        if step.what == "template":
            kind = (group.guest, group.template)
            there = machine.templates.get(kind)
            if there is None:
                seconds = self._template_seconds[kind]
                machine.templates[kind] = self._now + seconds
                first = kind not in self._templates_made
                self._templates_made.add(kind)
                return ("templates" if first else "templates once more", seconds)
            return ("waiting for a template", there - self._now) if there > self._now else ("", 0)
        return step.what, step.seconds

    def _fetched(self) -> None:
        self._fetching -= 1

    def _step_is_over(self, worker: _Worker, step: _Step) -> None:
        if step.test is not None:
            if worker.machine.cut:
                worker.unsent.append(step.test)
            else:
                self._accept(step.test, worker)
        self._go_on(worker)

    def _accept(self, test: PlannedTest, worker: _Worker | None) -> None:
        self._coordinator_works()
        first = self._board.accept(test.nodeid, worker.name if worker else "")
        self._result.results[test.nodeid] += first
        self._result.late += worker is None or not first

    # -- what goes wrong

    def _dies_some_time(self, worker: _Worker) -> None:
        self._in_this_life(
            worker, self._draw.expovariate(1 / self._world.worker_dies), lambda: self._worker_dies(worker)
        )

    def _worker_dies(self, worker: _Worker) -> None:
        """A process dies; its machine notices at once, and starts another."""
        if worker.machine.cut:
            return
        self._ends(worker, "restarting")
        self._took(self._board.died(worker.name))
        self._in_this_life(worker, self._world.restart, lambda: self._is_back(worker))

    def _is_back(self, worker: _Worker) -> None:
        if worker.machine.cut:
            self._in_this_life(worker, self._world.restart, lambda: self._is_back(worker))
            return
        self._dies_some_time(worker)
        self._join(worker)

    def _machine_dies(self, machine: _Machine, names: Iterator[str]) -> None:
        if machine.cut:
            return
        for worker in machine.workers:
            self._ends(worker, "machine lost")
        gone = list(machine.workers)

        def notice() -> None:
            for worker in gone:
                self._took(self._board.died(worker.name))

        def replace() -> None:
            machine.name, machine.images, machine.templates = next(names), {}, {}
            for worker in gone:
                worker.name = f"{machine.name}/{worker.name.partition('/')[2]}"
                self._is_back(worker)

        self._after(self._world.detected, notice)
        self._after(self._world.detected + self._world.replaced, replace)

    def _cut(self, machine: _Machine) -> None:
        """Nobody hears of a machine for a while; it goes on, and is heard when it is too late."""
        machine.cut = True
        workers = [worker for worker in machine.workers if worker.doing not in {"restarting", "machine lost"}]

        def given_up() -> None:
            for worker in workers:
                self._took(self._board.died(worker.name))

        def back() -> None:
            machine.cut = False
            for worker in workers:
                for test in worker.unsent:
                    self._accept(test, None)
                worker.unsent.clear()
                self._ends(worker, "idle")
                self._is_back(worker)

        for worker in workers:
            if self._idle.pop(worker.name, None):
                self._turns_to(worker, "cut off")
        self._after(self._world.detected, given_up)
        self._after(self._world.cut, back)

    def _ends(self, worker: _Worker, now: str) -> None:
        """What a worker does is lost; templates and images that it was making are made by the next."""
        if worker.group is not None and worker.doing in {"templates", "templates once more"}:
            kind = (worker.group.guest, worker.group.template)
            worker.machine.templates.pop(kind, None)
        if worker.group is not None and worker.doing == "images":
            worker.machine.images.pop(worker.group.needs.image, None)
        if worker.doing == "tests":
            worker.doing = "lost"
        self._idle.pop(worker.name, None)
        self._turns_to(worker, now)
        worker.life += 1
        worker.steps.clear()
        worker.group = None

    def _took(self, lost: Lost) -> None:
        if lost.repeated or lost.given_up:
            self._result.deaths += 1
        self._result.repeated += len(lost.repeated)
        self._result.given_up += [test.nodeid for test in lost.given_up]
        if lost.repeated:
            for worker in list(self._idle.values()):
                self._give(worker)

    # -- time

    def _after(self, seconds: float, event: Callable[[], object]) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), event))

    def _in_this_life(self, worker: _Worker, seconds: float, event: Callable[[], None]) -> None:
        life = worker.life
        self._after(seconds, lambda: event() if worker.life == life else None)

    def _turns_to(self, worker: _Worker, what: str) -> None:
        self._account(worker)
        worker.doing = what

    def _account(self, worker: _Worker) -> None:
        self._seconds[worker.doing] += self._now - worker.since
        worker.since = self._now

    def _told(self) -> Simulated:
        told, world = self._result, self._world
        tests = sum(self._actual.values())
        told.work = tests + sum(self._template_seconds.values())
        told.chain = max(
            self._actual[test.nodeid] + self._template_seconds[test.guest, test.template] for test in self._planned
        )
        told.bound = max(told.work / world.workers, told.chain)
        told.makespan = self._now
        told.seconds = dict(sorted(self._seconds.items(), key=lambda one: -one[1]))
        told.coordinator = self._busy / told.makespan
        return told


def _image(guest: str) -> str:
    return guest.partition("+")[0]


def _rows(tests: list[tuple[str, int, float]]) -> Iterator[tuple[str, str, int, float]]:
    """Node id, guest, stack and seconds of one test after another: drivers, levels, systems, releases, suites."""
    for driver in itertools.count(1):
        for level, system, release in itertools.product(LEVELS, FILE_SYSTEMS, range(1, RELEASES + 1)):
            guest = f"windows-{release}+{system} {level}"
            for number, (file, stack, seconds) in enumerate(tests):
                yield f"driver{driver}/{file}::test_{number}[{guest}]", guest, stack, seconds
