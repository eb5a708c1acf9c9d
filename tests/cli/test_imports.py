"""The small commands stay quick because they import little: what each may not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import COMMANDS, main
from harness.contract import load_catalogue
from harness.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pytest", "_pytest", "paramiko", "winrm", "requests", "cryptography", "qemu", "unicorn", "pefile", "jinja2")
ANY_FILE = (*HEAVY, "pydantic", "yaml")


def imported(*words: str) -> set[str]:
    """The packages that a command has imported by its end."""
    script = (
        "import json, sys\n"
        "from harness.cli.main import main\n"
        f"main({list(words)!r})\n"
        "sys.stderr.write(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    ran = subprocess.run([sys.executable, "-P", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(ran.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("words", "kept_out"),
    [
        (("--help",), ANY_FILE),
        (("version",), (*HEAVY, "yaml")),
        (("contract",), HEAVY),
        (("explain", "PRE-COMP-01"), HEAVY),
        (("mutants",), HEAVY),
        (("drivers", "list"), HEAVY),
    ],
    ids=["help", "version", "contract", "explain", "mutants", "drivers list"],
)
def test_a_small_command_imports_nothing_heavy(words: tuple[str, ...], kept_out: tuple[str, ...]):
    assert imported(*words) & set(kept_out) == set()


def test_a_run_imports_no_plugin_before_pytest_which_would_warn_of_it():
    script = "import sys, harness.cli.run; from harness.plugin import pytest_plugins as plugins; "
    script += "print([name for name in plugins if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-P", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_help_says_of_every_command_what_the_command_says_of_itself(capsys: pytest.CaptureFixture[str]):
    """The list is written down beside the modules, so that it costs no import of them."""
    for name, summary in COMMANDS.items():
        assert main([name, "--help"]) == ExitCode.PASSED
        said = " ".join(capsys.readouterr().out.replace("\u2502", " ").split())
        assert " ".join(summary.split())[:40] in said, name


def test_in_a_pipe_the_contract_is_whole(capsys: pytest.CaptureFixture[str]):
    assert main(["contract", "--area", "completion"]) == ExitCode.PASSED

    rules = [rule for rule in load_catalogue().rules if rule.area == "completion"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rules) + 1
    assert all(line.endswith(rule.statement) for line, rule in zip(lines[1:], rules, strict=True))


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "PRE-COMP-04"]) == ExitCode.PASSED

    said = capsys.readouterr().out
    assert "does not get its own post callback" in " ".join(said.split())
    assert "completing-filter-gets-its-post" in said


def test_a_report_that_is_there_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.json").write_text("{}")
    (tmp_path / "runs" / "one" / "report.html").write_text("<html>")
    shown: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or True)

    assert main(["open"]) == ExitCode.PASSED
    assert shown == [(tmp_path / "runs" / "one" / "report.html").as_uri()]


def test_a_report_that_is_not_there_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)

    assert main(["open", "one"]) == ExitCode.USAGE
