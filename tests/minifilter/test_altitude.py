"""Altitudes compare by value, digit by digit."""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigurationError
from harness.minifilter.altitude import Altitude

altitudes = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,30})?", fullmatch=True).filter(str.isascii)
EXACT = Context(prec=60)


@pytest.mark.parametrize(
    ("higher", "lower"),
    [("100000", "99999.9"), ("03333", "333.9"), ("325000.7", "325000.3"), ("325000.11", "325000.1"), ("10", "9.99")],
)
def test_the_value_decides(higher: str, lower: str) -> None:
    assert Altitude(higher) > Altitude(lower)
    assert not Altitude(higher) < Altitude(lower)


@pytest.mark.parametrize(("one", "other"), [("325000.10", "325000.1"), ("0385100", "385100"), ("7.0", "7")])
def test_zeros_at_either_end_change_nothing(one: str, other: str) -> None:
    assert Altitude(one) == Altitude(other)
    assert hash(Altitude(one)) == hash(Altitude(other))


def test_it_is_shown_as_it_was_written() -> None:
    assert str(Altitude("0385100.50")) == "0385100.50"


@pytest.mark.parametrize("text", ["", ".", "1.", ".5", "1.2.3", "-1", "1e5", "12a", " 1", "١٢"])
def test_what_is_no_altitude_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no altitude"):
        Altitude(text)


@given(altitudes, altitudes)
def test_the_order_is_that_of_exact_decimals(one: str, other: str) -> None:
    exact = EXACT.compare(Decimal(one), Decimal(other))
    assert (Altitude(one) < Altitude(other), Altitude(one) == Altitude(other)) == (exact < 0, exact == 0)
