"""Whatever is killed on a cluster of real processes, and however often: nothing is lost, and nothing comes twice.

The long mode (FLTLAB_FUZZ_FACTOR=100 kills a hundred times); every run of the tests has the same with a worker and
processes that die once (test_run.py, test_remote.py).
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.errors import ExitCode
from harness.machine.deadlines import Deadline
from harness.report.journal import FILE_NAME, read_journal
from harness.report.records import Outcome
from tests.fuzz.conftest import FACTOR, tell, times  # noqa: F401 - fixtures of the long mode

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
    import os, time
    from pathlib import Path
    import pytest

    pytestmark = pytest.mark.rule("REG-01")
    SHARED = Path("{shared}")

    @pytest.mark.parametrize("number", range({count}))
    def test_many(number):
        (SHARED / f"began-{os.getpid()}").touch()
        time.sleep(0.3)
        while (SHARED / "hold").exists():
            time.sleep(0.05)
"""
FILES, COUNT = 3, 8
DEADLINE = 600

long_mode = pytest.mark.skipif(float(os.environ.get(FACTOR, "1")) <= 1, reason=f"the long mode: {FACTOR}=100")


class Processes:
    """A scheduler, its workers, and runs on them, as processes of their own."""

    def __init__(self, path: Path, host: str = "127.0.0.1") -> None:
        self.path = path
        self._scope = contextlib.ExitStack()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        file = path / "scheduler.json"
        self.start("scheduler", "scheduler", "--host", host, "--port=0", f"--scheduler-file={file}", "--no-dashboard")
        self.address = Deadline(DEADLINE, "the scheduler").poll(lambda: (_address(file), "it has written no file"))
        self.tree = path / "tree"
        (self.tree / "suites" / "many").mkdir(parents=True)
        (self.tree / "pytest.ini").write_text("[pytest]\n")
        self.shared = path / "shared"
        self.shared.mkdir()
        text = textwrap.dedent(SUITE).replace("{count}", str(COUNT)).replace("{shared}", str(self.shared))
        for number in range(FILES):
            (self.tree / "suites" / "many" / f"test_{number}.py").write_text(text)

    def start(self, name: str, *words: str, wrapper: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a part of the cluster; what it says is in a file of its name."""
        with (self.path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "dask", *words],
                cwd=self.path,
                env={**os.environ, "PYTHONPATH": str(ROOT), "FLTLAB_HOME": str(self.path / f"home-{name}")}
                | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._scope.callback(self.end, process)
        return process

    def worker(self, name: str, wrapper: tuple[str, ...] = ()) -> None:
        words = ("--nthreads", "1", "--name", name, "--local-directory", str(self.path / f"dask-{name}"))
        self.workers[name] = self.start(name, "worker", self.address, *words, "--no-dashboard", wrapper=wrapper)

    def run(self) -> subprocess.Popen[str]:
        """Start a run on the cluster; what an earlier one has left goes."""
        shutil.rmtree(self.path / "run", ignore_errors=True)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "harness.cli", "run", "--cluster", self.address, "--cluster-insecure"),
                *("--store", str(self.path / "store"), "--out", str(self.path / "run"), "-p", "no:cacheprovider"),
            ],
            cwd=self.tree,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def below(self, *names: str) -> list[int]:
        """The processes of workers: nannies, workers, and those in which tests run."""
        homes = [f"FLTLAB_HOME={self.path / f'home-{name}'}\0".encode() for name in names or self.workers]
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if any(home in environment.read_bytes() for home in homes):
                    found.append(int(environment.parent.name))
        return found

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        self._scope.close()
        for pid in self.below(*self.workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def assert_whole(self, code: int, output: str) -> int:
        """Every test has one result; how many of them are errors: a test whose worker was killed twice."""
        assert (self.path / "run" / "junit.xml").exists(), output
        lines = (self.path / "run" / FILE_NAME).read_text().splitlines()
        records = read_journal(self.path / "run")
        expected = {f"suites/many/test_{file}.py::test_many[{n}]" for file in range(FILES) for n in range(COUNT)}
        assert len(lines) == FILES * COUNT, output
        assert {record.nodeid for record in records} == expected, output
        wrong = [record for record in records if record.outcome is not Outcome.PASSED]
        assert all(record.message == "its worker died of it 2 times" for record in wrong), output
        assert code == (ExitCode.HOST if wrong else ExitCode.PASSED), output
        cases = Counter(
            case.get("classname", "") for case in ET.parse(self.path / "run" / "junit.xml").iter("testcase")
        )
        assert sorted(cases.values()) == [COUNT] * FILES, output
        return len(wrong)


def _address(file: Path) -> str | None:
    """What a scheduler has written of itself, if it is done with that."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return str(json.loads(file.read_text())["address"])
    return None


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    found.close()


@long_mode
def test_whatever_is_killed_on_the_workers_nothing_is_lost_and_nothing_comes_twice(
    processes: Processes,
    times: Callable[[int], range],  # noqa: F811 - a fixture
    tell: dict[str, object],  # noqa: F811 - a fixture
):
    wanted, chosen = len(times(1)), random.Random(1)
    kills = runs = errors = 0
    for name in ("one", "two"):
        processes.worker(name)
    while kills < wanted:
        run = processes.run()
        deadline = Deadline(DEADLINE, "the run to end")
        while run.poll() is None:
            assert not deadline.expired
            time.sleep(chosen.uniform(0.2, 2.0))
            found = processes.below()
            if run.poll() is None and found and (processes.path / "run" / FILE_NAME).exists() and kills < wanted:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chosen.choice(found), signal.SIGKILL)
                    kills += 1
            for name, process in processes.workers.items():
                if process.poll() is not None:  # its nanny was killed
                    processes.worker(name)
        runs += 1
        errors += processes.assert_whole(run.returncode, run.communicate()[0])
        tell |= {"kills": kills, "runs": runs, "tests": runs * FILES * COUNT, "tests that it cost": errors}


