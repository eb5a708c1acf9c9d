"""Every example builds, runs on a reference guest, and does what its suite says, with a service where it has one."""

import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"


def test_the_examples_and_their_suites(tmp_path: Path):
    command = [sys.executable, "-P", "-m", "harness.cli", "run", str(EXAMPLES), "--drivers", str(EXAMPLES)]
    options = ["--guest", "reference-local", "--out", str(tmp_path / "run")]

    ran = subprocess.run([*command, *options], cwd=tmp_path, text=True, capture_output=True, check=False)

    assert ran.returncode == ExitCode.PASSED, ran.stdout + ran.stderr
    records = read_journal(tmp_path / "run")
    assert {record.outcome for record in records} == {Outcome.PASSED}
    tested = {Path(record.nodeid.partition("::")[0]).name for record in records}
    assert tested == {file.name for file in EXAMPLES.glob("*/test_*.py")}
