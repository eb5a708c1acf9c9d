"""The process on a worker of a cluster in which tests run: `python -m harness.plugin.cluster_process DESCRIPTOR`.

On standard input come lines of JSON: first what pytest is started with (`Job.session`), then the tests of one group
after the other. What became of them goes to the descriptor, a line of JSON each: `begun` and `done` of a test, `ended`
of a group. The end of standard input ends it, in the middle of a test as SIGTERM does.
"""

import json
import os
import queue
import signal
import sys
import threading
from typing import IO, Any

import pytest
from _pytest.config import _prepareconfig

from harness.errors import ExitCode
from harness.fleet import options

# What is the coordinator's to do, or to have done.
_NOT_HERE: dict[str, object] = {
    **dict.fromkeys(("usepdb", "lf", "failedfirst", "newfirst", "stepwise", "stepwise_skip", "cacheclear"), False),
    **dict.fromkeys((options.RESUME.name, options.CLUSTER.name, "xmlpath", "numprocesses"), None),
    "maxfail": 0,
}


class Groups:
    """Runs the groups that it is told of, instead of all tests that were collected."""

    def __init__(self, config: pytest.Config, told: IO[str], answers: IO[str]) -> None:
        self._config = config
        self._input = told
        self._answers = answers
        self._told: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._reports: list[dict[str, Any]] = []
        self._runs = False
        threading.Thread(target=self._listen, name="fltlab-cluster", daemon=True).start()

    def _listen(self) -> None:
        for line in self._input:
            self._told.put(json.loads(line)["tests"])
        self._told.put(None)
        if self._runs:
            os.kill(os.getpid(), signal.SIGTERM)  # harness.plugin.signals ends the test in order

    def say(self, kind: str, **what: object) -> None:
        self._answers.write(json.dumps({"kind": kind, **what}, default=str) + "\n")
        self._answers.flush()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        while (tests := self._told.get()) is not None:
            self._runs = True
            try:
                self._run(session, tests, items)
            except pytest.exit.Exception as error:  # its files cannot be written
                session.shouldstop = str(error)
                self.say("unfit", why=str(error))
            self._runs = False
            self.say("ended", over=bool(session.shouldstop))
            if session.shouldstop:
                break
        return True

    def _run(self, session: pytest.Session, tests: list[str], items: dict[str, pytest.Item]) -> None:
        for nodeid, following in zip(tests, [*tests[1:], None], strict=True):
            item = items.get(nodeid)
            if item is None:
                self.say("unknown", test=nodeid)
                continue
            self.say("begun", test=nodeid)
            self._reports.clear()
            # Of a group's last test only what belongs to the session stays: the guests are there for the next group.
            nextitem: Any = items.get(following, session) if following is not None else session
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
            self.say("done", test=nodeid, reports=self._reports)
            if session.shouldstop:
                return

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reports.append(data)


def main() -> int:
    """Run groups until there are no more."""
    answers = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    os.set_inheritable(answers.fileno(), False)
    orders = os.fdopen(os.dup(0), encoding="utf-8")  # pytest takes standard input from the tests
    told = json.loads(orders.readline())
    config = _prepareconfig(told["arguments"], None)
    from harness.plugin.facts import OF_COMMAND  # pytest wants to be the first to load its plugins
    from harness.plugin.run import FINISHED_KEY, WORKER_KEY

    for name, value in {**_NOT_HERE, **told["options"], options.OUT.name: told["out"]}.items():
        setattr(config.option, name, value)
    config.__dict__["workerinput"] = {
        "workerid": told["worker"],
        WORKER_KEY: told["run"],
        OF_COMMAND: told["of_command"],
        FINISHED_KEY: "[]",
    }
    config.pluginmanager.register(Groups(config, orders, answers), "fltlab-cluster-groups")
    return int(config.hook.pytest_cmdline_main(config=config))


if __name__ == "__main__":
    sys.exit(main() or ExitCode.PASSED)
