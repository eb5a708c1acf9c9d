"""Every break in harness/contract/proven.yaml really turns the tests red that it names.

A guarantee is broken by a mutant of the reference kernel, an obligation by a wrong driver in the place of a right one,
which the kernel must report with the rule's id. Without these runs `rules_proven` would be an opinion.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.contract import Guard, load_guards
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
GUARDS = load_guards()


def name_of(guard: Guard) -> str:
    return f"{guard.rule}-{guard.mutant or guard.wrong_driver}"


def broken_by(guard: Guard) -> list[str]:
    if guard.mutant:
        return ["--mutant", guard.mutant]
    return ["--replace", f"{guard.instead_of}={guard.wrong_driver}"]


@pytest.mark.parametrize("guard", GUARDS, ids=name_of)
def test_a_break_turns_its_tests_red(guard: Guard, tmp_path: Path):
    tests = [f"suites/{test}" for test in guard.tests]
    command = [sys.executable, "-m", "pytest", *tests, "--guest", "reference-local", *broken_by(guard)]
    ran = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "-p", "no:cacheprovider"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    records = read_journal(tmp_path / "run")
    assert records, ran.stdout + ran.stderr
    for record in records:
        assert guard.rule in record.rules, record.nodeid
        assert record.outcome is Outcome.FAILED, f"{record.nodeid} {record.outcome}\n{record.details}"
        if guard.wrong_driver:
            assert guard.rule in record.message + record.details, record.details
