"""`fltlab test` runs once more what may have failed by the load of the machine, says so, and hides nothing."""

import os
import shutil
from pathlib import Path

import pytest

from harness.cli import test as command
from harness.cli.main import main
from harness.errors import ExitCode
from tests import told

TEST = """
    from pathlib import Path

    RUNS = Path(__file__).with_suffix(".runs")

    def test_it():
        number = len(RUNS.read_text()) if RUNS.exists() else 0
        RUNS.write_text("x" * (number + 1))
        assert number >= {failures}, f"the guest did not answer in run {{number}}"
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of which only the way to tell of failures is fltlab's."""
    (tmp_path / "tests").mkdir()
    shutil.copy(Path(told.__file__), tmp_path / "tests")
    (tmp_path / "tests" / "conftest.py").write_text(
        "from tests.told import tell\n\ndef pytest_terminal_summary(terminalreporter):\n    tell(terminalreporter)\n"
    )
    quick = "-p no:cacheprovider -p no:harness.plugin -p no:hypothesispytest"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = .\naddopts = {quick}\n")
    monkeypatch.setattr(command, "checkout", lambda: tmp_path)
    monkeypatch.setattr(command, "_checkers", lambda _: {})
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    return tmp_path


def put(tree: Path, folder: str, failures: int) -> Path:
    """Write a test that fails so many times; the file in which it counts its runs."""
    file = tree / "tests" / folder / f"test_{folder}.py"
    file.parent.mkdir()
    file.write_text("\n".join(line.removeprefix("    ") for line in TEST.format(failures=failures).splitlines()))
    return file.with_suffix(".runs")


@pytest.mark.parametrize(
    ("failures", "code", "said"),
    [(1, ExitCode.PASSED, "flaky: passed by itself"), (9, ExitCode.FAILED, "failed, and failed again by itself")],
)
def test_one_that_drives_processes_is_run_once_more_and_told(
    tree: Path, capfd: pytest.CaptureFixture[str], failures: int, code: ExitCode, said: str
):
    runs = put(tree, "guest", failures)

    assert main(["test"]) == code

    assert runs.read_text() == "xx"
    shown = capfd.readouterr().err
    assert f"{said}: tests/guest/test_guest.py::test_it\n    test_guest.py:9\n" in shown
    assert "AssertionError: the guest did not answer in run 0" in shown


def test_beside_one_that_drives_none_nothing_is_run_again(tree: Path, capfd: pytest.CaptureFixture[str]):
    runs = [put(tree, "guest", 1), put(tree, "wire", 1)]

    assert main(["test"]) == ExitCode.FAILED

    assert [file.read_text() for file in runs] == ["x", "x"]
    tail = capfd.readouterr().out.partition("what failed")[2]
    assert "tests/wire/test_wire.py::test_it\n    test_wire.py:9\n" in tail


def test_many_failures_are_no_chance():
    assert command.may_be_flaky(dict.fromkeys(["tests/guest/a.py::b"], ""))
    assert not command.may_be_flaky(dict.fromkeys([f"tests/guest/a.py::b{n}" for n in range(4)], ""))
    assert not command.may_be_flaky({})
