"""What the suite of black boxes holds a driver against: the same workload without it."""

from collections.abc import Callable, Iterator

import pytest

from harness.fleet.trial.baseline import Baselines
from harness.fleet.trial.transparency import compare_steps, summarize
from harness.fleet.trial.workload import WORKLOAD, Part
from harness.plugin.options import settings

PARTS = {part.name: part for part in WORKLOAD}
DRIVER = "passthrough"
"""The driver of the stacks here; `--replace passthrough=<yours>` puts yours in its place."""


@pytest.fixture(scope="session")
def baselines(request: pytest.FixtureRequest) -> Iterator[Baselines]:
    """The answers without the driver, once for each guest of the run."""
    return Baselines(settings(request.config))


@pytest.fixture
def unmeant(
    request: pytest.FixtureRequest, lab, baselines: Baselines, fltlab_drivers, fltlab_guest_name: str
) -> Callable[..., list[str]]:
    """Do a part of the standard workload: what comes out differently, and its driver.yaml does not allow."""
    chosen = settings(request.config)
    allowed = fltlab_drivers.package(chosen.replacements.get(DRIVER, DRIVER)).changes

    def differences(name: str) -> list[str]:
        part: Part = PARTS[name]
        given = lab.io("\n".join(part.lines))
        found = compare_steps(part.name, part.lines, baselines.of(fltlab_guest_name, part), given)
        return [change.words for change in summarize(found, allowed) if change.allowed is None]

    return differences
