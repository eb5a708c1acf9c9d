"""The last day of evaluation media."""

import logging
from datetime import date

import pytest

from harness.errors import ConfigurationError
from harness.image.windows.expiry import check_expiry

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize("expires", [None, "2027-05-22", "2026-12-08"])
def test_there_is_nothing_to_say_while_it_runs_long_enough(expires: str | None, caplog: pytest.LogCaptureFixture):
    check_expiry("windows-server-2022", {"expires": expires}, TODAY)

    assert caplog.records == []


def test_the_last_two_weeks_are_told(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        check_expiry("windows-server-2022", {"expires": "2026-11-30"}, TODAY)

    assert "ends on 2026-11-30, in 7 days" in caplog.text


def test_afterwards_it_is_refused_with_what_to_do():
    with pytest.raises(ConfigurationError, match="licence of windows-server-2022 ended on 2026-11-22") as error:
        check_expiry("windows-server-2022", {"expires": "2026-11-22"}, TODAY)

    assert "build it again" in str(error.value)
