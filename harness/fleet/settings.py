"""What a user has chosen for a run: its guests and how they are started, its drivers, its seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError
from harness.fleet.guest_name import GuestName
from harness.fleet.schedules.schedule_file import Schedule
from harness.fleet.schedules.search import Mode
from harness.shipped import DRIVERS

if TYPE_CHECKING:
    from harness.guest import KernelOptions

DEFAULT_GUEST = "reference"
DEFAULT_SEED = 1
MOST_SCHEDULES = 1_000_000
LOCAL_GUEST = "reference-local"


@dataclass(frozen=True)
class Settings:
    """What the user chose."""

    guests: tuple[str, ...] = (DEFAULT_GUEST,)
    accelerator: str | None = None
    out: Path | None = None
    seed: int = DEFAULT_SEED
    drivers: tuple[Path, ...] = ()
    replacements: Mapping[str, str] = field(default_factory=dict)
    mutants: tuple[str, ...] = ()
    image_directory: Path | None = None
    filesystems: tuple[str, ...] = ()
    """As they were given: the names of the guests have them, and so it is with the levels of Driver Verifier."""
    verifiers: tuple[str, ...] = ()
    data_volumes: tuple[str, ...] = ()
    file_system_driver: tuple[Path, Path] | None = None
    pause_on_failure: bool = False
    coverage: Path | None = None
    """The file that says which lines of the drivers ran."""
    record: Path | None = None
    replay: Path | None = None
    schedules: int = 0
    """Under how many schedules each test is tried; 0: as the seed has it, and no other."""
    exploration: Mode = Mode.BOTH
    seeds: range = range(0)
    """The seeds that each test is run with, one after the other; none: with `seed`."""
    schedule: Schedule | None = None
    """The one schedule that tests are run under."""

    @property
    def kernel(self) -> "KernelOptions":
        """How the reference kernel is started."""
        from harness.guest import KernelOptions  # not for every pytest run on the machine

        return KernelOptions(
            seed=self.seed,
            mutants=self.mutants,
            file_system=self.file_system_driver,
            data=self.data_volumes,
            coverage=self.coverage is not None,
        )

    def as_options(self) -> dict[str, object]:
        """Plain data for run.json; options left at their default are left out."""
        given: dict[str, object] = {"guest": list(self.guests), "seed": self.seed}
        given |= {"accel": self.accelerator} if self.accelerator else {}
        given |= {"drivers": [str(path) for path in self.drivers]} if self.drivers else {}
        given |= {"replace": dict(self.replacements)} if self.replacements else {}
        given |= {"mutant": list(self.mutants)} if self.mutants else {}
        given |= {"verifier": list(self.verifiers)} if self.verifiers else {}
        given |= {"filesystem": list(self.filesystems)} if self.filesystems else {}
        given |= {"data-volume": list(self.data_volumes)} if self.data_volumes else {}
        given |= {"coverage": str(self.coverage)} if self.coverage else {}
        given |= {"schedules": f"{self.exploration.value}:{self.schedules}"} if self.schedules else {}
        if self.file_system_driver is not None:
            given["file-system-driver"] = "=".join(map(str, self.file_system_driver))
        return given


def driver_directories(given: Sequence[str | Path], directory: Path) -> tuple[Path, ...]:
    """The directories of further drivers: those given, seen from `directory`; else its own `drivers`, if it has any."""
    if given:
        return tuple(Path(directory, one).resolve() for one in given)
    own = Path(directory, "drivers").resolve()
    return (own,) if own != DRIVERS and any(own.glob("**/driver.yaml")) else ()


def parse_file_system_driver(given: str, guests: Sequence[str], base: Path) -> tuple[Path, Path]:
    """`SYS=IMAGE`; ConfigurationError where a file is not there, or a guest is not on this machine itself."""
    driver, separator, image = given.partition("=")
    if not (driver and separator and image):
        raise ConfigurationError(f"--file-system-driver takes SYS=IMAGE, not {given!r}")
    found = (base / driver).resolve(), (base / image).resolve()
    for path in found:
        if not path.is_file():
            raise ConfigurationError(f"--file-system-driver: there is no file {path}")
    if any(GuestName.parse(guest).image != LOCAL_GUEST for guest in guests):
        raise ConfigurationError(
            "--file-system-driver works on reference-local only", hint=f"give --guest {LOCAL_GUEST}"
        )
    return found


def parse_schedules(given: str, guests: Sequence[str]) -> tuple[int, Mode]:
    """`N`, `pct:N` or `bounded:N`: how many schedules, and how chosen; ConfigurationError for anything else."""
    mode, _, count = given.rpartition(":")
    if mode not in ("", *Mode) or not count.isdecimal() or not 0 < int(count) <= MOST_SCHEDULES:
        raise ConfigurationError(
            f"--schedules takes a number from 1 to {MOST_SCHEDULES:,}, not {given!r}",
            hint="--schedules 200, or pct:200 or bounded:200 for one way of choosing them",
        )
    require_local("--schedules", guests)
    return int(count), Mode(mode or Mode.BOTH)


def parse_seeds(given: str, guests: Sequence[str]) -> range:
    """`A..B`, both included; ConfigurationError for anything else."""
    first, _, last = given.partition("..")
    if not (first.isdecimal() and last.isdecimal()) or not 0 <= int(last) - int(first) < MOST_SCHEDULES:
        raise ConfigurationError(
            f"--seeds takes A..B, the first seed and the last, not {given!r}", hint="--seeds 1..200"
        )
    require_local("--seeds", guests)
    return range(int(first), int(last) + 1)


def require_local(option: str, guests: Sequence[str]) -> None:
    """ConfigurationError unless all guests are kernels on this machine, whose schedule can be chosen."""
    others = [guest for guest in guests if GuestName.parse(guest).image != LOCAL_GUEST]
    if others:
        raise ConfigurationError(
            f"{option} works on {LOCAL_GUEST} only: the schedules of {others[0]} cannot be chosen",
            hint=f"give --guest {LOCAL_GUEST}",
        )


def parse_data_volume(given: str) -> str:
    """`X:[KIND][,removable]`; ConfigurationError for anything else."""
    from harness.guest.data_disk import parse_file_system

    letter, colon, rest = given.partition(":")
    words = [word for word in rest.split(",") if word]
    if not colon or len(letter) != 1 or not letter.isalpha() or letter.upper() in "ABCV":
        raise ConfigurationError(
            f"--data-volume takes X:[FILE SYSTEM][,removable], not {given!r}", hint="for example --data-volume W:fat32"
        )
    kinds = [parse_file_system(word).value for word in words if word != "removable"]
    if len(kinds) > 1:
        raise ConfigurationError(f"--data-volume {given!r}: a volume has one file system")
    return f"{letter.upper()}:{','.join([*kinds, *(['removable'] if 'removable' in words else [])])}"


def parse_replacement(given: str) -> tuple[str, str]:
    """`NAME=DRIVER` as a pair; ConfigurationError for anything else."""
    name, separator, driver = given.partition("=")
    if not (name and separator and driver):
        raise ConfigurationError(f"--replace takes NAME=DRIVER, not {given!r}")
    return name, driver
