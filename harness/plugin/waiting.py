"""What a run waits for, said on the terminal: how long its tests took before, and a guest that is made ready.

Only what the tests really wait for: what is made ready beside a running test is nobody's wait. Workers of pytest-xdist
have no terminal, and -q wants none of it.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from harness.fleet.progress import heard_by
from harness.plugin.facts import LEASE_FIXTURE
from harness.plugin.live import duration, tell_expected, wants_live
from harness.plugin.options import settings
from harness.plugin.workers import workers_of

FIRST_WORKER = "gw0"
SHORT = 10
"""Seconds: nobody needs to be told of a wait that is shorter."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Listen, where there is a terminal to say it on."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.getoption("verbose") < 0 or wants_live(config):
        return

    def tell(text: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
            reporter.ensure_newline()
            reporter.write_line(f"fltlab: {text} …")

    listening = contextlib.ExitStack()
    listening.enter_context(heard_by(tell))
    config.add_cleanup(listening.close)


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """Say how long these tests took the last time, if that was long enough to want to know."""
    ours = [item for item in items if LEASE_FIXTURE in getattr(item, "fixturenames", ())]
    default = settings(config).guests[0]
    return list(_told(config, [(item.nodeid, _guest_of(item) or default) for item in ours]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """The same where workers collect: all have the same tests, and say no more of them than their names."""
    config: pytest.Config = node.config
    guests, reporter = settings(config).guests, config.pluginmanager.getplugin("terminalreporter")
    if node.gateway.id != FIRST_WORKER or len(guests) > 1 or reporter is None:
        return
    for line in _told(config, [(nodeid, guests[0]) for nodeid in ids]):
        reporter.write_line(line)


def _told(config: pytest.Config, wanted: Sequence[tuple[str, str]]) -> Iterator[str]:
    """How long these tests, each with its guest, took the last time; by that the line at the foot counts down."""
    if not wanted or config.getoption("verbose") < 0:
        return
    from harness.report.history import expected_seconds

    expected = expected_seconds(config.invocation_params.dir / "runs", wanted)
    tell_expected(config, expected, [nodeid for nodeid, _ in wanted])
    if expected is not None and (seconds := expected.total / workers_of(config)) >= SHORT:
        yield f"fltlab: about {duration(seconds)}, by the run {expected.run}"


def _guest_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("fltlab_guest_name", "")) if callspec is not None else ""
