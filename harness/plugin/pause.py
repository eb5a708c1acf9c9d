"""--pause-on-failure: the guest of the first test that fails stays, paused, until somebody has looked at it.

QEMU ends with the process that started it, so the run waits: for Enter at the terminal, or Ctrl-C. It ends then.
"""

import sys

import pytest

from harness.errors import FltLabError
from harness.fleet.drivers import symbol_directories
from harness.fleet.settings import Settings
from harness.guest import Guest
from harness.guest.debug import paused, wait_for_enter


def pause(item: pytest.Item, guest: Guest, settings: Settings) -> None:
    """Pause the guest, say how to connect, wait until Enter, and let the run end after this test."""
    try:
        lines = paused(guest, symbol_directories(settings.drivers))
    except FltLabError as error:
        lines = [f"the guest cannot be paused: {error}"]
    else:
        item.session.shouldstop = "--pause-on-failure: a guest was paused for a debugger"
    capture = item.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stdout.write("\n" + "\n".join([f"{guest.name} is paused after {item.nodeid}", *lines]) + "\n")
        sys.stdout.flush()
        wait_for_enter()
