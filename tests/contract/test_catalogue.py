"""The catalogue is whole, and says of each rule where it comes from."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.contract import (
    EVERY_CLASS,
    Area,
    Guard,
    Kind,
    Rule,
    load_catalogue,
    load_guards,
    rule_classes,
    rule_coverage,
)
from harness.shipped import SUITES

CATALOGUE = load_catalogue()
SEVERAL = frozenset({"ANY", "IRP", "FASTIO", "FSFILTER"})


def test_every_rule_has_an_id_of_its_own():
    assert len(set(CATALOGUE.ids)) == len(CATALOGUE.ids) == 160


def test_the_rules_that_the_suites_must_cover_first_are_25():
    assert len(list(CATALOGUE.select(core=True, seed=True))) == 25


def test_every_rule_names_a_page():
    assert [
        rule.id for rule in CATALOGUE.rules if not re.match(r"(ifs|fltkernel|devtest|debugger)/", rule.source)
    ] == []


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("ifs/pending-an-i-o-operation.md", "https://learn.microsoft.com/windows-hardware/drivers/ifs/pending-an-i-o-operation"),
        ("fltkernel/nf-fltkernel-fltreadfile", "https://learn.microsoft.com/windows-hardware/drivers/ddi/fltkernel/nf-fltkernel-fltreadfile"),
    ],
)  # fmt: skip
def test_a_rule_knows_where_its_page_is_published(source: str, address: str):
    assert CATALOGUE["REG-01"].model_copy(update={"source": source}).address == address


def test_an_obligation_says_what_breaking_it_leads_to_and_a_guarantee_does_not():
    for rule in CATALOGUE.rules:
        assert (rule.violation is not None) == (rule.kind is Kind.OBLIGATION), rule.id


def test_rules_are_selected_by_area():
    assert {rule.area for rule in CATALOGUE.select(area=Area.FASTIO)} == {Area.FASTIO}


def test_a_rule_with_an_unknown_key_is_refused():
    rule = CATALOGUE["REG-01"].model_dump()

    with pytest.raises(ValidationError, match="sourc"):
        Rule.model_validate({**rule, "sourc": "ifs/x.md"})


def test_guards_name_rules_of_the_catalogue():
    assert {guard.rule for guard in load_guards()} <= set(CATALOGUE.ids)


@pytest.mark.parametrize(
    "broken",
    [
        {"rule": "REG-01", "tests": ["a.py::b"]},
        {"rule": "REG-01", "mutant": "m", "wrong_driver": "d", "tests": ["a.py::b"]},
        {"rule": "REG-01", "mutant": "m", "tests": []},
    ],
    ids=["no break", "two breaks", "no test"],
)
def test_a_guard_that_guards_nothing_is_refused(broken):
    with pytest.raises(ValidationError):
        Guard.model_validate(broken)


def test_a_rule_that_has_a_reason_for_no_test_has_none():
    tested = rule_coverage(SUITES)

    assert {rule.id for rule in load_catalogue().rules if rule.reason and rule.id in tested} == set()
    reasons = {rule.id: rule.reason for rule in load_catalogue().rules if rule.reason}
    assert all(reason.startswith(("only on Windows", "not observable")) for reason in reasons.values())


def test_a_rule_about_several_classes_of_operations_is_held_of_every_class_or_says_why_not():
    """So that a suite's name means the whole of it."""
    held = rule_classes(SUITES)
    several = [rule for rule in CATALOGUE.rules if rule.id in held and not SEVERAL.isdisjoint(rule.applies)]

    assert [rule.id for rule in several if (held[rule.id] != [EVERY_CLASS]) != bool(rule.narrow)] == []
    assert [rule.id for rule in CATALOGUE.rules if rule.narrow and rule not in several] == []


def test_the_classes_of_a_rule_are_those_that_its_tests_go_through(tmp_path: Path):
    (tmp_path / "test_some.py").write_text(
        "@pytest.mark.rule('REG-01')\ndef test_a(lab):\n    lab.trace.only(IrpMajor.READ)\n"
        "@pytest.mark.rule('REG-01', 'REG-02')\ndef test_b(lab):\n    lab.trace.all(IrpMajor.CREATE)\n"
        "@pytest.mark.rule('REG-02')\ndef test_c(lab):\n    lab.io(EVERY_OPERATION)\n"
        "@pytest.mark.rule('ATT-01')\ndef test_d(lab):\n    lab.io('attach a')\n"
    )

    assert rule_classes(tmp_path) == {"REG-01": ["CREATE", "READ"], "REG-02": [EVERY_CLASS], "ATT-01": []}
