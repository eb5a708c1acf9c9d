"""What the user has named is held against what there is before any guest starts: one message, exit code 2.

What only shows while a guest is made (no compiler, no QEMU, a guest that dies in boot) ends the run with the first test
that meets it, if every other test would meet it too. A driver that does not build is an error of the tests that need
it.
"""

import contextlib
from collections.abc import Iterator

import pytest

from harness.errors import ConfigurationError, FltLabError, GuestError, HostError
from harness.fleet.choices import require_known, require_usable
from harness.fleet.options import RESUME
from harness.plugin.options import settings
from harness.report.run_directory import require_ours


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Stop at a guest, driver, mutant or directory that is not there; once, not in each worker of pytest-xdist."""
    if hasattr(config, "workerinput"):
        return
    try:
        chosen = settings(config)
        require_known(chosen)
        if chosen.pause_on_failure and getattr(config.option, "numprocesses", None):
            raise ConfigurationError("--pause-on-failure does not go with -n: a worker has no terminal")
        if chosen.pause_on_failure:
            from harness.plugin.pause import require_pausable

            require_pausable(chosen.guests)
        if chosen.out is not None and config.getoption(RESUME.name) is None:
            require_ours(chosen.out)
            require_usable(chosen.out)
    except FltLabError as error:
        raise pytest.UsageError(str(error)) from error


@contextlib.contextmanager
def needed_by_all(session: pytest.Session, *, guest: bool = False, driver: bool = False) -> Iterator[None]:
    """End the run after this test if what is made here cannot be had: no other test would fare better.

    With `guest`, also an error of a guest counts: none has come up yet. With `driver`, what is wrong with a user's
    driver does not: the tests of other drivers run.
    """
    try:
        yield
    except FltLabError as error:
        ends = HostError if driver else (ConfigurationError, HostError)
        if isinstance(error, ends) or (guest and isinstance(error, GuestError)):
            session.shouldstop = f"no test can run: {error.message}"
        raise
