"""What a coordinator makes of what it hears: nothing is lost, nothing counts twice, and nobody waits for ever."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from harness.cluster import coordinator as module
from harness.cluster.coordinator import Coordinator
from harness.cluster.groups import Needs, PlannedTest, cut
from harness.cluster.job import Job
from harness.cluster.policy import Board
from harness.errors import ConfigurationError, ExitCode, HostError

A, B = "tcp://192.0.2.1:1", "tcp://192.0.2.2:1"


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)


class FakeTask:
    status = "pending"

    def add_done_callback(self, _: object) -> None:
        pass


class FakeClient:
    """A Dask client whose scheduler does nothing: what workers do, the tests say."""

    status = "running"

    def __init__(self) -> None:
        self.given: list[tuple[str, int, list[str]]] = []
        self.workers = [A, B]

    def submit(
        self, _function: Any, _topic: str, _slot: int, task: int, tests: list[str], _image: str, **how: Any
    ) -> Any:
        self.given.append((how["workers"][0], task, tests))
        return FakeTask()

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "all of them"
        return {"workers": dict.fromkeys(self.workers)}


class SlowToSubscribe(FakeClient):
    """A scheduler that a subscription reaches late: what is said until then is told to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[str, Any] = {}
        self.said: list[str] = []

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        self.handlers[topic] = handler

    def log_event(self, topic: str, message: dict[str, Any]) -> None:
        self.said.append(message["kind"])
        if len(self.said) > 2:
            self.handlers[topic]((0.0, message))


class LosesWorkers(SlowToSubscribe):
    """One of its workers dies when all are told that there is a run, another when it is over."""

    def unregister_worker_plugin(self, name: str) -> None:
        self.said.append(name)
        raise OSError("Stream is closed")

    def register_plugin(self, *_: object, name: str) -> None:
        self.unregister_worker_plugin(name)

    def unsubscribe_topic(self, topic: str) -> None: ...
    def cancel(self, tasks: list[object]) -> None: ...


