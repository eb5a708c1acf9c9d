"""The driver's own registry is kept; regtool is the program that tries to change it."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("regguard")


def test_only_one_value_may_be_changed_and_only_to_what_makes_sense(lab: Lab) -> None:
    assert lab.programs[0].stop().output.splitlines() == [
        "open: 0",
        "set Level 2: 0",
        "set Level 9: 5",
        "set Locked: 5",
        "delete Locked: 5",
        "Level is 2",
        "done",
    ]
