"""Shares the groups of a run out among the workers of a cluster, and hears what came of them.

The board decides who runs what (policy.py), Dask brings it there and says who is gone. What workers tell comes as
events, in the order in which each worker told it; a task itself has no result. A result counts when the coordinator has
it: whatever is lost on the way is run again, and what comes twice is taken once.
"""

import contextlib
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from harness.cluster.groups import Group, Offer, PlannedTest
from harness.cluster.job import Job
from harness.cluster.policy import Board, Lost
from harness.errors import ExitCode, HostError

if TYPE_CHECKING:
    from distributed import Client

INTERVAL = 0.5
"""Seconds between two looks at whether all is well, where nothing is heard."""
NOBODY = 300.0
"""Seconds that a run waits for a first worker, or for one to come back."""
FETCHING = 7200.0
"""Seconds that it waits for one that still makes ready: the image of a Windows guest is many gigabytes."""
BEHIND = 500
"""So many results wait at most to be written down while workers are served."""
STUCK = 5.0
"""Seconds after which groups that nobody can run, while nothing else runs, are given up."""

_SUBSCRIBED = "subscribed"
"""What we say to ourselves, to know that we hear."""

Message = dict[str, Any]
Files = str | None
"""The digest of what a test has left in its folder, where the worker does not see ours."""


class Listener(Protocol):
    """Who wants to know."""

    def begun(self, nodeid: str, worker: str) -> None: ...

    def result(self, nodeid: str, reports: Sequence[dict[str, Any]], worker: str, files: Files) -> None:
        """All that a test came to."""
        ...

    def given_up(self, nodeid: str, why: str, details: Sequence[str]) -> None: ...

    def says(self, text: str) -> None: ...

    def stops(self) -> bool:
        """Whether the run ends here, whatever is left."""
        ...


@dataclass
class Machine:
    """What a machine has done in this run."""

    workers: set[str] = field(default_factory=set)
    tests: int = 0
    seconds: float = 0.0
    lost: int = 0
    """Workers that were lost."""


@dataclass
class _Worker:
    """One slot of a Dask worker."""

    offer: Offer
    address: str
    slot: int
    host: str
    task: Any = None
    number: int = 0
    """Of its task, until that has ended."""


