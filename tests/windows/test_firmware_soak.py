"""Starts of the firmware in a row: those that end are counted, one that does not is named."""

import re
from pathlib import Path

import pytest

from harness.farm.bench import firmware
from harness.farm.bench.firmware import start_firmware
from harness.host.accelerator import Accelerator
from harness.host.directories import HOME_VARIABLE
from harness.image.windows.profile import Host, describe_host
from harness.machine.deadlines import Wait
from tests.limits import Impatient

STARTS = 6
"""A serial port on a socket stalled 13 of 21, so one of six would in 996 of 1000 runs. `fltlab bench soak` takes 20."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    return describe_host(Accelerator.TCG)


def test_starts_in_a_row_come_to_their_end(host: Host):
    said: list[str] = []

    starts = start_firmware(host, STARTS, said.append)

    assert starts.problems == []
    assert len(starts.seconds) == STARTS
    assert starts.median is not None
    assert said[-1] == f"{STARTS} starts of the firmware, 0 problems"


def test_a_start_that_stalls_is_named_with_what_was_seen_last(host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(firmware, "NOTHING_BOOTS", re.compile("what no firmware says"))

    starts = start_firmware(host, 1, lambda _: None, Impatient(only={Wait.FIRMWARE: 3.0}))

    assert starts.seconds == []
    assert starts.median is None
    assert starts.problems[0].startswith("firmware 1: waited 3 s for the firmware to look everywhere")
