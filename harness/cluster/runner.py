"""What a Dask worker does in a run: each of its threads has a process in which tests run, and tells what that says."""

import dataclasses
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.job import Job
from harness.cluster.suite_process import SuiteProcess
from harness.errors import FltLabError
from harness.host.directories import home

runners: dict[tuple[str, str], "Runner"] = {}
"""The runners of this process by the address of their worker and the topic of their run."""


class Runner:
    """One run on one Dask worker."""

    def __init__(self, job: Mapping[str, Any], worker: Any) -> None:
        self.job = Job(**job)
        self._worker = worker
        self._slots = int(worker.state.nthreads)
        self._processes: dict[int, SuiteProcess] = {}
        self._scratch = Path(tempfile.mkdtemp(prefix=f"fltlab-cluster-{self.job.run}-"))

    def start(self) -> None:
        """Begin to make ready what the run needs here, and say so when it is there."""
        threading.Thread(target=self._make_ready, name=f"fltlab-{self.job.run}", daemon=True).start()

    def say(self, kind: str, **what: Any) -> None:
        """Tell the coordinator something; it comes in the order in which it was told."""
        self._worker.log_event(self.job.topic, {"kind": kind, "address": self._worker.address, **what})

    def _make_ready(self) -> None:
        try:
            for slot in range(self._slots):
                self._processes[slot] = self._new_process(slot)
        except (FltLabError, OSError) as error:
            self.say("refused", name=str(self._worker.name), why=str(error))
            return
        limit = self._worker.memory_manager.memory_limit or 0
        self.say(
            "offer",
            name=str(self._worker.name),
            host=socket.gethostname(),
            machine=f"{socket.gethostname()}:{home()}",
            slots=self._slots,
            memory_mib=self.job.memory_mib or limit // (self._slots << 20),
            kvm=False,
            images=[],
        )

    def _new_process(self, slot: int) -> SuiteProcess:
        name = f"{self._worker.name}-{slot}" if self._slots > 1 else str(self._worker.name)
        session = {**self.job.session, "worker": f"worker{name}", "out": self.job.out}
        return SuiteProcess(session, Path(self.job.directory), self._scratch / f"{slot}.log")

    def run(self, slot: int, task: int, tests: Sequence[str]) -> None:
        """Run the tests of a group, and pass on what is said of them as of this task."""
        process = self._processes[slot]
        if not process.lives:
            process = self._processes[slot] = self._new_process(slot)
        for message in process.run(tests):
            if message.get("over"):  # there is something on this machine that no further test would get over
                process.end()
            self.say(slot=slot, task=task, **message)

    def end(self) -> None:
        """End the processes, and remove what they leave."""
        for process in self._processes.values():
            process.close()
        for process in self._processes.values():
            process.end()
        shutil.rmtree(self._scratch, ignore_errors=True)


def run_group(topic: str, slot: int, task: int, tests: Sequence[str]) -> None:
    """The task: run a group on the worker that this is called on."""
    from distributed import get_worker

    runners[get_worker().address, topic].run(slot, task, tests)


def as_data(job: Job) -> dict[str, Any]:
    """A job as plain data, for a worker whose fltlab is not known yet."""
    return {one.name: getattr(job, one.name) for one in dataclasses.fields(job)}
