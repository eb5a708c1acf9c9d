"""Workers that do not see the coordinator's files: trees come from the store, results and what tests leave go back."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cluster.connection import QUIET
from harness.cluster.entrance import Entrance
from harness.cluster.job import Job, code_hash, own_version
from harness.cluster.runner import Runner, as_data, runners
from harness.errors import ExitCode
from harness.machine.deadlines import Deadline
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
    import os, time
    from pathlib import Path
    import pytest

    pytestmark = pytest.mark.rule("REG-01")
    SHARED = Path("{shared}")

    @pytest.mark.parametrize("number", range(2))
    def test_fails_where_it_stands(number):
        (Path(__file__).parent / "beside").write_text("as at home")
        assert number == 0, __file__

    def test_loses_its_worker():
        with (SHARED / "pids").open("a") as file:
            print(os.getpid(), file=file)
        while len((SHARED / "pids").read_text().split()) < 2:
            time.sleep(0.1)  # until the worker is lost, and another comes here

    def test_after():
        assert Path(__file__).parent.name
"""


FULL = """
    import os, time
    from pathlib import Path
    import pytest

    pytestmark = pytest.mark.rule("REG-01")
    SHARED, HOME = Path("{shared}"), Path(os.environ["FLTLAB_HOME"])

    def test_is_left_without_room():
        if HOME.name != "small":
            for _ in range(3000):  # so that the other worker gets a test
                if (SHARED / "full").exists():
                    return
                time.sleep(0.1)
        assert HOME.name == "small", "the other worker has got no test"
        with pytest.raises(OSError), (HOME / "filled").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with (SHARED / "full").open("a") as file:
            file.write("x")
        assert False, "so that there is something to be kept"
"""


@pytest.fixture
def workers() -> int:
    return 2


@pytest.fixture
def cluster(workers: int) -> Iterator[Any]:
    """A scheduler on loopback, and workers that have only it in common with the coordinator."""
    import dask.config
    from distributed import LocalCluster

    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=False,
        ) as found,
    ):
        yield found


@contextlib.contextmanager
def another_worker(cluster: Any, tmp_path: Path, name: str, code: Path, *wrapper: str) -> Iterator[None]:
    """A worker as a process with a home of its own, and with the fltlab that is installed at `code`."""
    count = len(cluster.scheduler.workers)
    words = ("--no-nanny", "--nthreads=1", "--no-dashboard", f"--local-directory={tmp_path}/dask", f"--name={name}")
    with (tmp_path / f"{name}.log").open("w+") as log:
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "dask", "worker", cluster.scheduler_address, *words],
            cwd=tmp_path,
            env={**os.environ, "FLTLAB_HOME": str(tmp_path / name), "PYTHONPATH": str(code)},
            stderr=log,
        )
        try:
            Deadline(120, f"the worker {name}").poll(
                lambda: (len(cluster.scheduler.workers) > count or None, (tmp_path / f"{name}.log").read_text()[-500:])
            )
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def old_worker(cluster: Any, tmp_path: Path) -> Iterator[None]:
    """A worker with an fltlab that is installed, is older, and knows nothing of clusters."""
    site = tmp_path / "site"
    (site / "harness").mkdir(parents=True)
    (site / "harness" / "__init__.py").touch()
    (site / "fltlab-0.0.1.dist-info").mkdir()
    (site / "fltlab-0.0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fltlab\nVersion: 0.0.1\n")
    with another_worker(cluster, tmp_path, "old", site):
        yield


