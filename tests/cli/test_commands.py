"""The commands answer as a person and as a script expect: tables, JSON, exit codes, and what was perhaps meant."""

import json
import re
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.fleet.options import OPTIONS


def test_version_as_json(capsys: pytest.CaptureFixture[str]):
    assert main(["version", "--json"]) == ExitCode.PASSED

    assert json.loads(capsys.readouterr().out)["fltlab"]


def test_every_option_of_the_plugin_is_an_option_of_run(capsys: pytest.CaptureFixture[str]):
    assert main(["run", "--help"]) == ExitCode.PASSED

    # typer colours its help for good if it is first loaded while a test of pytest's own has PY_COLORS set.
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert [option.flag for option in OPTIONS if f"{option.flag} " not in shown] == [
        "--replay"
    ]  # `fltlab replay` gives it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "Did you mean 'run'?"),
        (["run", "completon"], "there is no suite or path 'completon'; did you mean 'completion'?"),
        (
            ["run", "io/test_own_io.py::test_what_a_filter_reads_itself"],
            "has no test 'test_what_a_filter_reads_itself'; did you mean 'test_what_a_filter_reads_itself_is_shown",
        ),
        (["run", "--seed", "1", "--seed", "2"], "--seed is given 2 times: 1, 2"),
        (["run", "--seed=-1"], "--seed is a number from 0, not -1"),
        (["run", "--no-such-option-of-pytest"], "usage: fltlab run"),
        (["run", "--gest", "reference"], "there is no option --gest; did you mean --guest?"),
        (["contract", "PRE-COMP-99"], "there is no rule 'PRE-COMP-99' in the contract; did you mean 'PRE-COMP-"),
        (["drivers", "build", "obsever"], "there is no driver called 'obsever'; did you mean 'observer'?"),
        (["report", "nowhere"], "there is no run 'nowhere'"),
        (["contract", "--area", "pendin"], "pending"),
    ],
)
def test_a_slip_is_answered_with_what_was_perhaps_meant(arguments, said, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == ExitCode.USAGE

    assert said in " ".join(capsys.readouterr().err.split())


def test_a_selection_without_tests_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_one.py").write_text("def test_one(): pass")
    monkeypatch.chdir(tmp_path)

    assert main(["run", "-k", "nothing", "-p", "no:cacheprovider"]) == ExitCode.USAGE


def test_the_suites_of_the_current_directory_come_before_fltlabs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "suites" / "mine").mkdir(parents=True)
    (tmp_path / "suites" / "mine" / "test_mine.py").write_text("def test_of_my_own(): pass")
    monkeypatch.chdir(tmp_path)

    assert main(["run", "mine", "-v", "-p", "no:cacheprovider"]) == ExitCode.PASSED
    assert "test_of_my_own PASSED" in capsys.readouterr().out


def test_the_contract_as_json_says_which_tests_are_about_a_rule(capsys: pytest.CaptureFixture[str]):
    assert main(["contract", "pre-comp-01", "--json"]) == ExitCode.PASSED

    told = json.loads(capsys.readouterr().out)
    (rule,) = told["rules"]
    assert told["summary"] == {"rules": 1, "tested": 1, "guarded": 1, "core": 1, "reasons": {}, "every_class": 1}
    assert rule["classes"] == ["every class"]
    assert rule["id"] == "PRE-COMP-01"
    assert "completion/test_completion.py::test_a_completed_create_goes_no_further_down" in rule["tests"]


def test_the_drivers_as_json(capsys: pytest.CaptureFixture[str]):
    assert main(["drivers", "list", "--json"]) == ExitCode.PASSED

    names = {driver["name"] for driver in json.loads(capsys.readouterr().out)}
    assert {"observer", "passthrough", "completion", "pending", "synchronize", "fastio"} <= names


def test_drivers_of_another_directory_are_listed_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine.c").write_text("")
    (tmp_path / "driver.yaml").write_text("name: mine\ndescription: of my own\nsources: [mine.c]\n")

    assert main(["drivers", "list", "--drivers", str(tmp_path), "--json"]) == ExitCode.PASSED
    assert "mine" in {driver["name"] for driver in json.loads(capsys.readouterr().out)}


def test_a_report_is_made_again_from_the_journal_of_a_killed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "test_journal.py").write_text('import pytest\n@pytest.mark.rule("REG-01")\ndef test_one(): pass\n')
    monkeypatch.chdir(tmp_path)
    assert main(["run", "test_journal.py", "--out", "run", "-p", "no:cacheprovider"]) == ExitCode.PASSED
    for name in ("junit.xml", "report.html"):
        (tmp_path / "run" / name).unlink()
    capsys.readouterr()

    assert main(["report", "run", "--json"]) == ExitCode.PASSED

    assert json.loads(capsys.readouterr().out)["passed"] == 1
    assert (tmp_path / "run" / "junit.xml").is_file()
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_new_suite_is_a_test_that_can_be_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)

    assert main(["new-suite", "my-rules", "--driver", "completion"]) == ExitCode.PASSED
    assert main(["run", "my-rules", "--collect-only", "-q", "-p", "no:cacheprovider"]) == ExitCode.PASSED
    assert "test_my_rules.py::test_a_file_can_be_read" in capsys.readouterr().out


def test_a_suite_that_is_there_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    main(["new-suite", "mine"])

    assert main(["new-suite", "mine"]) == ExitCode.USAGE
    assert "is there already" in capsys.readouterr().err


def test_what_the_file_system_refuses_is_told_in_one_line_and_is_no_failed_test(capsys: pytest.CaptureFixture[str]):
    code = main(["new-suite", "probe", "--in", "/proc/nowhere"])

    said = capsys.readouterr().err
    assert code == ExitCode.HOST
    assert said.startswith("error: No such file or directory: /proc/nowhere")
    assert "Traceback" not in said


def test_a_fault_of_ours_is_no_failed_test(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def broken(_command: str | None):
        raise ZeroDivisionError

    monkeypatch.setattr("harness.cli.main._app", broken)

    assert main(["version"]) == ExitCode.HOST
    assert "fltlab itself failed: ZeroDivisionError" in capsys.readouterr().err
