"""--pause-on-failure: the guest of the first test that fails stays, paused, until somebody has looked at it.

QEMU ends with the process that started it, so the run waits: for Enter at the terminal, or Ctrl-C. It ends then.
"""

import sys
from pathlib import Path

import pytest

from harness.errors import FltLabError, GuestError
from harness.guest import Guest
from harness.guest.debug import debugger_terminal, how_to_connect, open_gdb_stub
from harness.guest.windows import WindowsBody
from harness.machine.machine import Machine
from harness.plugin.drivers import symbol_directories
from harness.plugin.options import Settings

TERMINAL = Path("/dev/tty")


def pause(item: pytest.Item, guest: Guest, settings: Settings) -> None:
    """Pause the guest, say how to connect, wait until Enter, and let the run end after this test."""
    try:
        lines = paused(guest, settings)
    except FltLabError as error:
        lines = [f"the guest cannot be paused: {error}"]
    else:
        item.session.shouldstop = "--pause-on-failure: a guest was paused for a debugger"
    capture = item.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stdout.write("\n" + "\n".join([f"{guest.name} is paused after {item.nodeid}", *lines]) + "\n")
        sys.stdout.flush()
        wait_for_enter()


def paused(guest: Guest, settings: Settings) -> list[str]:
    """Pause a guest and open its machine for gdb; how to connect. GuestError if it runs in no machine."""
    machine = guest.body.machine if isinstance(guest.body, WindowsBody) else guest.body
    if not isinstance(machine, Machine):
        raise GuestError(f"{guest.name} is no machine of QEMU", hint="--guest reference")
    port = open_gdb_stub(machine)
    symbols = symbol_directories(settings.drivers)
    return how_to_connect(port, guest.kind, symbols, terminal=debugger_terminal(machine))


def wait_for_enter() -> None:
    """Wait for Enter at the terminal; where there is none, there is nobody to wait for."""
    if not sys.__stdin__ or not sys.__stdin__.isatty():
        return
    with TERMINAL.open(encoding="utf-8") as terminal:
        sys.stdout.write("Enter ends the guest and the run\n")
        sys.stdout.flush()
        terminal.readline()
