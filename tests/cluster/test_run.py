"""A run on a cluster comes to what a run on one machine comes to, whatever dies on the way."""

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.host.directories import home
from harness.report.journal import read_journal
from harness.report.provenance import read_run_json
from harness.report.records import Outcome, TestRecord

TREE = {
    "test_one.py": """
        import os, signal
        from pathlib import Path
        import pytest

        pytestmark = pytest.mark.rule("REG-01")
        HERE = Path(__file__).parent

        def dies(name, times):
            '''Kill the process of the tests so often; only where the tests are asked to.'''
            died = HERE / f"{name}-died"
            if (HERE / "deadly").exists() and (not died.exists() or len(died.read_text()) < times):
                with died.open("a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL)

        def ran(name):
            with (HERE / "ran").open("a") as file:
                print(name, file=file)

        @pytest.mark.parametrize("number", range(3))
        def test_many(number):
            ran(f"many-{number}")
            print("said", number)
            assert number != 1, "the second one fails"

        def test_dies_once(record_property):
            record_property("some", "thing")
            dies("once", 1)
            ran("once")

        @pytest.mark.skip(reason="not today")
        def test_skipped():
            pass

        def test_dies_always():
            dies("always", 99)
    """,
    "test_two.py": """
        import pytest
        from harness.errors import DriverError, GuestError

        pytestmark = pytest.mark.rule("REG-01")

        @pytest.fixture
        def broken():
            raise GuestError("it does not answer", hint="look at it")

        def test_setup_fails(broken):
            pass

        def test_driver_is_to_blame():
            raise DriverError("bug check 0xD1", details=("by my.sys",), rules=("REG-01",))

        @pytest.mark.stack("passthrough")
        def test_on_a_guest(lab):
            lab.io(r"open f V:\\\\a.txt access=rw disposition=create")
    """,
}


MATRIX = ("--filesystem=ntfs", "--filesystem=fat32")

HOME = home()
"""pytester has a home of its own for each test, where drivers would have to be signed, and so built, anew."""


class Tree:
    """A small tree of suites, and pytest in it, in this process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.path = pytester.path
        self._pytester = pytester
        pytester.makepyfile(**{name.removesuffix(".py"): text for name, text in TREE.items()})

    def run(self, out: str, *words: str) -> pytest.RunResult:
        always = (
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
            "-W",
            "ignore",
            "--guest=reference-local",
            f"--out={out}",
            *MATRIX,
        )
        return self._pytester.runpytest_inprocess(*always, *words)

    def records(self, out: str) -> dict[str, TestRecord]:
        """The results of a run as they are reported, without what differs between two runs on one machine: times."""
        order = [str(case.get("name")) for case in ET.parse(self.path / out / "junit.xml").iter("testcase")]
        records = {record.name: replace(record, seconds=0.0) for record in read_journal(self.path / out)}
        return {name: records[name] for name in order}

    def guests(self, out: str) -> list[str]:
        """The guests of a run, as its page and `compare` have them."""
        return list(read_run_json(self.path / out).guests)

    @property
    def ran(self) -> Counter[str]:
        return Counter((self.path / "ran").read_text().split())


@pytest.fixture
def tree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("FLTLAB_HOME", str(HOME))
    return Tree(pytester)


def test_a_run_is_the_same_as_on_one_machine_though_its_workers_die(tree: Tree, capsys: pytest.CaptureFixture[str]):
    alone = tree.run("alone")
    (tree.path / "ran").unlink()
    (tree.path / "deadly").touch()
    shared = tree.run("shared", "--cluster=local", "--workers=2")

    assert alone.ret == shared.ret == ExitCode.FAILED, shared.stdout.str()
    usual, records = tree.records("alone"), tree.records("shared")
    killed = records["test_dies_always"]
    assert (killed.outcome, killed.message) == (Outcome.ERROR, "its worker died of it 2 times")
    assert "killed by SIGKILL" in killed.details
    assert (tree.path / "always-died").read_text() == "xx"
    assert list(records.items()) == [*({**usual, "test_dies_always": killed}).items()]
    assert tree.ran == Counter({"many-0": 1, "many-1": 1, "many-2": 1, "once": 1})
    assert tree.guests("alone") == tree.guests("shared") == ["reference-local+ntfs", "reference-local+fat32"]
    assert main(["compare", "shared"]) == ExitCode.PASSED
    assert "1 tests on both, 0 disagreements" in capsys.readouterr().out
    shared.stdout.fnmatch_lines(["*test_dies_once: its process on * ended (killed by SIGKILL*); it is tried once more"])
