"""Suites and drivers in somebody's own tree, outside the checkout, work like fltlab's own."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from harness.errors import ExitCode
from harness.minifilter.build import build_drivers
from harness.nt import NtStatus
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "guard"
SCHEMA = ROOT / "tests" / "report" / "junit.xsd"
FLTLAB = [sys.executable, "-P", "-m", "harness.cli"]
RUN = ["--guest", "reference-local", "--drivers", "drivers", "--out", "run", "-p", "no:cacheprovider"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as a user has it: drivers/guard and suites/guard, and nothing of fltlab's."""
    (tmp_path / "suites" / "guard").mkdir(parents=True)
    shutil.copy(EXAMPLE / "test_guard.py", tmp_path / "suites" / "guard")
    shutil.copytree(EXAMPLE, tmp_path / "drivers" / "guard", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path


@pytest.fixture
def run(tree: Path) -> Run:
    """Run a command in the tree."""

    def run_there(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=tree, text=True, capture_output=True, check=False)

    return run_there


def outcomes(tree: Path) -> set[Outcome]:
    return {record.outcome for record in read_journal(tree / "run")}


def test_a_driver_in_source_is_built_loaded_and_tested(tree: Path, run: Run):
    ran = run(*FLTLAB, "run", "guard", *RUN)

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    assert outcomes(tree) == {Outcome.PASSED}
    xmlschema.validate(tree / "run" / "junit.xml", SCHEMA)
    junit = ET.parse(tree / "run" / "junit.xml").getroot()
    properties = {entry.get("name"): entry.get("value") for entry in junit.iter("property")}
    assert len(list(junit.iter("testcase"))) == len(read_journal(tree / "run"))
    assert properties["guest.kind"] == "reference-local"
    assert len(properties["driver.guard.sha256"] or "") == 64
    # What was built lies with fltlab's own things: the tree is as it was, but for the run.
    ours = {"run", "__pycache__"}
    assert sorted(path.name for path in tree.rglob("*") if path.is_file() and not ours & set(path.parts)) == [
        "driver.yaml",
        "guard.c",
        "test_guard.py",
    ]


def test_a_prebuilt_driver_is_taken_as_it_is_and_plain_pytest_will_do(tree: Path, run: Run):
    package = tree / "drivers" / "guard"
    built = build_drivers(tree / "drivers", tree / "build")["guard"]
    shutil.copy(built.sys, package / "guard.sys")
    (package / "guard.c").unlink()
    described = (package / "driver.yaml").read_text().replace("sources: [guard.c]", "binary: guard.sys")
    (package / "driver.yaml").write_text(described)

    ran = run(sys.executable, "-m", "pytest", "suites", *RUN, "--junitxml", "own.xml")

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    assert {record.drivers["guard"] for record in read_journal(tree / "run")} == {built.sha256}
    own = ET.parse(tree / "own.xml").getroot()
    assert len(list(own.iter("testcase"))) == len(read_journal(tree / "run"))


def test_a_new_suite_runs_as_it_is_written(tree: Path, run: Run):
    written = run(*FLTLAB, "new-suite", "first-steps", "--driver", "guard")

    ran = run(*FLTLAB, "run", "first-steps", *RUN)

    assert "fltlab run suites/first-steps/test_first_steps.py" in written.stdout
    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    assert outcomes(tree) == {Outcome.PASSED}


def test_a_driver_that_does_the_wrong_thing_fails_its_suite_with_a_timeline(tree: Path, run: Run):
    source = tree / "drivers" / "guard" / "guard.c"
    right = "    return FLT_PREOP_COMPLETE;\n"
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, "    return FLT_PREOP_SUCCESS_NO_CALLBACK;\n"))

    ran = run(*FLTLAB, "run", "guard", *RUN, "-k", "cannot_be_opened and plan")

    assert ran.returncode == ExitCode.FAILED
    assert outcomes(tree) == {Outcome.FAILED}
    assert str(NtStatus.ACCESS_DENIED.name) in ran.stdout
    timeline = ran.stdout[ran.stdout.index("t/us  filter") :]
    assert "CREATE plan.secret" in timeline
    assert "below" in timeline


def test_drivers_of_the_tree_are_found_by_themselves_and_fltlabs_own_suites_are_there_too(tree: Path, run: Run):
    ran = run(*FLTLAB, "run", "guard", "io", "--guest", "reference-local", "--out", "run", "-p", "no:cacheprovider")

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    assert {record.suite for record in read_journal(tree / "run")} == {"guard", "io"}


def test_a_new_driver_and_its_new_suite_pass(tmp_path: Path):
    def there(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*FLTLAB, *words], cwd=tmp_path, text=True, capture_output=True, check=False)

    assert there("new-driver", "my-driver").returncode == ExitCode.PASSED
    suite = there("new-suite", "mine", "--driver", "my-driver")
    assert suite.returncode == ExitCode.PASSED, suite.stderr
    ran = there("run", "mine", "--guest", "reference-local", "--out", "run", "-p", "no:cacheprovider")

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    assert outcomes(tmp_path) == {Outcome.PASSED}


def test_a_suite_for_a_driver_that_nobody_has_is_not_written(tree: Path, run: Run):
    ran = run(*FLTLAB, "new-suite", "mine", "--driver", "guart")

    assert ran.returncode == ExitCode.USAGE
    assert "did you mean 'guard'?" in ran.stderr
    assert not (tree / "suites" / "mine").exists()


@pytest.mark.parametrize("name", ["last", "run"])
def test_a_report_is_made_again_by_the_runs_name(tree: Path, run: Run, name: str):
    run(*FLTLAB, "run", "io", "--guest", "reference-local", "--out", "runs/run", "-p", "no:cacheprovider")
    (tree / "runs" / "run" / "report.html").unlink()

    ran = run(*FLTLAB, "report", name)

    assert ran.returncode == ExitCode.PASSED, ran.stderr
    assert (tree / "runs" / "run" / "report.html").is_file()


def test_where_there_are_no_suites_fltlabs_own_are_not_started_silently(tmp_path: Path):
    ran = subprocess.run(
        [*FLTLAB, "run", "--guest", "reference-local", "--collect-only", "-q"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )

    assert "there is no suites/ here" in ran.stderr


def test_only_what_failed_last_is_run_again_if_that_is_asked_for(tmp_path: Path):
    (tmp_path / "suites" / "mine").mkdir(parents=True)
    (tmp_path / "suites" / "mine" / "test_mine.py").write_text(
        "def test_good(): pass\ndef test_bad(): assert False\ndef test_worse(): assert False\n"
    )

    def there(*words: str) -> str:
        command = [*FLTLAB, "run", "mine", "-v", *words]
        return subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False).stdout

    assert "1 passed" in there()
    again = there("--last-failed")
    assert "2 failed" in again
    assert "test_good" not in again
    assert "test_worse" not in there("--stepwise", "--last-failed")
