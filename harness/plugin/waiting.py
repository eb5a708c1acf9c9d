"""What a run waits for, said on the terminal while a guest is made ready: an image, a template, drivers.

Only what the tests really wait for: what is made ready beside a running test is nobody's wait. Workers of pytest-xdist
have no terminal, and -q wants none of it.
"""

import contextlib
import threading

import pytest

from harness.fleet.progress import heard_by


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Listen, where there is a terminal to say it on."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.getoption("verbose") < 0:
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
