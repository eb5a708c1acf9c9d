"""What the user has named is held against what there is before any guest starts: one message, exit code 2.

What only shows while a guest is made (a driver that does not build, no QEMU, a guest that dies in boot) ends the run
with the first test that meets it, if every other test would meet it too.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ConfigurationError, FltLabError, GuestError, HostError
from harness.plugin.options import DEFAULT_GUEST, Settings, settings


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
        if chosen.out is not None:
            require_usable(chosen.out)
    except FltLabError as error:
        raise pytest.UsageError(str(error)) from error


def require_known(chosen: Settings) -> None:
    """Raise ConfigurationError if a setting names what there is not. A default is no setting, and costs nothing."""
    if chosen.guests != (DEFAULT_GUEST,) or chosen.record is not None:
        from harness.plugin.providers import require_guest

        for name in chosen.guests:
            require_guest(name, chosen)
    if chosen.verifier != "off" or chosen.filesystems:
        _require_windows(chosen)
    if chosen.accelerator is not None:
        from harness.host.accelerator import parse_choice

        parse_choice(chosen.accelerator)
    if chosen.mutants:
        from harness.plugin.mutants import require_mutants

        require_mutants(chosen.mutants)
    if chosen.drivers or chosen.replacements:
        from harness.plugin.drivers import Drivers

        drivers = Drivers(chosen.drivers)
        for name in [*chosen.replacements, *chosen.replacements.values()]:
            drivers.require(name)


def _require_windows(chosen: Settings) -> None:
    """Raise ConfigurationError if what only Windows has is asked of reference guests alone."""
    from harness.guest.data_disk import parse_file_system
    from harness.guest.verifier import parse_level

    parse_level(chosen.verifier)
    for system in chosen.filesystems:
        parse_file_system(system)
    if all(name.startswith(DEFAULT_GUEST) for name in chosen.guests):
        raise ConfigurationError(
            "--verifier and --filesystem are for Windows guests",
            details=("the reference kernel's own verifier is always on, and it models one file system",),
            hint="--guest windows-…; fltlab image list",
        )


def require_usable(directory: Path) -> None:
    """Raise ConfigurationError if a run directory cannot be made there."""
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if not nearest.is_dir():
        raise ConfigurationError(f"{directory} cannot be the directory of a run: {nearest} is a file")
    try:
        with tempfile.TemporaryDirectory(prefix=".fltlab-", dir=nearest):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{directory} cannot be the directory of a run", details=(str(error),), hint="--out DIR says where else"
        ) from error


@contextlib.contextmanager
def needed_by_all(session: pytest.Session, *, guest: bool = False) -> Iterator[None]:
    """End the run after this test if what is made here cannot be had: no other test would fare better.

    With `guest`, also an error of a guest counts: none has come up yet.
    """
    try:
        yield
    except FltLabError as error:
        if isinstance(error, ConfigurationError | HostError) or (guest and isinstance(error, GuestError)):
            session.shouldstop = f"no test can run: {error.message}"
        raise
