"""Our own suites: every mark means something, and the rules that come first are covered."""

from pathlib import Path

import pytest

from harness.contract import load_catalogue, rule_coverage

SUITES = Path(__file__).resolve().parents[2] / "suites"


def test_every_suite_can_be_collected(pytester: pytest.Pytester):
    result = pytester.runpytest_subprocess(SUITES, "--collect-only", "-q", "-p", "no:cacheprovider")

    assert result.ret == 0


def test_every_core_rule_of_the_page_itself_has_a_test():
    covered = rule_coverage(SUITES)

    assert [rule.id for rule in load_catalogue().select(core=True, seed=True) if rule.id not in covered] == []


def test_every_core_rule_has_a_test():
    covered = rule_coverage(SUITES)

    assert [rule.id for rule in load_catalogue().select(core=True) if rule.id not in covered] == []
