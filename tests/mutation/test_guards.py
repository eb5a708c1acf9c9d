"""Every break in harness/contract/proven.yaml really turns the tests red that it names, and without it they are green.

A guarantee is broken by a mutant of the reference kernel, an obligation by a wrong driver in the place of a right one,
which the kernel must report with the rule's id. Without these runs `rules_proven` would be an opinion. `fltlab mutants
run` does the same.
"""

from pathlib import Path

import pytest

from harness.contract import load_catalogue, load_guards, rule_coverage
from harness.farm.mutation import Break, all_breaks, judge, run_tests
from harness.fleet.mutants import load_mutants
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import find_packages
from harness.report.records import Outcome
from harness.shipped import SUITES

GUARDS = load_guards()


@pytest.mark.parametrize("found", all_breaks(), ids=lambda found: found.name)
def test_a_break_turns_its_tests_red(found: Break, tmp_path: Path):
    verdict = judge(found, run_tests(found.tests, tmp_path / "run", *found.options))

    assert verdict.survived == ()
    assert verdict.killed


def test_without_a_break_the_tests_are_green_and_each_break_survives(tmp_path: Path):
    records = run_tests((test for guard in GUARDS for test in guard.tests), tmp_path / "run")

    red = [f"{record.nodeid} {record.outcome}" for record in records if record.outcome is not Outcome.PASSED]
    assert red == []
    assert [found.name for found in all_breaks() if judge(found, records).killed_by] == []


def test_a_guarantee_is_broken_by_a_mutant_and_an_obligation_by_a_wrong_driver():
    catalogue = load_catalogue()
    wrong = {name: package.violates for name, package in find_packages(SUPPORT).items() if package.violates}

    kinds = {(guard.rule, catalogue[guard.rule].kind, guard.wrong_driver is not None) for guard in GUARDS}
    assert {(kind, is_driver) for _, kind, is_driver in kinds} <= {("guarantee", False), ("obligation", True)}, kinds
    assert {guard.wrong_driver: guard.rule for guard in GUARDS if guard.wrong_driver}.items() <= wrong.items()


def test_every_core_rule_of_the_page_itself_is_guarded():
    guarded = {guard.rule for guard in GUARDS}

    assert [rule.id for rule in load_catalogue().select(core=True, seed=True) if rule.id not in guarded] == []


def test_every_rule_is_tested_and_guarded_or_says_why_not():
    """So that `fltlab contract` tells of each rule either what holds it or a reason."""
    tested, guarded = rule_coverage(SUITES), {guard.rule for guard in GUARDS}
    rules = load_catalogue().rules

    assert [rule.id for rule in rules if rule.id not in tested and not rule.reason] == []
    assert [rule.id for rule in rules if rule.id in tested and rule.id not in guarded and not rule.unguarded] == []
    assert [rule.id for rule in rules if rule.id in guarded and (rule.unguarded or rule.reason)] == []


def test_every_mutant_and_every_wrong_driver_guards_a_rule():
    wrong = {name for name, package in find_packages(SUPPORT).items() if package.violates}

    assert {guard.mutant for guard in GUARDS if guard.mutant} == set(load_mutants())
    assert {guard.wrong_driver for guard in GUARDS if guard.wrong_driver} == wrong
