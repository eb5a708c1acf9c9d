"""A guest that has a kernel of its own and falls silent under a driver: the driver's hang, or the transport's fault."""

from pathlib import Path

import pytest

from harness.errors import DriverError, GuestError
from harness.guest import WINDOWS, Guest, LocalGuest
from harness.guest.errors import ConnectionLost, Unreachable
from tests.processes import kill, stop


def test_silence_under_a_driver_is_a_hang_in_an_undetermined_driver(tmp_path: Path):
    with LocalGuest(tmp_path / "guest") as local, Guest("silent", WINDOWS, local.endpoint, local.body) as guest:
        assert guest.run("ver").ok
        guest.drivers_under_test = ("first", "second")
        stop(local.pid)

        with pytest.raises(DriverError, match=r"hang in an undetermined driver \(loaded: first, second\)") as caught:
            guest.run("ver", timeout=1)

        assert any(line.startswith("meanwhile: daemon process") for line in caught.value.details)


def test_a_connection_that_breaks_under_a_driver_is_the_transports_fault(tmp_path: Path):
    with LocalGuest(tmp_path / "guest") as local, Guest("broken", WINDOWS, local.endpoint) as guest:
        assert guest.run("ver").ok
        guest.drivers_under_test = ("first",)
        kill(local.pid)

        with pytest.raises(GuestError) as caught:
            guest.run("ver", timeout=10)

        # Whether the end of the connection is seen while it is used, or before and a new one is refused.
        assert isinstance(caught.value, ConnectionLost | Unreachable)
        assert not caught.value.is_failure
