"""Who runs what next, and what becomes of it when a worker dies.

A board knows every group of a run and every worker. A worker that has nothing to do is given the group that is best for
it: nothing is assigned ahead, so nothing has to be taken back from a worker that is slow. What is begun first is what
takes longest; a machine that has an image or a template goes on with it; others join in where the work that is left
takes longer than to get what they lack. The coordinator of a run and the simulation (`fltlab bench cluster`) use it
alike: it knows neither Dask nor pytest, nor what time it is.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from harness.cluster.groups import Group, Needs, Offer, PlannedTest, why_never

DEATHS = 2
"""A test during which so many workers died is given up: it would go on for ever."""
DEATHS_OF_MACHINE = 3
"""A machine all of whose workers died so often, with no result between, gets nothing more while others are left."""

_Kind = tuple[Needs, str, str]
"""What it needs, its guest and its template."""


@dataclass(frozen=True)
class Lost:
    """What became of the group of a worker that died: its results stand, and the rest is one of these."""

    repeated: tuple[Group, ...] = ()
    """Another worker gets them. The test that ran is alone in the first one."""
    given_up: tuple[PlannedTest, ...] = ()
    """Workers died of it time after time; it is not tried again."""
    set_aside: str = ""
    """The machine that gets nothing more, if that is one now."""


@dataclass
class _Queue:
    """The groups of one guest and template that nobody has taken."""

    kind: _Kind
    needs: Needs
    heap: list[tuple[float, int, Group]] = field(default_factory=list)
    seconds: float = 0.0
    active: int = 0
    """How many workers run a group of it now."""

    def push(self, group: Group, serial: int) -> None:
        heapq.heappush(self.heap, (-group.seconds, serial, group))
        self.seconds += group.seconds

    def pop(self) -> Group:
        _, _, group = heapq.heappop(self.heap)
        self.seconds = self.seconds - group.seconds if self.heap else 0.0
        return group


@dataclass
class _Pool:
    """All queues of groups that need the same: those that nobody has begun, the longest first, and the others."""

    needs: Needs
    begun: dict[_Kind, _Queue] = field(default_factory=dict)
    """Only those with something in them."""
    untouched: list[tuple[float, int, _Queue]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class _Machine:
    images: set[str] = field(default_factory=set)
    coming: set[str] = field(default_factory=set)
    """Images that one of its workers has begun to get."""
    news: bool = False
    """Whether an image or a template has come that idle workers here were not asked about."""
    templates: set[_Kind] = field(default_factory=set)
    workers: set[str] = field(default_factory=set)
    most_workers: int = 0
    deaths: int = 0
    """Since it gave its last result."""
    set_aside: bool = False
    refusals: dict[Needs, str] = field(default_factory=dict)


@dataclass
class _Worker:
    offer: Offer
    group: Group | None = None
    test: str = ""


class Board:
    """The groups of a run and its workers. Not for several threads at a time."""

    def __init__(self, groups: Iterable[Group], obtainable: Iterable[str] = ()) -> None:
        """`obtainable` are the images that a worker can be sent, or can build."""
        self.obtainable = frozenset(obtainable)
        self._serial = itertools.count()
        self._open: dict[str, PlannedTest] = {}
        self._deaths: dict[str, int] = {}
        self._workers: dict[str, _Worker] = {}
        self._machines: dict[str, _Machine] = {}
        self._pools: dict[Needs, _Pool] = {}
        self._queues: dict[_Kind, _Queue] = {}
        self._again: list[Group] = []
        self._holders: Counter[str] = Counter()
        """Workers that have an image, or will: for each image."""
        for group in groups:
            self._open |= {test.nodeid: test for test in group.tests}
            queue = self._queues.setdefault(_kind_of(group), _Queue(_kind_of(group), group.needs))
            queue.push(group, next(self._serial))
        for queue in self._queues.values():
            pool = self._pools.setdefault(queue.needs, _Pool(queue.needs))
            pool.seconds += queue.seconds
            pool.untouched.append((-queue.needs.template_seconds - queue.seconds, next(self._serial), queue))
        for pool in self._pools.values():
            heapq.heapify(pool.untouched)

    # -- what a coordinator tells

    def join(self, offer: Offer) -> None:
        """A worker is there; one of the same name that was there before is `died` first."""
        assert offer.worker not in self._workers, offer.worker
        self._workers[offer.worker] = _Worker(offer)
        machine = self._machines.setdefault(offer.machine, _Machine())
        machine.workers.add(offer.worker)
        machine.most_workers = max(machine.most_workers, len(machine.workers))
        self._holders.update(machine.images | machine.coming)
        for image in offer.images:
            self._has_image(machine, image)

    def begins(self, worker: str, nodeid: str) -> None:
        """A worker begins a test of its group: if it dies, that is the one it died of."""
        if worker in self._workers:
            self._workers[worker].test = nodeid

    def accept(self, nodeid: str, worker: str = "") -> bool:
        """Whether a result is the first of its test, and counts: a worker that was given up may still send some."""
        known = self._workers.get(worker)
        if known is not None and known.group is not None:
            machine = self._machines[known.offer.machine]
            machine.deaths = 0
            if known.group.needs.template_seconds and _kind_of(known.group) not in machine.templates:
                machine.templates.add(_kind_of(known.group))
                machine.news = True
            self._has_image(machine, known.group.needs.image)
            known.test = ""
        return self._open.pop(nodeid, None) is not None

    def finished(self, worker: str) -> Lost:
        """A worker is done with its group. A test that it has left without a result is treated as if it had died."""
        return self._lost(self._workers[worker])

    def died(self, worker: str) -> Lost:
        """A worker is gone, or is no longer believed in; what it ran is put back, for another machine if there is one.

        One that is not known (any more) has lost nothing.
        """
        known = self._workers.pop(worker, None)
        if known is None:
            return Lost()
        machine = self._machines[known.offer.machine]
        machine.workers.remove(worker)
        self._holders.subtract(machine.images | machine.coming)
        if not machine.workers:
            machine.images.clear()  # who comes next says anew what is there
            machine.coming.clear()
        return self._lost(known)

    def refused(self, worker: str, why: str) -> None:
        """A worker cannot run its group, for what its machine lacks (a full disk): other machines are asked.

        This one is not asked again for what needs the same. `homeless` says whether anybody is left.
        """
        known = self._workers[worker]
        group = self._let_go(known)
        if group is not None:
            self._machines[known.offer.machine].refusals[group.needs] = why
            self._again.append(group)

    def give_up(self, tests: Iterable[PlannedTest]) -> None:
        """These are not run (any more): nobody can, or the run ends."""
        for test in tests:
            self._open.pop(test.nodeid, None)

    # -- what it answers

    def take(self, worker: str) -> Group | None:
        """The group that a worker, which has none, runs next; None if there is nothing for it now.

        Tests that have a result by now are no longer in it.
        """
        known = self._workers[worker]
        assert known.group is None, worker
        while (group := self._choose(known)) is not None:
            tests = tuple(test for test in group.tests if test.nodeid in self._open)
            if tests:
                known.group = replace(group, tests=tests)
                self._queues[_kind_of(group)].active += 1
                self._gets_image(self._machines[known.offer.machine], group.needs.image)
                return known.group
        return None

    @property
    def done(self) -> bool:
        """Whether every test has a result, or was given up."""
        return not self._open

    @property
    def left(self) -> tuple[PlannedTest, ...]:
        """The tests without a result."""
        return tuple(self._open.values())

    @property
    def idle(self) -> list[str]:
        """The workers that have nothing: to be asked again (`take`) when something was lost or refused."""
        return [name for name, known in self._workers.items() if known.group is None]

    def woken(self, worker: str) -> list[str]:
        """The workers that have nothing beside one that goes on, if their machine has an image or a template more."""
        machine = self._machines[self._workers[worker].offer.machine]
        news, machine.news = machine.news, False
        return [name for name in machine.workers if self._workers[name].group is None] if news else []

    def running(self, worker: str) -> Group | None:
        """What a worker was given last and has not finished."""
        known = self._workers.get(worker)
        return known.group if known else None

    def reasons(self, needs: Needs) -> tuple[str, ...]:
        """Why no worker that is there can run what needs this, a line for each; empty if one of them can."""
        said = {name: self._why_not(known, needs) for name, known in self._workers.items()}
        return tuple(f"{name}: {why}" for name, why in said.items()) if all(said.values()) else ()

    def homeless(self) -> Iterator[Group]:
        """The groups in the queues that no worker can run that is there."""
        for pool in self._pools.values():
            queues = [*pool.begun.values(), *(queue for _, _, queue in pool.untouched)]
            if queues and self._is_homeless(pool.needs):
                yield from (group for queue in queues for _, _, group in queue.heap)
        yield from (group for group in self._again if self._is_homeless(group.needs))

    # -- how it chooses

    def _choose(self, known: _Worker) -> Group | None:
        machine = self._machines[known.offer.machine]
        if machine.set_aside and any(not other.set_aside and other.workers for other in self._machines.values()):
            return None
        for group in self._again:
            if self._can(known, group.needs) and not self._is_for_others(known, group):
                self._again.remove(group)
                return group
        pools = [pool for pool in self._pools.values() if self._is_waiting(pool) and self._can(known, pool.needs)]
        for pool in sorted(pools, key=lambda pool: -self._pressure(pool, machine)):
            queue = self._queue(pool, machine)
            if queue is not None:
                return self._pop(pool, queue)
        return None

    @staticmethod
    def _is_waiting(pool: _Pool) -> bool:
        return bool(pool.begun or pool.untouched)

    def _pressure(self, pool: _Pool, machine: _Machine) -> float:
        """Seconds of work that wait for each worker with the image, less what this machine needs to be one of them."""
        image = pool.needs.image
        if not image:
            return pool.seconds / len(self._workers)
        if image in machine.images:
            return pool.seconds / self._holders[image]
        more = 0 if image in machine.coming else len(machine.workers)
        return pool.seconds / (self._holders[image] + more) - pool.needs.image_seconds

    def _queue(self, pool: _Pool, machine: _Machine) -> _Queue | None:
        """What a machine does next of a pool: what its templates are for, or what takes longest in the end."""
        if self._lacks(machine, pool.needs) and self._pressure(pool, machine) <= 0:
            return None  # those who have the image are done sooner
        setup = pool.needs.template_seconds
        at_hand = [queue for kind, queue in pool.begun.items() if kind in machine.templates or not setup]
        if at_hand:
            return max(at_hand, key=lambda queue: queue.seconds / (queue.active + 1))
        worth = [queue for queue in pool.begun.values() if not queue.active or queue.seconds > queue.active * setup]
        best = max(worth, key=lambda queue: queue.seconds / (queue.active + 1), default=None)
        if pool.untouched:
            longest, _, first = pool.untouched[0]
            if best is None or -longest >= best.seconds / (best.active + 1):
                return first
        return best

    def _pop(self, pool: _Pool, queue: _Queue) -> Group:
        if pool.untouched and pool.untouched[0][2] is queue:
            heapq.heappop(pool.untouched)
            pool.begun[queue.kind] = queue
        group = queue.pop()
        pool.seconds -= group.seconds
        if not queue.heap:
            del pool.begun[queue.kind]
        return group

    # -- who can

    def _why_not(self, known: _Worker, needs: Needs) -> str:
        machine = self._machines[known.offer.machine]
        return machine.refusals.get(needs, "") or why_never(
            known.offer, needs, self.obtainable if needs.image in self.obtainable else machine.images
        )

    def _can(self, known: _Worker, needs: Needs) -> bool:
        return not self._why_not(known, needs)

    def _is_homeless(self, needs: Needs) -> bool:
        return not any(self._can(known, needs) for known in self._workers.values())

    def _is_for_others(self, known: _Worker, group: Group) -> bool:
        """Whether a group that was lost is none for this worker: its machine has lost it, or lacks the image.

        Unless there is nobody else.
        """
        machine = self._machines[known.offer.machine]
        return self._lacks(machine, group.needs) or (
            known.offer.machine in group.not_on
            and any(
                other.offer.machine not in group.not_on
                and not self._machines[other.offer.machine].set_aside
                and not self._lacks(self._machines[other.offer.machine], group.needs)
                and self._can(other, group.needs)
                for other in self._workers.values()
            )
        )

    def _lacks(self, machine: _Machine, needs: Needs) -> bool:
        """Whether a machine lacks the image, and others have it, or will, that can use it."""
        if not needs.image or needs.image in machine.images:
            return False
        return any(
            needs.image in other.images or needs.image in other.coming
            for other in self._machines.values()
            if other is not machine and other.workers and not other.set_aside and needs not in other.refusals
        )

    def _gets_image(self, machine: _Machine, image: str) -> None:
        if image and image not in machine.images | machine.coming:
            machine.coming.add(image)
            self._holders[image] += len(machine.workers)

    def _has_image(self, machine: _Machine, image: str) -> None:
        if image and image not in machine.images:
            self._gets_image(machine, image)
            machine.coming.remove(image)
            machine.images.add(image)
            machine.news = True

    def _may_come_no_more(self, known: _Worker, image: str) -> None:
        """A worker has let its group go: if it was the one that got an image, nobody on its machine does."""
        machine = self._machines[known.offer.machine]
        others = (self._workers[name].group for name in machine.workers)
        if image in machine.coming and not any(group is not None and group.needs.image == image for group in others):
            machine.coming.remove(image)
            self._holders[image] -= len(machine.workers)

    # -- what is lost

    def _let_go(self, known: _Worker) -> Group | None:
        """The group of a worker, which it has no more, without the tests that have a result."""
        group, known.group = known.group, None
        if group is None:
            return None
        self._queues[_kind_of(group)].active -= 1
        self._may_come_no_more(known, group.needs.image)
        tests = tuple(test for test in group.tests if test.nodeid in self._open)
        return replace(group, tests=tests) if tests else None

    def _lost(self, known: _Worker) -> Lost:
        group = self._let_go(known)
        if group is None:
            return Lost()
        name = known.offer.machine
        machine = self._machines[name]
        machine.deaths += 1
        set_aside = machine.deaths == DEATHS_OF_MACHINE * machine.most_workers
        machine.set_aside |= set_aside
        suspect = next((test for test in group.tests if test.nodeid == known.test), group.tests[0])
        known.test = ""
        rest = tuple(test for test in group.tests if test is not suspect)
        deaths = self._deaths[suspect.nodeid] = self._deaths.get(suspect.nodeid, 0) + 1
        parts: list[tuple[PlannedTest, ...]] = [(suspect,)] if deaths < DEATHS else []
        parts += [rest] if rest else []
        repeated = tuple(
            replace(group, name=f"{group.name}, again{f' {n}' if n > 1 else ''}", tests=tests)
            for n, tests in enumerate(parts, start=1)
        )
        repeated = tuple(replace(one, not_on=group.not_on | {name}) for one in repeated)
        self._again += repeated
        if deaths >= DEATHS:
            self.give_up([suspect])
        return Lost(repeated, (suspect,) if deaths >= DEATHS else (), name if set_aside else "")


def _kind_of(group: Group) -> _Kind:
    """Groups without a template to be made wait in one queue of their guest."""
    return (group.needs, group.guest, group.template if group.needs.template_seconds else "")