class Heard:
    """What a listener is told."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.lost: dict[str, str] = {}
        self.said: list[str] = []

    def begun(self, nodeid: str, worker: str) -> None:
        pass

    def result(self, nodeid: str, reports: Sequence[dict[str, Any]], worker: str, files: object) -> None:
        self.results.append(nodeid)

    def given_up(self, nodeid: str, why: str, details: Sequence[str]) -> None:
        self.lost[nodeid] = "\n".join([why, *details])

    def says(self, text: str) -> None:
        self.said.append(text)

    def stops(self) -> bool:
        return False


class Play:
    """A coordinator, and what is said to it."""

    def __init__(self, *nodeids: str, needs: Needs | None = None) -> None:
        tests = [PlannedTest(nodeid, "g" if needs else "", seconds=0.1) for nodeid in nodeids]
        self.board = Board(cut(tests, {"g": needs} if needs else {}, 1))
        self.client, self.heard = FakeClient(), Heard()
        client: Any = self.client
        self.coordinator = Coordinator(client, Job("run", "1", "", {}, "/", "/out"), self.board, self.heard)

    def say(self, kind: str, address: str, **what: Any) -> None:
        self.coordinator._inbox.put({"kind": kind, "address": address, **what})
        self.coordinator._hear()

    def settle(self) -> None:
        """Let it do what it does while nobody says anything."""
        for _ in range(10):
            self.coordinator._hear()

    def offer(self, address: str) -> None:
        about = {"host": address[6:17], "machine": address, "memory_mib": 1000, "kvm": False, "images": []}
        self.say("offer", address, name="w", slots=1, **about)

    def of_task(self, kind: str, address: str, task: int, **what: Any) -> None:
        self.say(kind, address, slot=0, task=task, **what)

    def done(self, address: str, task: int, nodeid: str, **fault: Any) -> None:
        report = {"duration": 0.1, **({"fltlab_fault": fault} if fault else {})}
        self.of_task("done", address, task, test=nodeid, reports=[report])


def test_what_workers_say_is_heard_before_they_are_asked_to_say_anything():
    play = Play("a")
    client: Any = SlowToSubscribe()
    play.coordinator._client = client

    play.coordinator._subscribe()

    assert client.said == ["subscribed"] * 3
    client.handlers[play.coordinator._job.topic]((0.0, {"kind": "offer"}))
    assert play.coordinator._inbox.get_nowait() == {"kind": "offer"}


def test_a_scheduler_that_is_lost_meanwhile_is_told():
    play = Play("a")
    client: Any = SlowToSubscribe()
    client.log_event = lambda _topic, _message: setattr(client, "status", "closed")
    play.coordinator._client = client

    with pytest.raises(HostError, match="does not pass on"):
        play.coordinator._subscribe()


def test_a_worker_that_goes_in_the_middle_of_a_group_loses_only_what_has_no_result():
    play = Play("f.py::one", "f.py::two", "f.py::three")
    play.offer(A)
    [(_, task, tests)] = play.client.given
    assert tests == ["f.py::one", "f.py::two", "f.py::three"]

    play.of_task("begun", A, task, test="f.py::one")
    play.done(A, task, "f.py::one")
    play.of_task("begun", A, task, test="f.py::two")
    play.offer(B)
    play.say("gone", A)
    play.done(A, task, "f.py::two")  # was on its way when the worker was given up: it counts, and is not run again
    (_, again, suspect), *_ = play.client.given[1:]
    play.done(B, again, "f.py::two")  # B had begun it
    play.of_task("ended", B, again, over=False)
    play.done(B, play.client.given[-1][1], "f.py::three")

    play.settle()

    assert suspect == ["f.py::two"]
    assert play.heard.results == ["f.py::one", "f.py::two", "f.py::three"]
    assert play.board.done


def test_a_test_of_which_two_processes_died_is_given_up_and_the_others_go_on():
    play = Play("f.py::deadly", "f.py::other")
    play.offer(A)
    for how in ("exit code 3", "killed by SIGSEGV"):
        _, task, tests = play.client.given[-1]
        assert tests[0] == "f.py::deadly"
        play.of_task("begun", A, task, test="f.py::deadly")
        play.of_task("died", A, task, how=how, printed=["last words"])

    assert play.heard.lost["f.py::deadly"].splitlines()[0] == "its worker died of it 2 times"
    assert "exit code 3" in play.heard.lost["f.py::deadly"]
    assert "killed by SIGSEGV" in play.heard.lost["f.py::deadly"]
    assert play.client.given[-1][2] == ["f.py::other"]


def test_what_a_machine_lacks_is_told_once_and_its_group_goes_to_another():
    play = Play("f.py::one", "f.py::two")
    play.offer(A)
    _, task, _ = play.client.given[-1]
    fault = {"ends_run": True, "exit_code": ExitCode.HOST, "message": "no room on the disk"}
    play.done(A, task, "f.py::one", **fault)
    play.of_task("ended", A, task, over=True)
    assert len(play.client.given) == 1  # not to A again
    play.offer(B)

    assert play.heard.said == ["192.0.2.1:1: no room on the disk: its group is for other machines"]
    assert play.client.given[-1][0] == B
    assert play.client.given[-1][2] == ["f.py::one", "f.py::two"]


def test_what_nobody_can_run_is_given_up_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    play = Play("f.py::one", needs=Needs(memory_mib=4096))
    play.offer(A)
    assert play.client.given == []
    monkeypatch.setattr(module, "STUCK", -1.0)
    play.coordinator._look()

    assert "it has 1000 MiB for a guest, and 4096 MiB are needed" in play.heard.lost["f.py::one"]
    assert play.board.done


def test_workers_that_are_refused_are_told_and_if_there_are_no_others_the_run_ends():
    play = Play("f.py::one")
    play.say("refused", A, name="a", why="it has fltlab 1, and this run is of fltlab 2")
    assert play.heard.said == [f"a worker gets nothing to do: a ({A}): it has fltlab 1, and this run is of fltlab 2"]

    with pytest.raises(HostError, match="no worker of the cluster can take part"):
        play.say("refused", B, name="b", why="there is no fltlab there")


def test_a_cluster_without_workers_or_a_scheduler_that_is_gone_ends_the_run(monkeypatch: pytest.MonkeyPatch):
    play = Play("f.py::one")
    play.coordinator._look()  # there is time
    monkeypatch.setattr(module, "NOBODY", -1.0)
    with pytest.raises(HostError, match="has had no worker"):
        play.coordinator._look()

    play.say("coming", A)  # it fetches what the run needs
    play.coordinator._look()
    play.say("gone", A)
    with pytest.raises(HostError, match="has had no worker"):
        play.coordinator._look()

    play.client.status = "connecting"
    with pytest.raises(HostError, match="the connection to the scheduler of the cluster was lost"):
        play.coordinator._look()


def test_workers_that_never_make_ready_end_the_run_with_their_names(monkeypatch: pytest.MonkeyPatch):
    play = Play("f.py::one")
    play.say("coming", A)
    play.coordinator._look()  # there is time
    monkeypatch.setattr(module, "FETCHING", -1.0)

    with pytest.raises(HostError, match="has made ready") as caught:
        play.coordinator._look()

    assert caught.value.details == (f"{A} still fetches",)
    assert "look whether the store can be read there" in (caught.value.hint or "")


def test_workers_that_die_when_they_are_told_of_a_run_or_of_its_end_do_not_matter():
    play = Play()
    client: Any = LosesWorkers()
    play.coordinator._client = client

    play.coordinator.run()

    assert client.said[-2:] == [play.coordinator._job.topic] * 2


def test_tasks_that_are_cancelled_for_want_of_a_scheduler_are_no_deaths():
    play = Play("f.py::one")
    play.offer(A)
    _, task, _ = play.client.given[-1]
    play.client.status = "connecting"
    play.of_task("over", A, task, how="cancelled")

    assert play.heard.said == []
    with pytest.raises(HostError, match="the connection to the scheduler of the cluster was lost"):
        play.coordinator._look()


def test_what_a_worker_says_of_an_old_task_is_not_taken_for_news():
    play = Play("f.py::one", "f.py::two")
    play.offer(A)
    _, task, _ = play.client.given[-1]
    play.of_task("begun", A, task, test="f.py::one")
    play.of_task("died", A, task, how="exit code 3", printed=[])
    given = len(play.client.given)
    for kind in ("died", "over", "ended", "unfit"):
        play.of_task(kind, A, task, how="late", printed=[], why="late", over=False)

    assert len(play.client.given) == given
    assert play.heard.lost == {}
    assert play.coordinator._heard <= time.monotonic()


@pytest.mark.parametrize(
    ("address", "insecure", "said"),
    [
        ("tcp://192.0.2.1:8786", False, "is not encrypted"),
        ("192.0.2.1:8786", False, "the link to tcp://192.0.2.1:8786 is not encrypted"),
        ("tcp://user:word@127.0.0.1:8786", False, "without a user's name and password"),
        ("somewhere", True, "takes the address of a Dask scheduler"),
        ("tls://192.0.2.1:8786", False, "there is no certificate for tls://192.0.2.1:8786"),
    ],
)
def test_an_address_that_is_none_or_that_others_could_use_is_refused(address: str, insecure: bool, said: str):
    import dask

    from harness.cluster.connection import require_address

    unset = {f"distributed.comm.tls.{name}": None for name in ("ca-file", "client.cert", "client.key")}
    with dask.config.set(unset), pytest.raises(ConfigurationError) as error:
        require_address(address, insecure=insecure)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("address", "insecure", "whole"),
    [
        ("127.0.0.1:8786", False, "tcp://127.0.0.1:8786"),
        ("tcp://[::1]:8786", False, "tcp://[::1]:8786"),
        ("tcp://192.0.2.1:8786", True, "tcp://192.0.2.1:8786"),
        ("local", False, "local"),
    ],
)
def test_loopback_needs_no_encryption_and_another_machine_only_if_so_said(address: str, insecure: bool, whole: str):
    from harness.cluster.connection import require_address

    assert require_address(address, insecure=insecure) == whole