class Coordinator:
    """One run on one cluster."""

    def __init__(self, client: "Client", job: Job, board: Board, listener: Listener) -> None:
        self._client = client
        self._job = job
        self._board = board
        self._listener = listener
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._workers: dict[str, _Worker] = {}
        self._coming: set[str] = set()
        """Addresses of workers that make ready what the run needs."""
        self._refused: dict[str, str] = {}
        """Why workers may not take part, by their address."""
        self._why_died: dict[str, list[str]] = {}
        """What was said of the deaths of workers, by the test that ran."""
        self.machines: dict[str, Machine] = {}
        self._heard = time.monotonic()
        self._numbers = itertools.count(1)
        self._unwritten: deque[Callable[[], None]] = deque()
        """Results that count and are not written down yet: workers that want a group go first."""
        self._handlers: dict[str, Callable[[Message], None]] = {
            "coming": lambda message: self._coming.add(message["address"]),
            "offer": self._offer,
            "refused": self._refuse,
            "begun": self._begun,
            "done": self._done,
            "unknown": self._unknown,
            "ended": self._ended,
            "died": self._died,
            "unfit": self._unfit,
            "gone": self._gone,
            "over": self._over,
        }

    def run(self) -> None:
        """Run all groups; returns when each test has its result or was given up, or the listener has had enough.

        Raises HostError if there is nobody (any more) to run them, or no scheduler.
        """
        import cloudpickle

        from harness.cluster import entrance
        from harness.cluster.runner import as_data

        self._subscribe()
        cloudpickle.register_pickle_by_value(entrance)
        try:
            door = entrance.Entrance(self._job.topic, self._job.version, self._job.code, as_data(self._job))
            with contextlib.suppress(OSError):  # of a worker that dies over it: all others have it, and who comes later
                self._client.register_plugin(door, name=self._job.topic)
        finally:
            cloudpickle.unregister_pickle_by_value(entrance)
        try:
            while not self._board.done and not self._listener.stops():
                self._hear()
        finally:
            while self._unwritten and not self._listener.stops():
                self._unwritten.popleft()()
            self._client.cancel([worker.task for worker in self._workers.values() if worker.task is not None])
            if self._client.status == "running":
                self._client.unsubscribe_topic("all")
                self._client.unsubscribe_topic(self._job.topic)
                with contextlib.suppress(OSError):  # of a worker that dies over it; the others end what they have
                    self._client.unregister_worker_plugin(self._job.topic)

    def _subscribe(self) -> None:
        """Be told of what workers say; returns once we are.

        A subscription goes to the scheduler by another way than what is asked of it, and may come there later: what a
        worker says before it is there is told to nobody.
        """
        told = threading.Event()

        def take(event: tuple[float, Message]) -> None:
            told.set() if event[1]["kind"] == _SUBSCRIBED else self._inbox.put(event[1])

        self._client.subscribe_topic("all", self._heard_of_cluster)
        self._client.subscribe_topic(self._job.topic, take)
        end = time.monotonic() + NOBODY
        self._client.log_event(self._job.topic, {"kind": _SUBSCRIBED})
        while not told.wait(INTERVAL):
            if time.monotonic() > end or self._client.status != "running":
                raise HostError("the scheduler of the cluster does not pass on what workers say")
            self._client.log_event(self._job.topic, {"kind": _SUBSCRIBED})

    def _heard_of_cluster(self, event: tuple[float, Message]) -> None:
        if event[1].get("action") == "remove-worker":
            self._inbox.put({"kind": "gone", "address": event[1]["worker"]})

    def _hear(self) -> None:
        if len(self._unwritten) > BEHIND:
            self._unwritten.popleft()()
        try:
            message = self._inbox.get(timeout=0 if self._unwritten else INTERVAL)
        except queue.Empty:
            if self._unwritten:
                self._unwritten.popleft()()
            else:
                self._look()
            return
        self._heard = time.monotonic()
        self._handlers[message["kind"]](message)

    def _look(self) -> None:
        """What has to be noticed where nobody says anything."""
        silent = time.monotonic() - self._heard
        if self._client.status != "running":
            raise HostError("the connection to the scheduler of the cluster was lost")
        if not self._workers and not self._coming and silent > NOBODY:
            raise HostError(
                f"the cluster has had no worker for {NOBODY:.0f} s",
                details=tuple(self._refused.values()),
                hint="docs/cluster.md says how workers are started",
            )
        if not self._workers and silent > FETCHING:
            raise HostError(
                f"no worker of the cluster has made ready in {FETCHING:.0f} s",
                details=(*(f"{address} still fetches" for address in sorted(self._coming)), *self._refused.values()),
                hint="look whether the store can be read there: a mount whose server is gone lets nobody go",
            )
        if self._workers and silent > STUCK and not any(worker.number for worker in self._workers.values()):
            for group in list(self._board.homeless()):
                self._give_up(group.tests, "no machine of the cluster can run it", self._board.reasons(group.needs))

    # -- who is there

    def _offer(self, message: Message) -> None:
        self._refused.pop(message["address"], None)
        self._coming.discard(message["address"])
        machine = self.machines.setdefault(message["host"], Machine())
        for slot in range(message["slots"]):
            name = f"{message['address']}#{slot}"
            offer = Offer(
                name,
                message["machine"],
                message["memory_mib"],
                kvm=message["kvm"],
                images=frozenset(message["images"]),
            )
            self._workers[name] = _Worker(offer, message["address"], slot, message["host"])
            machine.workers.add(name)
            self._board.join(offer)
            self._give(self._workers[name])

    def _refuse(self, message: Message) -> None:
        self._coming.discard(message["address"])
        name, address = message["name"], message["address"]
        self._refused[address] = f"{name if name == address else f'{name} ({address})'}: {message['why']}"
        self._listener.says(f"a worker gets nothing to do: {self._refused[address]}")
        there: set[str] = set()
        with contextlib.suppress(OSError):  # no scheduler: `_look` says so
            there = set(self._client.scheduler_info(n_workers=-1)["workers"])  # some Dasks tell of five by themselves
        if there and there <= set(self._refused):
            raise HostError("no worker of the cluster can take part in this run", details=tuple(self._refused.values()))

    def _gone(self, message: Message) -> None:
        self._refused.pop(message["address"], None)
        self._coming.discard(message["address"])
        for name, worker in list(self._workers.items()):
            if worker.address == message["address"]:
                del self._workers[name]
                self.machines[worker.host].lost += 1
                self._release(worker)
                self._lost(self._board.died(name), worker, "the cluster has lost the worker")

    # -- what they do

    def _of(self, message: Message) -> _Worker | None:
        """The worker that a message is from, if it is about what it was given to do last."""
        worker = self._workers.get(f"{message['address']}#{message['slot']}")
        return worker if worker is not None and worker.number == message["task"] else None

    def _begun(self, message: Message) -> None:
        worker = self._of(message)
        if worker is not None:
            self._board.begins(worker.offer.worker, message["test"])
            self._listener.begun(message["test"], worker.host)

    def _done(self, message: Message) -> None:
        worker = self._of(message)
        lacks = _lacking(message["reports"])
        if worker is not None and lacks:
            self._unfit({**message, "why": lacks})
            return
        if self._board.accept(message["test"], worker.offer.worker if worker else ""):
            if worker is not None:
                machine = self.machines[worker.host]
                machine.tests += 1
                machine.seconds += sum(report["duration"] for report in message["reports"])
            host, files = worker.host if worker else "", message.get("files")
            self._unwritten.append(partial(self._listener.result, message["test"], message["reports"], host, files))

    def _unknown(self, message: Message) -> None:
        if self._board.accept(message["test"]):
            self._listener.given_up(message["test"], "the worker has collected no test of this name", ())

    def _unfit(self, message: Message) -> None:
        """A worker says what its machine lacks: its group is for others."""
        worker = self._of(message)
        if worker is not None and self._board.running(worker.offer.worker) is not None:
            first, *_ = message["why"].splitlines()
            self._listener.says(f"{worker.host}: {first}: its group is for other machines")
            self._board.refused(worker.offer.worker, message["why"])
            self._give_to_all()

    def _ended(self, message: Message) -> None:
        worker = self._of(message)
        if worker is not None:
            self._release(worker)
            if self._board.running(worker.offer.worker) is not None:
                self._lost(self._board.finished(worker.offer.worker), worker, "it was left without a result")
            self._give(worker)
            for name in self._board.woken(worker.offer.worker):
                self._give(self._workers[name])

    def _died(self, message: Message) -> None:
        """The process of the tests is dead; the worker is not, and makes another."""
        worker = self._of(message)
        if worker is not None:
            self._release(worker)
            self.machines[worker.host].lost += 1
            lost = self._board.died(worker.offer.worker)
            self._board.join(worker.offer)
            self._lost(lost, worker, f"its process on {worker.host} ended ({message['how']})", message["printed"])
            self._give_to_all()

    def _over(self, message: Message) -> None:
        """A task has ended: one that says nothing of its group any more has failed by itself."""
        worker = self._of(message)
        if worker is not None and self._client.status == "running":  # else all are over, for want of a scheduler
            self._died({**message, "how": message["how"], "printed": []})

    # -- giving

    def _give_to_all(self) -> None:
        for worker in list(self._workers.values()):
            self._give(worker)

    def _give(self, worker: _Worker) -> None:
        if worker.number or self._board.running(worker.offer.worker) is not None:
            return
        group = self._board.take(worker.offer.worker)
        if group is not None:
            worker.number = next(self._numbers)
            worker.task = self._submit(worker, group)

    def _submit(self, worker: _Worker, group: Group) -> Any:
        from harness.cluster.runner import run_group

        tests = [test.nodeid for test in group.tests]
        about = {"address": worker.address, "slot": worker.slot, "task": worker.number}
        task = self._client.submit(
            *(run_group, self._job.topic, worker.slot, worker.number, tests, group.needs.image),
            key=(group.name.replace("-", "\u2010"), self._job.run, worker.number),  # Dask cuts names at a dash
            workers=[worker.address],
            allow_other_workers=False,
            pure=False,
        )
        task.add_done_callback(lambda task: self._inbox.put({"kind": "over", "how": _how(task), **about}))
        return task

    def _release(self, worker: _Worker) -> None:
        worker.number = 0
        worker.task = None

    # -- what is lost

    def _lost(self, lost: Lost, worker: _Worker, why: str, printed: Sequence[str] = ()) -> None:
        if not lost.repeated and not lost.given_up:
            return
        suspect = lost.given_up[0] if lost.given_up else lost.repeated[0].tests[0]
        self._why_died.setdefault(suspect.nodeid, []).append(why)
        if lost.given_up:
            said = [*self._why_died[suspect.nodeid], *printed]
            self._listener.given_up(
                suspect.nodeid, f"its worker died of it {len(self._why_died[suspect.nodeid])} times", said
            )
        else:
            self._listener.says(f"{suspect.nodeid}: {why}; it is tried once more")
        if lost.set_aside:
            self._listener.says(f"{worker.host} gets nothing more: its workers have died again and again")
        self._give_to_all()

    def _give_up(self, tests: Sequence[PlannedTest], why: str, details: Sequence[str]) -> None:
        self._board.give_up(tests)
        for test in tests:
            self._listener.given_up(test.nodeid, why, details)


def _lacking(reports: Sequence[Message]) -> str:
    """What a worker's machine lacks so that no test can run there, if that is what a test ended with."""
    for report in reports:
        fault = report.get("fltlab_fault") or {}
        if fault.get("ends_run") and fault.get("exit_code") == ExitCode.HOST:
            return str(fault["message"])
    return ""


def _how(task: Any) -> str:
    """How a task ended that has failed by itself."""
    if task.status != "error":
        return str(task.status)
    error = task.exception()
    return f"{type(error).__name__}: {error}".splitlines()[0]