@pytest.mark.usefixtures("old_worker")
def test_a_worker_that_is_lost_in_the_middle_costs_nothing_and_one_of_another_version_gets_nothing(
    pytester: pytest.Pytester, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    shared, tree = tmp_path / "shared", pytester.mkdir("tree")
    shared.mkdir()
    text = textwrap.dedent(SUITE).replace("{shared}", str(shared))
    (tree / "test_one.py").write_text(text)
    (tree / "pytest.ini").write_text("[pytest]\n")
    (tree / "signing.key").write_text("nobody else's")

    def lose() -> None:
        pids = shared / "pids"
        Deadline(120, "the test").poll(
            lambda: ((pids.exists() and pids.read_text().split()) or None, "it has not begun")
        )
        address = next(
            address
            for (address, _), runner in runners.items()
            if any(str(process.pid) in pids.read_text().split() for process in runner.processes.values())
        )
        worker = next(worker for worker in cluster.workers.values() if worker.address == address)
        cluster.loop.add_callback(worker.close, timeout=0, executor_wait=False, nanny=False)

    killer = threading.Thread(target=lose)
    killer.start()
    where = (f"--cluster={cluster.scheduler_address}", f"--store={tmp_path}/store", "--guest=reference-local")
    ended = pytester.runpytest_inprocess("-pno:cacheprovider", "-pno:hypothesispytest", "--out=run", *where, str(tree))
    killer.join()

    assert ended.ret == ExitCode.FAILED, ended.stdout.str()
    records = read_journal(pytester.path / "run")
    assert Counter(record.outcome for record in records) == {Outcome.PASSED: 3, Outcome.FAILED: 1}
    assert len(set((shared / "pids").read_text().split())) == 2
    for record in records:
        if record.outcome is Outcome.FAILED:
            assert str(tree) in record.message
            assert str(tmp_path / "home") not in record.details
            assert (pytester.path / "run" / str(record.folder) / "trace.jsonl").exists()
            assert "\ntree/test_one.py:12: AssertionError" in record.details
    assert not (tree / "beside").exists()
    assert not any(b"nobody else's" in path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    ended.stdout.fnmatch_lines(
        ["*signing.key looks secret*", "*the cluster has lost the worker; it is tried once more"]
    )
    refused = (
        f"fltlab: a worker gets nothing to do: old (*): it has fltlab 0.0.1, and this run is of fltlab {own_version()}"
    )
    ended.stdout.fnmatch_lines([refused])
    assert not (tmp_path / "old").exists()
    assert list((tmp_path / "home" / "cluster-runs").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """What runs a command with a disk of 4 MiB at `small`, which nobody else sees."""
    (tmp_path / "small").mkdir()
    wrapper = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"']
    wrapper.append(str(tmp_path / "small"))
    tried = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine mounts no file system for us: {tried.stderr.strip()}")
    return wrapper


@pytest.mark.parametrize("workers", [1])
def test_a_worker_whose_disk_is_full_says_so_once_and_its_group_is_for_others(
    pytester: pytest.Pytester,
    cluster: Any,
    small_disk: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    text = textwrap.dedent(FULL).replace("{shared}", str(tmp_path))
    tree = pytester.mkdir("tree")
    for number in range(3):
        (tree / f"test_{number}.py").write_text(text)
    (tree / "pytest.ini").write_text("[pytest]\n")
    with another_worker(cluster, tmp_path, "small", ROOT, *small_disk):
        where = (f"--cluster={cluster.scheduler_address}", f"--store={tmp_path}/store", "--guest=reference-local")
        ended = pytester.runpytest_inprocess(
            "-pno:cacheprovider", "-pno:hypothesispytest", "--out=run", *where, str(tree)
        )

    assert ended.ret == ExitCode.PASSED, ended.stdout.str()
    assert [record.outcome for record in read_journal(pytester.path / "run")] == [Outcome.PASSED] * 3
    assert (tmp_path / "full").read_text() == "x"
    said = [line for line in ended.stdout.str().splitlines() if "its group is for other machines" in line]
    assert len(said) == 1
    assert "the files of the run cannot be written" in said[0]


class FakeWorker:
    """A Dask worker, as far as the entrance looks at it."""

    address = "tcp://192.0.2.1:1"
    name = "w1"

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.state = SimpleNamespace(nthreads=1)
        self.memory_manager = SimpleNamespace(memory_limit=0)

    def log_event(self, topic: str, message: Any) -> None:
        self.said.append((topic, message))


@pytest.mark.parametrize(
    ("version", "code", "why"),
    [
        ("0.0.1", "", f"it has fltlab {own_version()}, and this run is of fltlab 0.0.1"),
        (own_version(), "0" * 64, f"its fltlab {own_version()} is not this one: files of it were changed"),
    ],
    ids=["version", "files"],
)
def test_a_worker_of_another_fltlab_is_refused(version: str, code: str, why: str):
    worker = FakeWorker()

    Entrance("topic", version, code, {}).setup(worker)

    [(topic, said)] = worker.said
    assert (topic, said["kind"], said["name"]) == ("topic", "refused", "w1")
    assert said["why"].startswith(why)


def test_a_worker_with_the_same_files_is_let_in_whatever_its_version_is_called():
    assert Entrance("topic", "0.0.1", code_hash(), {})._why_not() == ""


def test_a_worker_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "file"))
    worker = FakeWorker()

    Entrance("topic", own_version(), "", as_data(Job("run", "1", "", {}, "/", "/out"))).setup(worker)

    [(_, said)] = worker.said
    assert said["kind"] == "refused"
    assert str(tmp_path / "file") in said["why"]


def test_a_run_that_is_over_waits_for_no_worker_that_still_fetches_and_that_one_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path))
    begun, over = threading.Event(), threading.Event()

    def receive(_: Runner) -> None:
        begun.set()
        assert over.wait(120)

    monkeypatch.setattr(Runner, "_receive", receive)
    worker = FakeWorker()
    runner = Runner(as_data(Job("run", "1", "", {}, "/", "/out")), worker)
    runner.start()
    assert begun.wait(120)

    runner.end()
    assert len(list((tmp_path / "cluster-runs").iterdir())) == 2  # the directory and its lock
    over.set()

    Deadline(120, "the worker to clean up").poll(
        lambda: (not list((tmp_path / "cluster-runs").iterdir()) or None, "it has not")
    )
    assert runner.processes == {}
    assert [said["kind"] for _, said in worker.said] == ["coming"]
