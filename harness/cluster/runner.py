"""What a Dask worker does in a run: each of its threads has a process in which tests run, and tells what that says."""

import contextlib
import dataclasses
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from harness.cluster.job import Job
from harness.cluster.suite_process import SuiteProcess
from harness.cluster.translation import Translation
from harness.errors import FltLabError, HostError
from harness.fleet import cluster_files
from harness.host.directories import home, private_directory
from harness.host.disk import why_not_written
from harness.host.leftovers import lock_file, remove
from harness.host.memory import read_memory
from harness.shipped import SHIPPED

if TYPE_CHECKING:
    from harness.cluster.deliveries import Delivery
    from harness.cluster.store import Store

runners: dict[tuple[str, str], "Runner"] = {}
"""The runners of this process by the address of their worker and the topic of their run."""
MEMORY_SHARE = 0.9
"""Of the memory that Dask has given to a worker; the rest is for its processes."""


class Runner:
    """One run on one Dask worker."""

    def __init__(self, job: Mapping[str, Any], worker: Any) -> None:
        self.job = Job(**job)
        self._worker = worker
        self._slots = int(worker.state.nthreads)
        self.processes: dict[int, SuiteProcess] = {}
        """By the number of the thread."""
        self._translation = Translation({})
        self._environment: dict[str, str] = {}
        self._images: dict[str, threading.Lock] = {}
        self._store: Store | None = None
        self._delivery: Delivery | None = None
        self._ends = False
        self._guard = threading.Lock()
        self._held_by = 2
        """What makes ready and the run itself: whoever is over last removes what is left."""
        self._scratch, self._lock = _scratch()

    def start(self) -> None:
        """Begin to make ready what the run needs here, and say so when it is there."""
        self.say("coming")
        threading.Thread(target=self._make_ready, name=self.job.topic, daemon=True).start()

    def say(self, kind: str, **what: Any) -> None:
        """Tell the coordinator something; it comes in the order in which it was told."""
        self._worker.log_event(self.job.topic, {"kind": kind, "address": self._worker.address, **what})

    def _make_ready(self) -> None:
        """Not in the loop of the worker: to remove and to fetch takes its time, and who is silent is given up."""
        try:
            cluster_files.reclaim_runs()
            self._receive()
            if self._ends:
                return
            for slot in range(self._slots):
                self.processes[slot] = self._new_process(slot)
            offer = self._offer()
        except (FltLabError, OSError) as error:
            self.say("refused", name=str(self._worker.name), why=_why(error, self._scratch))
        else:
            self.say("offer", name=str(self._worker.name), host=socket.gethostname(), slots=self._slots, **offer)
        finally:
            self._leave()

    def _receive(self) -> None:
        """Have the trees of the run here, which tests may write into as they may at home."""
        if self.job.delivery is None:
            return
        from harness.cluster.deliveries import Delivery, receive
        from harness.cluster.store import Store

        self._delivery = Delivery.from_data(self.job.delivery)
        self._store = Store(self._delivery.store)
        received = receive(dataclasses.replace(self._delivery, images=()))
        here = {self.job.shipped: str(SHIPPED), self.job.out: str(self._out)}
        # Each at its own path below one directory: what is told relative to another, or to where the run was started,
        # is the same as at home.
        for there, tree in received.trees.items():
            here[there] = str(_copied(tree, Path(f"{self._scratch / 'machine'}{there}")))
        home_directory = Path(f"{self._scratch / 'machine'}{self.job.directory}")
        home_directory.mkdir(parents=True, exist_ok=True)
        here.setdefault(self.job.directory, str(home_directory))
        self._translation = Translation(here)
        self._environment = dict(received.environment)
        self._images = {image.name: threading.Lock() for image in self._delivery.images}
        self._out.mkdir()

    def _offer(self) -> dict[str, Any]:
        from harness.host.accelerator import Accelerator, probe

        limit = int(MEMORY_SHARE * (self._worker.memory_manager.memory_limit or 0)) >> 20 or read_memory().available
        needs_qemu = self.job.needs_qemu
        return {
            "machine": f"{socket.gethostname()}:{home()}",
            "memory_mib": self.job.memory_mib or limit // self._slots,
            "kvm": needs_qemu and probe(Accelerator.KVM).works,
            "images": _images_here() if needs_qemu else [],
        }

    @property
    def _out(self) -> Path:
        """Where the files of tests are written here."""
        return self._scratch / "run"

    def _new_process(self, slot: int) -> SuiteProcess:
        name = f"{self._worker.name}-{slot}" if self._slots > 1 else str(self._worker.name)
        told = self._translation
        session = {
            **self.job.session,
            "arguments": [told.word(word) for word in self.job.session["arguments"]],
            "options": {key: told.value(value) for key, value in self.job.session["options"].items()},
            "worker": f"worker{name}",
            "out": told.path(self.job.out),
        }
        directory = Path(told.path(self.job.directory))
        return SuiteProcess(session, directory, self._scratch / f"{slot}.log", self._environment, told)

    def run(self, slot: int, task: int, tests: Sequence[str], image: str) -> None:
        """Run the tests of a group, and pass on what is said of them as of this task."""
        try:
            for message in self._messages(slot, tests, image):
                if self._ends and message["kind"] == "died":  # by us: that the worker is gone is heard of by itself
                    return
                self.say(slot=slot, task=task, **message)
        except (FltLabError, OSError) as error:
            self.say("unfit", slot=slot, task=task, why=_why(error, self._scratch))
            self.say("ended", slot=slot, task=task)

    def _messages(self, slot: int, tests: Sequence[str], image: str) -> Iterator[dict[str, Any]]:
        self._have_image(image)
        process = self.processes[slot]
        if not process.lives:
            process = self.processes[slot] = self._new_process(slot)
        for message in process.run(tests):
            if message.get("over"):  # there is something on this machine that no further test would get over
                process.end()
            files = self._put(message["reports"]) if message["kind"] == "done" else {}
            yield message | files

    def _have_image(self, name: str) -> None:
        """Fetch an image, or build the reference guest's, where a group needs it first."""
        if self._delivery is None or self._store is None or not name:
            return
        from harness.cluster.images import fetch_image, reference_image
        from harness.cluster.sealed import RunKey

        stored = next((image for image in self._delivery.images if image.name == name), None)
        with self._images.setdefault(name, threading.Lock()):
            if stored is not None:
                fetch_image(self._store, stored, RunKey.from_text(self.job.key))
            else:
                reference_image(self._store)

    def _put(self, reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Put what a test has left into the store, if there is one: its digest; the coordinator knows whose it is."""
        folder = next((said for report in reports if (said := (report.get("fltlab") or {}).get("folder"))), None)
        if self._store is None or folder is None or not (self._out / folder).is_dir():
            return {}
        digest = self._store.put(self._out / folder, ()).digest
        shutil.rmtree(self._out / folder)
        return {"files": digest}

    def end(self) -> None:
        """End the processes, and remove what they leave; a run that is over waits for nobody who still fetches."""
        self._ends = True
        self._leave()

    def _leave(self) -> None:
        with self._guard:
            self._held_by -= 1
            if self._held_by:
                return
        for process in self.processes.values():
            process.close()
        for process in self.processes.values():
            process.end()
        with contextlib.suppress(OSError):  # what cannot be removed now is left behind, for the next run to remove
            remove(self._scratch)
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def run_group(topic: str, slot: int, task: int, tests: Sequence[str], image: str) -> None:
    """The task: run a group on the worker that this is called on."""
    from distributed import get_worker

    runners[get_worker().address, topic].run(slot, task, tests, image)


def as_data(job: Job) -> dict[str, Any]:
    """A job as plain data, for a worker whose fltlab is not known yet."""
    return {one.name: getattr(job, one.name) for one in dataclasses.fields(job)}


def _scratch() -> tuple[Path, FileLock]:
    """A directory of this run on this worker, under a lock."""
    folder = private_directory(cluster_files.runs())
    key = secrets.token_hex(8)
    lock = FileLock(lock_file(folder, key), thread_local=False)
    lock.acquire()
    path = folder / f"{cluster_files.RUN}{key}"
    path.mkdir(mode=0o700)
    return path, lock


def _copied(tree: Path, target: Path) -> Path:
    """A copy of a tree, or of a file, that may be written to."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if tree.is_file():
            return Path(shutil.copyfile(tree, target))
        shutil.copytree(tree, target, symlinks=True, copy_function=shutil.copyfile)
        for path in tree.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o100:
                (target / path.relative_to(tree)).chmod(0o755)
    except OSError as error:
        details, remedy = why_not_written(error, target.parent)
        raise HostError("the files of the run cannot be kept here", details=details, hint=remedy) from error
    return target


def _images_here() -> list[str]:
    from harness.image.store import ImageStore

    return sorted({image.name for image in ImageStore().images()})


def _why(error: Exception, scratch: Path) -> str:
    if isinstance(error, OSError):
        details, remedy = why_not_written(error, scratch)
        return f"{'; '.join(details)}: {remedy}"
    return str(error)
