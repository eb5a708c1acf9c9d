"""What a user has named is held against what there is, before any guest starts."""

import tempfile
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.settings import DEFAULT_GUEST, Settings


def require_known(chosen: Settings) -> None:
    """Raise ConfigurationError if a setting names what there is not. A default is no setting, and costs nothing."""
    if chosen.guests != (DEFAULT_GUEST,) or chosen.record is not None:
        from harness.fleet.providers import require_guest

        for name in chosen.guests:
            require_guest(name, chosen)
    if chosen.verifiers:
        _require_windows(chosen)
    if chosen.filesystems:
        from harness.guest.data_disk import parse_file_system

        for system in chosen.filesystems:
            parse_file_system(system)
    if chosen.data_volumes and not any(name.startswith(DEFAULT_GUEST) for name in chosen.guests):
        raise ConfigurationError(
            "--data-volume is for reference guests: a Windows guest has its disks", hint="--guest reference"
        )
    if chosen.accelerator is not None:
        from harness.host.accelerator import parse_choice

        parse_choice(chosen.accelerator)
    if chosen.mutants:
        from harness.fleet.mutants import require_mutants

        require_mutants(chosen.mutants)
    if chosen.drivers or chosen.replacements:
        from harness.fleet.drivers import Drivers

        drivers = Drivers(chosen.drivers)
        for name in [*chosen.replacements, *chosen.replacements.values()]:
            drivers.require(name)


def _require_windows(chosen: Settings) -> None:
    """Raise ConfigurationError if what only Windows has is asked of reference guests alone."""
    from harness.guest.verifier import Level, parse_level

    levels = set(map(parse_level, chosen.verifiers))
    if levels != {Level.OFF} and all(name.startswith(DEFAULT_GUEST) for name in chosen.guests):
        raise ConfigurationError(
            "--verifier is for Windows guests",
            details=("the reference kernel's own verifier is always on",),
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
