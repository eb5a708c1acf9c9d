"""Where `--coverage` may be asked for, and the file that it goes to."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.providers import kind_of
from harness.guest import GuestKind
from harness.report.coverage.measured import parse_target


def coverage_target(given: str, guests: Iterable[str], base: Path, *, replay: bool = False) -> Path:
    """The file, seen from `base`; ConfigurationError where a guest cannot say what ran in it."""
    windows = [name for name in guests if kind_of(name) is GuestKind.WINDOWS]
    if windows or replay:
        who = "a recording" if replay else f"{windows[0]}, which is Windows,"
        raise ConfigurationError(
            f"--coverage: {who} does not say which code of a driver runs",
            hint="measure it on reference-local: --guest reference-local",
        )
    return parse_target(given, base)
