"""What is no verdict on a driver is an error: in every report, in the tables, and in the exit code."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml  # noqa: F401 (before pytester takes a picture of sys.modules: its C part bears no second import)

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import Outcome
from tests.limits import HANG

RUN = [sys.executable, "-m", "harness.cli", "run", "--out=run", "-p", "no:cacheprovider", "-W", "ignore"]
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

FIXTURES = """
    import os
    import pytest

    @pytest.fixture
    def broken():
        raise ValueError("my fixture is wrong")

    @pytest.fixture(scope="module")
    def breaks_at_its_end():
        yield
        raise ValueError("my teardown is wrong")

    def test_passes():
        pass

    def test_broken(broken):
        pass

    def test_unknown(no_such_fixture):
        pass

    def test_teardown(breaks_at_its_end):
        pass
"""


def fltlab_run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *words], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=HANG
    )


def outcomes(directory: Path) -> dict[str, Outcome]:
    return {record.name: record.outcome for record in read_journal(directory / "run")}


def in_junit(directory: Path) -> dict[str, str]:
    cases = ET.parse(directory / "run" / "junit.xml").iter("testcase")
    return {
        str(case.get("name")): next((child.tag for child in case if child.tag != "system-out"), "") for case in cases
    }


def test_errors_of_fixtures_are_in_every_report(pytester: pytest.Pytester):
    pytester.makepyfile(test_suite=FIXTURES)

    done = fltlab_run(pytester.path, "test_suite.py")

    assert done.returncode == ExitCode.HOST, done.stdout
    assert outcomes(pytester.path) == {
        "test_passes": Outcome.PASSED,
        "test_broken": Outcome.ERROR,
        "test_unknown": Outcome.ERROR,
        "test_teardown": Outcome.ERROR,
    }
    assert [name for name, tag in in_junit(pytester.path).items() if tag == "error"] == [
        "test_broken",
        "test_unknown",
        "test_teardown",
    ]
    assert "3 errors" in (pytester.path / "run" / "report.html").read_text()


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "a worker"])
def test_what_cannot_be_collected_is_an_error_in_every_report(pytester: pytest.Pytester, workers: list[str]):
    pytester.makepyfile(test_one="def test_it(): pass", test_two="import no_such_module")

    done = fltlab_run(pytester.path, ".", *workers)

    assert done.returncode == ExitCode.USAGE, done.stdout
    (record,) = (one for one in read_journal(pytester.path / "run") if one.name == "collection")
    assert (record.nodeid, record.name, record.outcome) == ("test_two.py", "collection", Outcome.ERROR)
    assert record.message == "ModuleNotFoundError: No module named 'no_such_module'"
    assert in_junit(pytester.path)["collection"] == "error"
    assert "--resume" not in done.stdout


def test_a_test_whose_worker_dies_is_an_error_and_not_lost(pytester: pytest.Pytester):
    pytester.makepyfile(test_suite="import os\n\ndef test_dies(): os._exit(9)\n\ndef test_lives(): pass\n")

    done = fltlab_run(pytester.path, "test_suite.py", "-n", "1")

    assert done.returncode == ExitCode.HOST, done.stdout
    assert outcomes(pytester.path) == {"test_dies": Outcome.ERROR, "test_lives": Outcome.PASSED}


def test_a_reader_that_goes_away_changes_no_exit_code(pytester: pytest.Pytester):
    body = "\n".join(f"def test_{number}(): print('x' * 10_000); assert {number} < 40" for number in range(40))
    pytester.makepyfile(test_suite=body)
    process = subprocess.Popen(
        [*RUN, "-rA", "test_suite.py"],
        cwd=pytester.path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    errors = process.stderr.read()

    assert (process.wait(HANG), errors) == (ExitCode.PASSED, "")
    assert len(outcomes(pytester.path)) == 40


def test_a_command_whose_reader_goes_away_ends_as_it_would(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "contract"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert (process.stderr.read(), process.wait(HANG)) == ("", ExitCode.PASSED)


PAUSES = """
    from types import SimpleNamespace

    import pytest
    from harness.plugin import pause

    pause.paused = lambda guest, symbols: ["connect like this"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item):
        report = yield
        if report.failed:
            pause.pause(item, SimpleNamespace(name="the guest"), SimpleNamespace(drivers=()))
        return report
"""


def test_a_run_that_pauses_waits_for_enter_at_the_terminal(pytester: pytest.Pytester):
    pytester.makeconftest(PAUSES)
    pytester.makepyfile(test_suite="def test_fails(): assert False\n\ndef test_after(): pass\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(pytester.path)
        os.execve(sys.executable, [*RUN, "--pause-on-failure", "test_suite.py"], ENVIRONMENT)
    shown = b""
    while b"Enter ends the guest and the run" not in shown:
        more = os.read(terminal, 65536)
        assert more, shown
        shown += more
    assert b"connect like this" in shown
    assert not (pytester.path / "run" / "junit.xml").exists()

    os.write(terminal, b"\n")

    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # the terminal ends with the run
        pass
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == ExitCode.FAILED
    assert outcomes(pytester.path) == {"test_fails": Outcome.FAILED}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--guest=reference-local"], "--pause-on-failure cannot pause reference-local"),
        (["--guest=reference"], "there is no terminal"),
    ],
)
def test_a_pause_that_cannot_be_is_refused_before_the_run(pytester: pytest.Pytester, words: list[str], message: str):
    pytester.makepyfile(test_suite="def test_it(): pass\n")

    done = subprocess.run(
        [*RUN, "--pause-on-failure", *words, "test_suite.py"],
        cwd=pytester.path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == ExitCode.USAGE
    assert message in " ".join((done.stdout + done.stderr).split())
    assert not (pytester.path / "run").exists()


ALIKE = """
    import pytest
    from harness.errors import GuestError

    @pytest.fixture
    def guest_that_does_not_come_up():
        raise GuestError("the watchdog has died", details=("its " + "last words",))

    @pytest.mark.parametrize("number", range(148))
    def test_many(guest_that_does_not_come_up, number):
        pass

    @pytest.mark.parametrize("number", range(2))
    def test_few(number):
        assert number == 7
"""


def test_what_many_tests_say_alike_is_told_once(pytester: pytest.Pytester):
    pytester.makepyfile(test_suite=ALIKE)

    done = fltlab_run(pytester.path, "test_suite.py")

    assert done.stdout.count("its last words") == 1
    assert "the same in 147 more: test_many[1], test_many[2]" in done.stdout
    assert "2 failed, 148 errors" in done.stdout


def test_of_pytests_own_account_too_it_is_one_message_and_every_report_has_them_all(pytester: pytest.Pytester):
    pytester.makepyfile(test_suite=ALIKE)

    done = fltlab_run(pytester.path, "test_suite.py", "--tb=long")

    assert done.stdout.count("its last words") == 1
    assert "the same of 147 other tests" in done.stdout
    assert "and 142 more" in done.stdout
    assert done.stdout.count("def test_few") == 2
    assert done.stdout.count("ERROR test_suite.py::test_many[") == 148
    assert "2 failed, 148 errors" in done.stdout
    assert len(outcomes(pytester.path)) == 150
    assert list(in_junit(pytester.path).values()).count("error") == 148
