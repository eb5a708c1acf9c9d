"""What is recorded with a guest is done again without it: a self-test, and a run of a suite with pytest's workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.cli.verify import report_self_test
from harness.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]


def fltlab(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "harness.cli", *words]
    return subprocess.run(
        command, cwd=cwd, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def test_a_run_is_recorded_and_replayed_with_its_verdicts(tmp_path: Path):
    suite = str(ROOT / "suites" / "completion" / "test_completion.py")
    words = ("run", suite, "--guest", "reference-local", "-k", "completed", "-n", "1")
    first = fltlab(*words, "--record", "kept", "--out", "first", cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "recorded: " in first.stdout

    again = fltlab("replay", "kept.tar.xz", "--out=again", cwd=tmp_path)

    assert again.returncode == 0, again.stdout + again.stderr
    outcomes = [outcomes_of(tmp_path / name) for name in ("first", "again")]
    assert outcomes[0]
    assert outcomes[0] == outcomes[1]
    arguments = json.loads((tmp_path / "kept" / "recording.json").read_text())["facts"]["arguments"]
    assert str(tmp_path) not in " ".join(arguments)


def outcomes_of(run: Path) -> list[tuple[str, str]]:
    records = map(json.loads, (run / "results.jsonl").read_text().splitlines())
    return sorted((record["nodeid"].rpartition("/")[2], record["outcome"]) for record in records if "nodeid" in record)


def test_a_self_test_is_replayed_and_what_it_then_came_to_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert report_self_test("reference-local", "tcg", record=tmp_path / "kept") is ExitCode.PASSED
    header = tmp_path / "kept" / "recording.json"
    kept = json.loads(header.read_text())
    kept["facts"]["findings"][0]["difference"] = "it was another"
    kept["facts"]["findings"].append({"check": "crash path", "difference": ""})
    header.write_text(json.dumps(kept))
    capsys.readouterr()

    assert main(["replay", str(tmp_path / "kept")]) == ExitCode.PASSED

    printed = capsys.readouterr().out
    assert "WinRM: was it was another, is as expected" in printed
    assert "crash path: not replayed, it needs the machine" in printed
    assert "a minifilter" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "none"], "there is no recording"),
        (["replay", "."], "is no recording"),
        (["run", "--guest", "reference", "--record", "kept"], "--record is for Windows guests"),
        (["run", "--guest", "reference-local", "--record", "."], "is not empty"),
        (["image", "verify", "--record", "kept"], "is about the guest of one image"),
    ],
)
def test_what_cannot_be_recorded_or_replayed_is_wrong_use(tmp_path: Path, words: list[str], said: str):
    (tmp_path / "something").write_text("")
    done = fltlab(*words, cwd=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert said in done.stdout + done.stderr
