"""`--out DIR`: an earlier run there is replaced, and nothing else is ever touched."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # noqa: F401 (before pytester takes a picture of sys.modules: its C part bears no second import)

from harness.errors import ConfigurationError, ExitCode
from harness.report.run_directory import MARKER, RunDirectory
from tests.limits import HANG, until

REFUSED = {ExitCode.USAGE, pytest.ExitCode.USAGE_ERROR}
SUITE = """
    import pytest
    from pathlib import Path
    pytestmark = pytest.mark.rule("REG-01")

    def test_it():
        {does}
"""


def run(pytester: pytest.Pytester, *words: str, does: str = "pass") -> pytest.RunResult:
    pytester.makepyfile(test_suite=SUITE.format(does=does))
    execute = pytester.runpytest_subprocess if words else pytester.runpytest_inprocess
    return execute("--out=run", "-W", "ignore", "-p", "no:cacheprovider", *words)


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_earlier_run_is_replaced(pytester: pytest.Pytester):
    assert run(pytester, does="assert False").ret == ExitCode.FAILED
    (pytester.path / "run" / "tests" / "left").mkdir(parents=True)

    assert run(pytester).ret == ExitCode.PASSED

    assert {path.name for path in (pytester.path / "run").iterdir()} == {
        MARKER,
        "run.json",
        "results.jsonl",
        "junit.xml",
        "report.html",
    }


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.txt": "years of work"},
        {"run.json": "{}"},
        {"run.json": '{"version": 3, "of": "somebody else"}', "results.jsonl": ""},
        {"tests/mine.py": "x"},
        {"run.json": "[" * 100_000},
    ],
    ids=lambda files: "-".join(files),
)
def test_a_directory_of_somebody_else_is_refused_and_left_as_it_is(pytester: pytest.Pytester, files: dict[str, str]):
    directory = pytester.path / "run"
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    before = tree(directory)

    result = run(pytester)

    assert result.ret in REFUSED
    result.stderr.fnmatch_lines(["*--out * holds *"])
    assert tree(directory) == before


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "a worker"])
def test_a_file_that_somebody_put_beside_a_run_is_not_removed(pytester: pytest.Pytester, workers: list[str]):
    run(pytester)
    (pytester.path / "run" / "notes.txt").write_text("mine")
    before = tree(pytester.path / "run")

    result = run(pytester, *workers)

    assert result.ret in REFUSED
    result.stderr.fnmatch_lines(["*among them notes.txt; nothing was touched*"])
    assert tree(pytester.path / "run") == before


def test_a_link_in_a_run_is_removed_and_not_followed(pytester: pytest.Pytester):
    run(pytester)
    precious = pytester.path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    (pytester.path / "run" / "tests").symlink_to(precious)
    (pytester.path / "run" / "report.html").unlink()
    (pytester.path / "run" / "report.html").symlink_to(precious / "file")

    assert run(pytester).ret == ExitCode.PASSED

    assert (precious / "file").read_text() == "mine"
    assert not (pytester.path / "run" / "report.html").is_symlink()


def test_a_run_of_an_earlier_fltlab_is_replaced(pytester: pytest.Pytester):
    run(pytester, does="assert False")
    (pytester.path / "run" / MARKER).unlink()

    assert run(pytester).ret == ExitCode.PASSED


def test_two_runs_do_not_write_into_one_directory(pytester: pytest.Pytester):
    run(pytester, does="pass")
    pytester.makepyfile(
        test_slow=SUITE.format(does='Path("reached").touch(); import time; time.sleep(600)'),
        test_two=SUITE.format(does="pass"),
    )
    words = [sys.executable, "-m", "pytest", "--out=run", "-W", "ignore", "-p", "no:cacheprovider"]
    first = subprocess.Popen([*words, "test_two.py", "test_slow.py"], cwd=pytester.path, stdout=subprocess.DEVNULL)
    try:
        reached = pytester.path / "reached"
        until(reached.exists, "the first run", 0.05)

        second = run(pytester)

        assert second.ret == ExitCode.USAGE
        assert "another run is writing into" in second.stdout.str() + second.stderr.str()
    finally:
        first.send_signal(signal.SIGTERM)
        first.wait(HANG)
    assert (pytester.path / "run" / "results.jsonl").read_text().count("\n") == 1


def test_a_marker_that_is_no_file_does_no_harm(tmp_path: Path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / MARKER).symlink_to(tmp_path / "target")

    with pytest.raises((OSError, ConfigurationError)):
        RunDirectory.take(tmp_path / "run", keep=False)

    assert (tmp_path / "target").read_text() == "mine"
