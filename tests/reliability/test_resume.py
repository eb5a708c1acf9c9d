"""A run that is killed in the middle is finished later: every result once, none lost, none invented."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.errors import ExitCode
from harness.report.journal import FILE_NAME, Journal, read_journal
from harness.report.records import Outcome, TestRecord
from harness.report.resume import find_run, read_unfinished
from tests.limits import HANG, until

SUITE = """
    import os, time
    from pathlib import Path
    import pytest
    from harness.plugin.facts import FACTS

    pytestmark = pytest.mark.rule("REG-01")
    HERE = Path(__file__).parent

    @pytest.fixture(scope="session", autouse=True)
    def ended():
        yield
        (HERE / f"ended-{os.getpid()}").touch()

    @pytest.fixture(autouse=True)
    def driver(request):
        built = "b" if (HERE / "reached").exists() else "a"
        request.node.stash[FACTS].drivers = {"mine": built * 64, "same": "c" * 64}

    @pytest.mark.parametrize("number", range(8))
    def test_many(number):
        with (HERE / "ran").open("a") as file:
            print(number, file=file, flush=True)
        if number == 5 and not (HERE / "reached").exists():
            (HERE / "reached").touch()
            time.sleep(600)
        assert number != 2, "the third one fails"
"""


class Tree:
    """A small tree of suites, and the command run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = root / "runs" / "one"
        (root / "suites" / "some").mkdir(parents=True)
        text = "\n".join(line.removeprefix("    ") for line in SUITE.splitlines())
        (root / "suites" / "some" / "test_some.py").write_text(text)
        (root / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")

    def start(self, *words: str, where: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "harness.cli", "run", *words],
            cwd=where or self.root,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, *words: str, where: Path | None = None) -> tuple[int, str]:
        process = self.start(*words, where=where)
        output, _ = process.communicate(timeout=HANG)
        return process.returncode, output

    def interrupt(self, how: signal.Signals, *words: str) -> tuple[int, str]:
        """Start the run, wait until it is in the middle of a test, and send it a signal."""
        process = self.start("some", "--out=runs/one", *words)
        file = self.root / "suites" / "some" / "reached"
        try:
            until(lambda: process.poll() is not None or (file.exists() and len(self.journal()) >= 5), "the sixth test")
            assert process.poll() is None, process.communicate()[0]
            os.kill(process.pid, how)
            output, _ = process.communicate(timeout=HANG)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, output

    def journal(self) -> list[TestRecord]:
        return read_journal(self.run) if (self.run / FILE_NAME).exists() else []

    @property
    def ran(self) -> Counter[str]:
        file = self.root / "suites" / "some" / "ran"
        return Counter(file.read_text().split()) if file.exists() else Counter()

    @property
    def ended_in_order(self) -> bool:
        return any((self.root / "suites" / "some").glob("ended-*"))

    def cases(self) -> Counter[str]:
        """The test cases of junit.xml."""
        found = ET.parse(self.run / "junit.xml").iter("testcase")
        return Counter(str(case.get("name")) for case in found)


ALL = Counter(f"test_many[{number}]" for number in range(8))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda how: how.name
)
def test_a_run_that_was_ended_in_the_middle_of_a_test_is_finished(tree: Tree, how: signal.Signals):
    code, output = tree.interrupt(how)

    assert [record.name for record in tree.journal()] == [f"test_many[{n}]" for n in range(5)]
    if how is signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == ExitCode.INTERRUPTED
        assert f"interrupted after 5 tests; to finish: fltlab run --resume {tree.run}" in output
        assert tree.ended_in_order

    code, output = tree.end("--resume", "last")

    assert (code, tree.cases()) == (ExitCode.FAILED, ALL), output
    assert tree.ran == Counter({str(n): 2 if n == 5 else 1 for n in range(8)})
    summary = json.loads((tree.run / "run.json").read_text())
    assert (summary["summary"]["passed"], summary["summary"]["failed"], len(summary["resumed"])) == (7, 1, 1)
    assert "5 results stand" in output
    assert "not the drivers that earlier results of this run are about: mine" in output


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_run_on_two_workers_is_finished_too(tree: Tree, how: signal.Signals):
    tree.interrupt(how, "-n", "2")
    before = {record.nodeid for record in tree.journal()}
    assert 5 <= len(before) < 8

    code, output = tree.end("--resume", "runs/one")

    assert (code, tree.cases()) == (ExitCode.FAILED, ALL), output
    assert {record.nodeid for record in tree.journal()} > before


def test_a_journal_line_cut_short_costs_one_test(tree: Tree):
    tree.interrupt(signal.SIGKILL)
    path = tree.run / FILE_NAME
    os.truncate(path, path.stat().st_size - 30)

    code, output = tree.end("--resume", "one")

    assert (code, tree.cases()) == (ExitCode.FAILED, ALL), output
    assert tree.ran["4"] == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_run_that_is_complete_has_nothing_left_to_do(tree: Tree):
    (tree.root / "suites" / "some" / "reached").touch()
    assert tree.end("some", "--out=runs/one", "-k", "many and not 2")[0] == ExitCode.PASSED

    code, output = tree.end("--resume", "last")

    assert (code, tree.cases()) == (ExitCode.PASSED, ALL - Counter(["test_many[2]"])), output
    assert max(tree.ran.values()) == 1


def test_a_run_may_be_resumed_from_elsewhere(tree: Tree, tmp_path: Path):
    tree.interrupt(signal.SIGKILL)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    assert tree.end("--resume", str(tree.run), where=elsewhere)[0] == ExitCode.FAILED
    assert tree.cases() == ALL


def test_what_is_run_cannot_be_changed_by_resuming(tree: Tree):
    tree.interrupt(signal.SIGKILL)

    code, output = tree.end("--resume", "last", "--seed", "7")

    assert code == ExitCode.USAGE
    assert "--resume does not go with --seed=7" in output


def test_a_run_that_is_still_going_on_is_left_alone(tree: Tree):
    tree.interrupt(signal.SIGKILL)
    with Journal(tree.run):
        code, output = tree.end("--resume", "last")

    assert code != ExitCode.PASSED
    assert "is still going on" in output


def test_a_test_without_a_verdict_is_run_again(tmp_path: Path, tree: Tree):
    tree.interrupt(signal.SIGKILL)
    with Journal(tree.run) as journal:
        journal.append(TestRecord("x.py::test_lost", Outcome.ERROR, 0.0, "some", "test_lost"))

    assert "x.py::test_lost" not in read_unfinished(tree.run).finished


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere", "there is no run 'nowhere'"), ("last", "there is no run below")]
)
def test_a_run_that_is_not_there_is_wrong_use(tree: Tree, name: str, said: str):
    code, output = tree.end("--resume", name)

    assert code == ExitCode.USAGE
    assert said in output


def test_a_directory_without_a_result_has_nothing_to_resume(tree: Tree, tmp_path: Path):
    (tmp_path / "runs" / "empty").mkdir(parents=True)

    code, output = tree.end("--resume", "empty")

    assert code == ExitCode.USAGE
    assert "holds nothing to resume" in output
    assert find_run("empty", tmp_path) == tmp_path / "runs" / "empty"
