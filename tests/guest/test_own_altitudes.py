"""Where a stack gives no altitude, a driver stands at its own, unless the order of the stack says otherwise."""

from harness.guest.stack import at_their_own, parse_stack, place
from harness.minifilter.altitude import Altitude

OWN = {"scanner": Altitude("328010"), "crypt": Altitude("141000")}


def altitudes(stack: str) -> list[str]:
    return [str(entry.altitude) for entry in place(at_their_own(parse_stack(stack), OWN))]


def test_a_driver_stands_at_its_own_altitude_and_others_around_it() -> None:
    assert altitudes("observer@above, scanner, observer@below") == ["328020", "328010", "328000"]
    assert altitudes("scanner, crypt") == ["328010", "141000"]


def test_the_stack_is_the_last_word() -> None:
    assert altitudes("scanner#370000")[0] == "370000"
    upper, lower = altitudes("crypt, scanner")
    assert upper == "141000"
    assert Altitude(lower) < Altitude(upper)
    assert altitudes("scanner, observer#330000")[1] == "330000"
