"""The options of a run: the same for `fltlab run` and for plain `pytest suites/`.

PYTEST_DONT_REWRITE: `fltlab run` imports this module before pytest does, and pytest would warn of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

DEFAULT_GUEST = "reference"


@dataclass(frozen=True)
class Option:
    """One option, as pytest and the command line both declare it."""

    flag: str
    help: str
    metavar: str | None = None
    repeatable: bool = False
    kind: type = str

    @property
    def name(self) -> str:
        """The name its value has in Python."""
        return "fltlab_" + self.flag.removeprefix("--").replace("-", "_")


GUEST = Option(
    "--guest",
    "guest to run on: reference (QEMU), reference-local (a local process), or the name of a Windows image; "
    "several times for several guests (default: reference)",
    "NAME",
    repeatable=True,
)
ACCEL = Option("--accel", "QEMU's accelerator: kvm or tcg (default: the best that really runs a guest)", "NAME")
OUT = Option("--out", "directory of this run's files (default: runs/<time>-<id>)", "DIR")
SEED = Option("--seed", "seed of the reference kernel's scheduler (default: 1)", "N", kind=int)
DRIVERS = Option("--drivers", "directory of further drivers, each with its driver.yaml", "DIR", repeatable=True)
MUTANT = Option("--mutant", "break of the contract to build into the reference kernel", "NAME", repeatable=True)
REPLACE = Option(
    "--replace", "have another driver take the place of NAME in every stack", "NAME=DRIVER", repeatable=True
)
IMAGE_DIR = Option("--image-dir", "directory of guest images (default: the user's data directory)", "DIR")

RESUME = Option(
    "--resume", "finish an interrupted run: its directory, its id, or `last`; results that it has stand", "RUN"
)

FILESYSTEM = Option(
    "--filesystem",
    "file system of a Windows guest's data disk: ntfs, refs, exfat, fat32; several times for several (default: ntfs)",
    "NAME",
    repeatable=True,
)
VERIFIER = Option(
    "--verifier",
    "Driver Verifier of Windows guests: off, standard, filter, special-pool, low-resources (default: off)",
    "LEVEL",
)
PAUSE = Option("--pause-on-failure", "stop at the first failure, its guest paused for a debugger", kind=bool)
RECORD = Option("--record", "keep what is said to the guests in a new directory, for `fltlab replay`", "DIR")
REPLAY = Option("--replay", "have a recording of --record answer, and no guest (see `fltlab replay`)", "DIR")
FILE_SYSTEM_MARK = "+"
"""In a guest's name, before the file system of its data disk, where that is not the default: `windows-…+refs`."""

OPTIONS = (
    GUEST,
    ACCEL,
    OUT,
    SEED,
    DRIVERS,
    REPLACE,
    MUTANT,
    IMAGE_DIR,
    RESUME,
    FILESYSTEM,
    VERIFIER,
    PAUSE,
    RECORD,
    REPLAY,
)


@dataclass(frozen=True)
class Settings:
    """What the user chose."""

    guests: tuple[str, ...]
    accelerator: str | None
    out: Path | None
    seed: int
    drivers: tuple[Path, ...]
    replacements: Mapping[str, str]
    mutants: tuple[str, ...]
    image_directory: Path | None
    verifier: str = "off"
    filesystems: tuple[str, ...] = ()
    pause_on_failure: bool = False
    record: Path | None = None
    replay: Path | None = None

    def as_options(self) -> dict[str, object]:
        """Plain data for run.json; options left at their default are left out."""
        given: dict[str, object] = {"guest": list(self.guests), "seed": self.seed}
        given |= {"accel": self.accelerator} if self.accelerator else {}
        given |= {"drivers": [str(path) for path in self.drivers]} if self.drivers else {}
        given |= {"replace": dict(self.replacements)} if self.replacements else {}
        given |= {"mutant": list(self.mutants)} if self.mutants else {}
        given |= {"verifier": self.verifier} if self.verifier != "off" else {}
        given |= {"filesystem": list(self.filesystems)} if self.filesystems else {}
        return given


def settings(config: pytest.Config) -> Settings:
    """The settings of this pytest run."""

    def path(option: Option) -> Path | None:
        value = config.getoption(option.name)
        return Path(config.invocation_params.dir, value).resolve() if value else None

    return Settings(
        guests=_matrix(config.getoption(GUEST.name) or [DEFAULT_GUEST], config.getoption(FILESYSTEM.name) or []),
        accelerator=config.getoption(ACCEL.name),
        out=path(OUT),
        seed=config.getoption(SEED.name) or 1,
        drivers=tuple(
            Path(config.invocation_params.dir, given).resolve() for given in config.getoption(DRIVERS.name) or ()
        ),
        replacements=dict(_replacement(given) for given in config.getoption(REPLACE.name) or ()),
        mutants=tuple(config.getoption(MUTANT.name) or ()),
        image_directory=path(IMAGE_DIR),
        verifier=config.getoption(VERIFIER.name) or "off",
        filesystems=tuple(config.getoption(FILESYSTEM.name) or ()),
        pause_on_failure=bool(config.getoption(PAUSE.name)),
        record=path(RECORD),
        replay=path(REPLAY),
    )


def _matrix(guests: list[str], filesystems: list[str]) -> tuple[str, ...]:
    """Every guest with every file system; the reference kernel has but one, and is there once."""
    names = (
        [guest] if guest.startswith(DEFAULT_GUEST) else [f"{guest}{FILE_SYSTEM_MARK}{system}" for system in filesystems]
        for guest in guests
    )
    flat = [name for of_guest, guest in zip(names, guests, strict=True) for name in of_guest or [guest]]
    return tuple(dict.fromkeys(flat))


def _replacement(given: str) -> tuple[str, str]:
    name, separator, driver = given.partition("=")
    if not (name and separator and driver):
        raise pytest.UsageError(f"--replace takes NAME=DRIVER, not {given!r}")
    return name, driver


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
            action="append" if option.repeatable else "store",
            type=option.kind,
            metavar=option.metavar,
            help=option.help,
        )
