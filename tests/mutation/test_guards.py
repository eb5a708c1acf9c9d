"""Every break in harness/contract/proven.yaml really turns the tests red that it names, and without it they are green.

A guarantee is broken by a mutant of the reference kernel, an obligation by a wrong driver in the place of a right one,
which the kernel must report with the rule's id. Without these runs `rules_proven` would be an opinion. Guards with the
same break share a run.
"""

import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest

from harness.contract import Guard, load_catalogue, load_guards
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import find_packages
from harness.report.journal import read_journal
from harness.report.records import Outcome, TestRecord

ROOT = Path(__file__).resolve().parents[2]
GUARDS = load_guards()
SAID_BY_THE_CATALOGUE = "--- what the documentation says"


def name_of(guard: Guard) -> str:
    return guard.mutant or f"{guard.wrong_driver}-for-{guard.instead_of}"


BREAKS = {name: tuple(guards) for name, guards in groupby(sorted(GUARDS, key=name_of), key=name_of)}


def run(tests: Iterable[str], folder: Path, *options: str) -> list[TestRecord]:
    """Run tests of the suites on a guest of their own; what the journal has of them."""
    paths = [f"suites/{test}" for test in dict.fromkeys(tests)]
    command = [sys.executable, "-m", "pytest", *paths, "--guest=reference-local", f"--out={folder}", *options]
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    assert (folder / "results.jsonl").exists(), ran.stdout + ran.stderr
    return read_journal(folder)


@pytest.mark.parametrize("guards", BREAKS.values(), ids=BREAKS)
def test_a_break_turns_its_tests_red(guards: tuple[Guard, ...], tmp_path: Path):
    first = guards[0]
    broken_by = (
        ["--mutant", first.mutant] if first.mutant else ["--replace", f"{first.instead_of}={first.wrong_driver}"]
    )

    records = run((test for guard in guards for test in guard.tests), tmp_path / "run", *broken_by)

    for guard in guards:
        red = [
            record for record in records if record.nodeid.startswith(tuple(f"suites/{test}" for test in guard.tests))
        ]
        assert red
        for record in red:
            assert guard.rule in record.rules, record.nodeid
            assert record.outcome is Outcome.FAILED, f"{record.nodeid} {record.outcome}\n{record.details}"
            if guard.wrong_driver:
                reported = record.message + record.details.partition(SAID_BY_THE_CATALOGUE)[0]
                assert guard.rule in reported, record.details
                names = {f"fltlab-{guard.instead_of}", f"fltlab-{guard.wrong_driver}"}  # a black box keeps its own
                assert any(name in reported for name in names), record.details


def test_without_a_break_the_tests_are_green(tmp_path: Path):
    records = run((test for guard in GUARDS for test in guard.tests), tmp_path / "run")

    red = [f"{record.nodeid} {record.outcome}" for record in records if record.outcome is not Outcome.PASSED]
    assert red == []


def test_a_guarantee_is_broken_by_a_mutant_and_an_obligation_by_a_wrong_driver():
    catalogue = load_catalogue()
    wrong = {name: package.violates for name, package in find_packages(SUPPORT).items() if package.violates}

    kinds = {(guard.rule, catalogue[guard.rule].kind, guard.wrong_driver is not None) for guard in GUARDS}
    assert {(kind, is_driver) for _, kind, is_driver in kinds} <= {("guarantee", False), ("obligation", True)}, kinds
    assert {guard.wrong_driver: guard.rule for guard in GUARDS if guard.wrong_driver}.items() <= wrong.items()


def test_every_core_rule_of_the_page_itself_is_guarded():
    guarded = {guard.rule for guard in GUARDS}

    assert [rule.id for rule in load_catalogue().select(core=True, seed=True) if rule.id not in guarded] == []
