"""--pause-on-failure: the guest of the first test that fails stays, paused, until somebody has looked at it.

QEMU ends with the process that started it, so the run waits: for Enter at the terminal, or Ctrl-C. It ends then.
"""

import sys
from collections.abc import Sequence

import pytest

from harness.errors import ConfigurationError, FltLabError
from harness.fleet.drivers import symbol_directories
from harness.fleet.settings import Settings
from harness.guest import Guest
from harness.guest.debug import TERMINAL, paused, wait_for_enter

LOCAL = "reference-local"


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


def require_pausable(guests: Sequence[str]) -> None:
    """ConfigurationError unless every guest is a machine that can be paused, and there is somebody to look at it."""
    local = [name for name in guests if name == LOCAL]
    if local:
        raise ConfigurationError(
            f"--pause-on-failure cannot pause {LOCAL}",
            details=("it is a process of this machine, and no machine of QEMU with a gdb stub",),
            hint="--guest reference",
        )
    try:
        TERMINAL.open(encoding="utf-8").close()
    except OSError as error:
        raise ConfigurationError(
            "--pause-on-failure waits for Enter, and there is no terminal", details=(str(error),), hint="a terminal"
        ) from error
