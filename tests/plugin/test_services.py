"""The examples that come with a user-mode part, their own or a played one, do what they say on a reference guest."""

import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
SUITES = ("scanner", "activity", "ransom")


def test_drivers_with_services_and_their_suites(tmp_path: Path):
    command = [sys.executable, "-P", "-m", "harness.cli", "run", *(str(EXAMPLES / name) for name in SUITES)]
    options = ["--drivers", str(EXAMPLES), "--guest", "reference-local", "--out", str(tmp_path / "run")]

    ran = subprocess.run([*command, *options], cwd=tmp_path, text=True, capture_output=True, check=False)

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    records = read_journal(tmp_path / "run")
    assert len(records) == 10
    assert {record.outcome for record in records} == {Outcome.PASSED}
