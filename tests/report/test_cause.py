"""Tests that went wrong for one reason have one cause, whatever addresses and counts their messages name."""

import pytest

from harness.report.cause import cause_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("read 0xffff9b000009aea0 (at guard+0x5033)", "read 0xffff9b0000014e90 (at guard+0x5033)"),
        ("waited 40 s for it", "waited 41.5 s for it"),
        ("assert 3 == 4", "assert 5 == 4"),
    ],
)
def test_what_differs_from_one_occurrence_to_the_next_does_not_count(one: str, other: str):
    assert cause_of(one) == cause_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("read 0x0 (at guard+0x5033)", "read 0x0 (at guard+0x5034)"),
        ("0xC0000022 ACCESS_DENIED came", "0xC0000001 UNSUCCESSFUL came"),
        ("PRE-COMP-01 violated", "PRE-COMP-02 violated"),
        ("driver guard1 is missing", "driver guard2 is missing"),
    ],
)
def test_places_statuses_and_rules_tell_causes_apart(one: str, other: str):
    assert cause_of(one) != cause_of(other)
