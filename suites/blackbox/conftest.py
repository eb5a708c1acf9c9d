"""What the suite of black boxes holds a driver against: the same workload without it."""

from collections.abc import Callable

import pytest

from harness.fleet.pool import GuestPool
from harness.fleet.trial.baseline import Answers, ask_without
from harness.fleet.trial.transparency import compare_steps, summarize
from harness.fleet.trial.workload import WORKLOAD, Part
from harness.plugin.options import settings

PARTS = {part.name: part for part in WORKLOAD}
DRIVER = "passthrough"
"""The driver of the stacks here; `--replace passthrough=<yours>` puts yours in its place."""


@pytest.fixture(scope="session")
def asked() -> dict[str, Answers]:
    """The guests of this run that were asked without the driver, and their answers."""
    return {}


@pytest.fixture(scope="module")
def without(asked: dict[str, Answers], fltlab_pool: GuestPool, fltlab_guest_name: str) -> Answers:
    """The answers without the driver, of a guest that is gone before the first test here gets one."""
    if fltlab_guest_name not in asked:
        with fltlab_pool.apart(fltlab_guest_name) as guest:
            asked[fltlab_guest_name] = ask_without(guest)
    return asked[fltlab_guest_name]


@pytest.fixture
def unmeant(request: pytest.FixtureRequest, lab, without: Answers, fltlab_drivers) -> Callable[..., list[str]]:
    """Do a part of the standard workload: what comes out differently, and its driver.yaml does not allow."""
    chosen = settings(request.config)
    allowed = fltlab_drivers.package(chosen.replacements.get(DRIVER, DRIVER)).changes

    def differences(name: str) -> list[str]:
        part: Part = PARTS[name]
        given = lab.io("\n".join(part.lines))
        found = compare_steps(part.name, part.lines, without[name], given)
        return [change.words for change in summarize(found, allowed) if change.allowed is None]

    return differences