@long_mode
def test_one_worker_that_is_killed_in_a_run_costs_no_test(
    processes: Processes,
    times: Callable[[int], range],  # noqa: F811 - a fixture
    tell: dict[str, object],  # noqa: F811 - a fixture
):
    """A whole machine, in each of so many runs; it comes back, as a unit of systemd would have it."""
    chosen, repeated = random.Random(1), 0
    for name in ("one", "two"):
        processes.worker(name)
    for number in times(1):
        run = processes.run()
        wanted, killed = chosen.randrange(1, FILES * COUNT), ""
        deadline = Deadline(DEADLINE, "the run to end")
        while run.poll() is None:
            assert not deadline.expired
            time.sleep(0.02)
            journal = processes.path / "run" / FILE_NAME
            if not killed and journal.exists() and len(journal.read_bytes().splitlines()) >= wanted:
                killed = chosen.choice(sorted(processes.workers))
                for pid in processes.below(killed):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                processes.workers[killed].wait()
                processes.worker(killed)
        output = run.communicate()[0]
        assert killed, output
        assert processes.assert_whole(run.returncode, output) == 0
        repeated += output.count("it is tried once more")
        tell |= {"runs, one worker killed in each": number + 1, "tests that ran again": repeated}


@pytest.fixture
def other_machine() -> Iterator[tuple[str, str, str]]:
    """A network namespace with a link to this one: its name, our address, and the name of our end of the link."""
    name, link = f"fltlab{os.getpid()}", f"flt{os.getpid() % 100000}"
    commands = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", name],
        ["ip", "addr", "add", "192.0.2.17/30", "dev", link],
        ["ip", "link", "set", link, "up"],
        ["ip", "-n", name, "addr", "add", "192.0.2.18/30", "dev", "uplink"],
        ["ip", "-n", name, "link", "set", "uplink", "up"],
        ["ip", "-n", name, "link", "set", "lo", "up"],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            pytest.skip(f"this machine makes no network namespaces: {done.stderr.strip()}")
    yield name, "192.0.2.17", link
    subprocess.run(["ip", "netns", "del", name], check=True)


@long_mode
def test_a_link_that_is_cut_and_comes_back_costs_what_ran_behind_it(
    tmp_path: Path, other_machine: tuple[str, str, str]
):
    name, host, link = other_machine
    processes = Processes(tmp_path, host)
    try:
        processes.worker("here")
        processes.worker("there", ("ip", "netns", "exec", name))
        hold, log = processes.shared / "hold", tmp_path / "scheduler.log"
        hold.touch()
        run = processes.run()
        Deadline(DEADLINE, "a test on each worker").poll(
            lambda: (len(list(processes.shared.glob("began-*"))) == 2 or None, f"the run: {run.poll()}")
        )
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        Deadline(DEADLINE, "the scheduler to notice").poll(
            lambda: ("Remove worker" in log.read_text() or None, log.read_text()[-300:])
        )
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        # A worker that has lost its scheduler ends; what watches over it starts another.
        Deadline(DEADLINE, "the worker to end").poll(lambda: (processes.workers["there"].poll(), "it lives"))
        processes.worker("there", ("ip", "netns", "exec", name))
        Deadline(DEADLINE, "the worker to come back").poll(
            lambda: (log.read_text().count("Register worker") > 2 or None, log.read_text()[-300:])
        )
        hold.unlink()
        output, _ = run.communicate(timeout=DEADLINE)

        assert processes.assert_whole(run.returncode, output) == 0
        assert "the cluster has lost the worker; it is tried once more" in output
    finally:
        processes.close()
