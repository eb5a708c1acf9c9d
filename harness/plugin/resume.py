"""`--resume RUN`: the results of an interrupted run stand, and only what it lacks is run."""

from typing import Any

import pytest

from harness.plugin.run import RUN


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that have a result."""
    finished = config.stash[RUN].finished
    if not finished:
        return
    done = [item for item in items if item.nodeid in finished]
    items[:] = [item for item in items if item.nodeid not in finished]
    config.hook.pytest_deselected(items=done)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of which nothing was left to do has not gone wrong."""
    run = session.config.stash[RUN]
    if run.finished and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is being resumed."""
    unfinished: Any = config.stash[RUN].unfinished
    if unfinished is None:
        return []
    return [f"resuming the run {unfinished.provenance.id}: {len(unfinished.finished)} results stand"]
