"""The options of a run, as pytest takes them."""

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.fleet import options
from harness.fleet.guest_name import guest_matrix
from harness.fleet.options import OPTIONS, Option
from harness.fleet.schedules.schedule_file import Schedule, read_schedule
from harness.fleet.schedules.search import Mode
from harness.fleet.settings import (
    DEFAULT_GUEST,
    DEFAULT_SEED,
    Settings,
    driver_directories,
    parse_data_volume,
    parse_file_system_driver,
    parse_replacement,
    parse_schedules,
    parse_seeds,
    require_local,
)


def settings(config: pytest.Config) -> Settings:
    """The settings of this pytest run."""

    def given(option: Option) -> list[str]:
        return config.getoption(option.name) or []

    def path(option: Option) -> Path | None:
        value = config.getoption(option.name)
        return Path(config.invocation_params.dir, value).resolve() if value else None

    try:
        replacements = dict(map(parse_replacement, given(options.REPLACE)))
        chosen = config.getoption(options.FILE_SYSTEM_DRIVER.name)
        base = Path(config.invocation_params.dir)
        guests = given(options.GUEST) or [DEFAULT_GUEST]
        count, mode = 0, Mode.BOTH
        if (asked := config.getoption(options.SCHEDULES.name)) is not None:
            count, mode = parse_schedules(asked, guests)
        schedule = _schedule(config, guests)
        seeds = _seeds(config, guests)
        driver = parse_file_system_driver(chosen, guests, base) if chosen else None
        coverage = _coverage(config)
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
    return Settings(
        guests=guest_matrix(guests, given(options.FILESYSTEM), given(options.VERIFIER)),
        accelerator=config.getoption(options.ACCEL.name),
        out=path(options.OUT),
        seed=_seed(config),
        drivers=driver_directories(given(options.DRIVERS), config.invocation_params.dir),
        replacements=replacements,
        mutants=tuple(given(options.MUTANT)),
        image_directory=path(options.IMAGE_DIR),
        verifiers=tuple(given(options.VERIFIER)),
        filesystems=tuple(given(options.FILESYSTEM)),
        data_volumes=tuple(parse_data_volume(text) for text in given(options.DATA_VOLUME)),
        file_system_driver=driver,
        pause_on_failure=bool(config.getoption(options.PAUSE.name)),
        coverage=coverage,
        record=path(options.RECORD),
        replay=path(options.REPLAY),
        schedules=count,
        exploration=mode,
        schedule=schedule,
        seeds=seeds,
    )


def _coverage(config: pytest.Config) -> Path | None:
    chosen = config.getoption(options.COVERAGE.name)
    if not chosen:
        return None
    from harness.fleet.coverage_target import coverage_target  # not for every pytest run on the machine

    guests = config.getoption(options.GUEST.name) or [DEFAULT_GUEST]
    return coverage_target(
        chosen, guests, Path(config.invocation_params.dir), replay=bool(config.getoption(options.REPLAY.name))
    )


def _schedule(config: pytest.Config, guests: list[str]) -> Schedule | None:
    """The schedule of `--schedule`; ConfigurationError if there is none, or where it cannot be followed."""
    given = config.getoption(options.SCHEDULE.name)
    if given is None:
        return None
    if config.getoption(options.SCHEDULES.name) is not None:
        raise ConfigurationError("--schedule runs one schedule and --schedules explores many: give one of them")
    require_local("--schedule", guests)
    file = Path(config.invocation_params.dir, given)
    return read_schedule(str(file) if file.is_file() else given)


def _seeds(config: pytest.Config, guests: list[str]) -> range:
    """The seeds of `--seeds`; ConfigurationError where they do not go with what else is asked for."""
    given = config.getoption(options.SEEDS.name)
    if given is None:
        return range(0)
    for other in (options.SEED, options.SCHEDULES, options.SCHEDULE):
        if config.getoption(other.name) is not None:
            raise ConfigurationError(f"--seeds does not go with {other.flag}: give one of them")
    return parse_seeds(given, guests)


def _seed(config: pytest.Config) -> int:
    """The seed, from 0; two of them cannot both be meant."""
    given = config.getoption(options.SEED.name)
    if given is None:
        return DEFAULT_SEED
    if len(given) > 1:
        raise pytest.UsageError(f"--seed is given {len(given)} times: {', '.join(map(str, given))}")
    if given[0] < 0:
        raise pytest.UsageError(f"--seed is a number from 0, not {given[0]}")
    return int(given[0])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options in a group of their own."""
    group = parser.getgroup("fltlab", "minifilter tests on a guest (fltlab)")
    for option in OPTIONS:
        if option.kind is bool:
            group.addoption(option.flag, dest=option.name, action="store_true", help=option.help)
            continue
        group.addoption(
            option.flag,
            dest=option.name,
            action="append" if option.repeatable or option is options.SEED else "store",
            type=option.kind,
            metavar=option.metavar,
            help=option.help,
        )
