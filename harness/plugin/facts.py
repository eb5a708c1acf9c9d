"""What is known of a test beside its outcome: rules, stack, guest, witnesses, drivers, files.

The facts are collected where the test runs, which may be a worker of pytest-xdist, and travel on pytest's own reports
to the process that records them.
"""

from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.report.records import Schedules, Witness

RULE_PROPERTY = "rule"
OF_COMMAND = "fltlab_run_command"
"""What the plugin has that `fltlab run` gives to pytest."""
LAB_FIXTURE = "lab"
LEASE_FIXTURE = (
    "fltlab_lease"  # what `guest` and `lab` stand on, so that a `lab` of somebody else is not taken for ours
)


@dataclass
class ItemFacts:
    """Facts of one test; filled in while it runs.

    `folder` is relative to the run directory.
    """

    suite: str
    guest: str = ""
    guest_kind: str = ""
    rules: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    drivers: dict[str, str] = field(default_factory=dict)
    guest_facts: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None
    flaky: str = ""
    """Why it is, of a test that passed at its second attempt."""
    schedules: Schedules | None = None


FACTS = pytest.StashKey[ItemFacts]()


def is_ours(item: pytest.Item) -> bool:
    """Whether a test belongs to a run's record: it names a rule, asks for a guest, or `fltlab run` runs it."""
    if is_of_command(item.config):
        return True
    return item.get_closest_marker("rule") is not None or LEASE_FIXTURE in getattr(item, "fixturenames", ())


def is_of_command(config: pytest.Config) -> bool:
    """Whether `fltlab run` has started pytest: then everything that is run belongs to its record."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is not None:
        return bool(told.get(OF_COMMAND))
    return any(getattr(plugin, OF_COMMAND, False) for plugin in config.pluginmanager.get_plugins())


def suite_of(path: Path, root: Path) -> str:
    """The suite a test file belongs to: its folder, or its own name where it stands at the top of its tree."""
    at_top = path.parent == root or path.parent.name == "suites"
    return path.stem.removeprefix("test_") if at_top else path.parent.name


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note what is known before the test runs."""
    if not is_ours(item):
        return
    rules = list(dict.fromkeys(rule for mark in item.iter_markers("rule") for rule in mark.args))
    stack = item.get_closest_marker("stack")
    item.stash[FACTS] = ItemFacts(
        suite_of(item.path, item.config.rootpath), rules=rules, stack=list(stack.args) if stack else []
    )
    item.user_properties.extend((RULE_PROPERTY, rule) for rule in rules)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the facts on the report, as plain data that pytest-xdist can send."""
    report = yield
    if FACTS in item.stash:
        report.__dict__["fltlab"] = asdict(item.stash[FACTS])
    return report
