"""A stack as it is written: labels, and altitudes that descend whatever was given and whatever was left open."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigurationError, ExitCode
from harness.guest.stack import parse_entry, parse_stack, place
from harness.minifilter.altitude import Altitude


def test_a_stack_is_read_from_top_to_bottom():
    stack = parse_stack("observer@above, completion, observer@below#370010.5")

    assert [(entry.driver, entry.label) for entry in stack] == [
        ("observer", "above"),
        ("completion", "completion"),
        ("observer", "below"),
    ]
    assert [entry.altitude and entry.altitude.text for entry in stack] == [None, None, "370010.5"]
    assert ", ".join(map(str, stack)) == "observer@above, completion, observer@below#370010.5"


def test_an_entry_gives_service_instance_and_image_their_names():
    (entry,) = place(parse_stack("observer@above"))

    assert (entry.service, entry.instance) == ("fltlab-above", "fltlab-above")
    assert entry.image == r"C:\Windows\System32\drivers\fltlab-above.sys"


@pytest.mark.parametrize(
    "text",
    ["observer@", "@above", "observer#", "obs erver", "observer@a b", "observer@a&b", "observer@a%b", "..\\x", "-x"],
)
def test_what_is_no_entry_is_a_configuration_error(text: str):
    with pytest.raises(ConfigurationError, match="no minifilter of a stack") as error:
        parse_entry(text)
    assert error.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("text", ["observer@a#x", "observer#-1", "observer#1e5", "observer#1,5", "observer# "])
def test_an_altitude_that_is_none_is_a_configuration_error(text: str):
    with pytest.raises(ConfigurationError):
        parse_entry(text)


def test_two_of_one_label_are_told_apart_without_case():
    with pytest.raises(ConfigurationError, match="two minifilters of the stack are called"):
        parse_stack(["observer@One", "passthrough@one"])


@pytest.mark.parametrize("stack", ["a#100, b#200", "a#100, b, c#100", "a#1.50, b#1.5"])
def test_altitudes_that_do_not_descend_are_refused(stack: str):
    with pytest.raises(ConfigurationError, match="is not below") as error:
        place(parse_stack(stack))
    assert "stack, top to bottom" in str(error.value)


digits = st.integers(min_value=1, max_value=10**6)
ALTITUDE = st.builds(lambda whole, part: f"{whole}.{part}" if part else str(whole), digits, st.integers(0, 10**9))


@given(st.lists(ALTITUDE, max_size=5, unique_by=lambda text: Altitude(text)), st.data())
def test_whatever_is_left_open_the_altitudes_descend_and_those_given_stay(altitudes: list[str], data: st.DataObject):
    falling = sorted(altitudes, key=Altitude, reverse=True)
    entries: list[str] = []
    for altitude in [*falling, None]:
        entries += [f"d@open{len(entries) + number}" for number in range(data.draw(st.integers(0, 4)))]
        if altitude is not None:
            entries.append(f"d@given{len(entries)}#{altitude}")

    placed = place(parse_stack(entries))

    assert all(lower.altitude < upper.altitude for upper, lower in pairwise(placed))
    assert [entry.altitude.text for entry in placed if entry.label.startswith("given")] == falling
    assert all(Altitude("0") < entry.altitude for entry in placed)


def test_altitudes_that_were_chosen_are_in_the_activity_monitors_range_and_have_a_fraction():
    for entry in place(parse_stack([f"d@l{number}" for number in range(20)])):
        assert Altitude("360000") < entry.altitude < Altitude("389999")
        assert "." in entry.altitude.text
