"""The catalogue is whole, and says of each rule where it comes from."""

import re

import pytest
from pydantic import ValidationError

from harness.contract import Area, Guard, Kind, Rule, load_catalogue, load_guards, rule_coverage
from harness.shipped import SUITES

CATALOGUE = load_catalogue()


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
