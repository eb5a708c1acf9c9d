"""The driver that is to be fuzzed: a file, a directory, or the name of one."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers
from harness.fleet.settings import driver_directories
from harness.fleet.trial.candidate import Candidate, find_candidate
from harness.minifilter.package import PACKAGE_FILE, PackageKind


def chosen_driver(given: Path, directories: Sequence[Path]) -> Candidate:
    """The driver; ConfigurationError if there is none, or it is none."""
    if given.exists() or len(given.parts) > 1 or given.suffix:
        return find_candidate(given)
    drivers = Drivers(driver_directories([str(one) for one in directories], Path.cwd()))
    package = drivers.package(given.name)
    if package.kind is not PackageKind.DRIVER:
        raise ConfigurationError(f"{package.name} is a program, no driver")
    return find_candidate(package.directory / PACKAGE_FILE)
