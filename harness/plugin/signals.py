"""SIGTERM and SIGHUP end a run as Ctrl-C does: guests are ended in order, the results so far are reported.

pytest by itself dies of them at once. What SIGKILL leaves behind is cleaned up by harness/machine/watchdog.py.
"""

import os
import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import NoReturn

import pytest

from harness.errors import ExitCode
from harness.plugin.facts import is_ours

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
PATIENCE = 60.0
"""Seconds that a run has to end in order."""

_ending = threading.Event()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Take the signals while tests run that may hold a guest; a process that shares them out sees no test itself."""
    shares = session.config.pluginmanager.has_plugin("dsession")
    if threading.current_thread() is not threading.main_thread() or not (shares or any(map(is_ours, session.items))):
        return (yield)
    ours = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    # They stay taken until the fixtures of the session have ended: see pytest_unconfigure.
    session.config.add_cleanup(lambda: _give_back(ours))
    return (yield)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    """End in order; at once with the second signal, or when the order takes too long: the watchdog puts away the rest.

    A test may swallow the exception, or wait where none comes through.
    """
    if _ending.is_set():
        os._exit(ExitCode.INTERRUPTED)
    _ending.set()
    last = threading.Timer(PATIENCE, os._exit, [int(ExitCode.INTERRUPTED)])
    last.daemon = True
    last.start()
    raise KeyboardInterrupt(signal.Signals(number).name)


def _give_back(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
