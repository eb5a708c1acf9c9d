"""What all of the harness's own tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# pytester forgets after a run in this process what was imported in it. What a run with guests stands on (requests, with
# its classes) must not be there twice: what one copy makes is nothing to another.
import harness.fleet.lab
import harness.plugin.scenes
import harness.report.coverage.measured  # noqa: F401
from tests.surroundings import settle, state
from tests.told import tell

pytest_plugins = ["pytester"]

LONG = (
    "mutation/test_guards.py",
    "plugin/test_examples.py",
    "windows/test_forked_guests.py",
    "reference/labfs/test_suites.py",
    "reliability/test_reference_guest.py",
    "reliability/test_chaos.py",
    "machine/test_templates.py",
    "report/test_viewer.py",
)
"""The modules that take longest, in this order: who comes last with one of them keeps all other processors waiting."""

settle()
# No example is too slow for a machine that is busy, and the next run tries what this one tried.
settings.register_profile("fltlab", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fltlab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    tests = Path(__file__).parent
    order = {tests / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell(terminalreporter)


@pytest.fixture(autouse=True)
def the_process_is_left_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that changes the process for those after it.

    What it imported from its own folder is forgotten: the next one's test_one.py is another.
    """
    modules, path, before = set(sys.modules), list(sys.path), state()
    yield
    folder = tmp_path_factory.getbasetemp()
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]
    sys.path[:] = path
    after = state()
    assert [(name, was, after[name]) for name, was in before.items() if after[name] != was] == []
