"""Limits of time are in one place, grow with a slow accelerator, and an error says what was waited for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.host.accelerator import REFERENCE_PROBE_SECONDS, Accelerator, Probe
from harness.machine.deadlines import Deadline, DeadlineError, Deadlines, Wait

HARNESS = Path(__file__).resolve().parents[2] / "harness"
ROOMS = ("machine", "guest", "plugin", "report")
LIMIT = re.compile(r"(^|_)(SECONDS|TIMEOUT|MINUTES)$")
# Not limits of a wait for a guest: how old a connection may be that is used again, how often leases are looked at
# for how long one waits to look, how long programs of the host may take over gigabytes, or to name a symbol, and how
# often the disk is waited for.
ELSEWHERE = {
    "machine/deadlines.py",
    "guest/winrm.py:IDLE_SECONDS",
    "machine/leases.py:LOOK_SECONDS",
    "machine/leases.py:_POLL_SECONDS",
    "machine/export.py:3600",
    "guest/dump/offline.py:SECONDS",
    "guest/dump/symbols.py:SECONDS",
    "report/journal.py:SYNC_SECONDS",
}


def limits(path: Path) -> Iterator[str]:
    """The limits of time that a module has as numbers of its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            yield from (item.id for item in node.targets if isinstance(item, ast.Name) and LIMIT.search(item.id))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = [word.value for word in node.keywords if word.arg == "timeout"]
            given += node.args[:1] if name in {"Deadline", "time.sleep", "sleep"} else []
            yield from (str(value.value) for value in given if isinstance(value, ast.Constant) and value.value)


def test_no_module_has_a_limit_of_its_own():
    found = []
    for room in ROOMS:
        for path in (HARNESS / room).rglob("*.py"):
            name = str(path.relative_to(HARNESS))
            found += [f"{name}:{limit}" for limit in limits(path) if name not in ELSEWHERE]

    assert [limit for limit in found if limit not in ELSEWHERE] == []


@pytest.mark.parametrize(("probe", "scale"), [(0.1, 1.0), (1.0, 1.0), (4.0, 4.0), (1000.0, 20.0)])
def test_deadlines_grow_with_the_time_that_the_accelerator_takes_and_never_shrink(probe: float, scale: float):
    deadlines = Deadlines.measured(Probe(Accelerator.TCG, True, probe * REFERENCE_PROBE_SECONDS, ""))

    assert deadlines.seconds(Wait.BOOT) == pytest.approx(Wait.BOOT.seconds * scale)
    assert deadlines.of(Wait.BOOT) == deadlines.seconds(Wait.BOOT)
    assert deadlines.of(7.5) == 7.5


def test_every_wait_says_what_it_waits_for():
    assert len({wait.text for wait in Wait}) == len(Wait)
    assert all(wait.text and wait.seconds > 0 for wait in Wait)


def test_an_error_says_what_was_waited_for_for_how_long_and_what_was_seen_last():
    seen = iter(["nothing yet", "a light", "a light"])

    with pytest.raises(DeadlineError, match="waited 0 s for the door to open") as caught:
        Deadline(0.02, "the door to open").poll(lambda: (None, next(seen, "a light")), interval=0.005)

    assert caught.value.details == ("last seen: a light",)
