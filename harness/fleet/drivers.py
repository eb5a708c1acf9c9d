"""The drivers of a run: fltlab's own and the user's, built when a test first needs them."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError, did_you_mean
from harness.fleet import delivered
from harness.fleet.builds import note_use, output_of
from harness.fleet.progress import say
from harness.minifilter.altitude import Altitude
from harness.minifilter.imports import SUPPORT
from harness.minifilter.inf import default_altitude
from harness.minifilter.package import PACKAGE_FILE, DriverPackage, find_packages, load_package

if TYPE_CHECKING:
    from harness.minifilter.build import BuiltDriver

PROBE = "fltprobe"
_KEYS = {".vcxproj": "vcxproj", ".sys": "binary"}
"""What fltlab takes without a driver.yaml where it tries a driver alone, and the key of a driver.yaml for it."""


def _near(name: str) -> Path | None:
    """The directory of a driver.yaml near the working directory that describes a driver of this name."""
    here = Path.cwd()
    for file in itertools.chain.from_iterable(here.glob(depth + PACKAGE_FILE) for depth in ("", "*/", "*/*/")):
        with contextlib.suppress(ConfigurationError):
            if load_package(file).name == name:
                return file.parent
    return None


def _undescribed(root: Path, name: str) -> Iterator[Path]:
    """Files below a directory that a driver of this name can be made from."""
    return (file for file in sorted(root.rglob("*")) if file.stem.lower() == name and file.suffix.lower() in _KEYS)


class Drivers:
    """Finds drivers by name below several directories, and builds those that are asked for."""

    def __init__(self, further: Sequence[Path]) -> None:
        """Raise ConfigurationError if a directory is not there, or a driver.yaml in it is wrong."""
        self._roots = (SUPPORT, *further)
        self._built: dict[str, BuiltDriver] = {}
        self._refused: dict[str, ConfigurationError] = {}
        """Why those that cannot be built cannot, which is found out once."""
        self._root_of: dict[str, Path] = {}
        self._packages: dict[str, DriverPackage] = {}
        for root in self._roots:
            for name, package in find_packages(root).items():
                if name in self._root_of and not package.described:
                    continue  # nobody said that this project is one of theirs
                if name in self._root_of:
                    raise ConfigurationError(
                        f"two drivers are called {name}",
                        details=(str(self._root_of[name]), str(root)),
                        hint="rename yours",
                    )
                self._root_of[name], self._packages[name] = root, package

    def require(self, name: str) -> None:
        """Raise ConfigurationError if no directory has a driver of this name."""
        if name in self._root_of:
            return
        nearly = next((file for root in self._roots[1:] for file in _undescribed(root, name)), None)
        if nearly is not None:
            raise ConfigurationError(
                f"there is no driver called {name!r}: {nearly} has no driver.yaml that says so",
                hint=f"write {nearly.with_name(PACKAGE_FILE)}: name: {name}, description: …, control: none, "
                f"{_KEYS[nearly.suffix.lower()]}: {nearly.name} (docs/drivers.md)",
            )
        near = _near(name)
        raise ConfigurationError(
            f"there is no driver called {name!r}{did_you_mean(name, self._root_of)}",
            details=tuple(f"looked below {root}" for root in self._roots),
            hint=f"--drivers {near}: one is there"
            if near is not None
            else "fltlab drivers list; --drivers DIR adds a directory",
        )

    def package(self, name: str) -> DriverPackage:
        """What a driver's driver.yaml says."""
        self.require(name)
        return self._packages[name]

    def build(self, names: Sequence[str]) -> "dict[str, BuiltDriver]":
        """The named drivers, built; a driver that no directory has is the user's mistake."""
        for name in names:
            self.require(name)
        for name in names:
            if name in self._refused:
                raise self._refused[name]
        for name in names:
            if name not in self._built and (came := delivered.find_delivered(self.package(name))) is not None:
                self._built[name] = came
        missing = [name for name in dict.fromkeys(names) if name not in self._built]
        for root in self._roots:
            of_this_root = [name for name in missing if self._root_of[name] == root]
            if of_this_root:
                if not output_of(root).is_dir():
                    say(f"building the drivers of {root} (once; then only what has changed)")
                self._build_below(root, of_this_root)
                if root != SUPPORT:
                    note_use(root)
        return {name: self._built[name] for name in names}

    def _build_below(self, root: Path, names: Sequence[str]) -> None:
        from harness.minifilter.build import build_drivers  # whose imports a list of drivers need not wait for

        try:
            self._built |= build_drivers(root, output_of(root), names)
        except ConfigurationError as error:
            if len(names) == 1:
                self._refused[names[0]] = error
                raise
            for name in names:  # one of them
                self._build_below(root, [name])
            raise


@cache
def altitudes_of(further: tuple[Path, ...]) -> Mapping[str, Altitude]:
    """The altitudes that users' drivers have by their INF or driver.yaml; ours stand wherever a stack wants them."""
    packages = [package for root in further if root != SUPPORT for package in find_packages(root).values()]
    found: dict[str, Altitude] = {}
    for package in packages:
        if package.altitude is not None:
            found[package.name] = Altitude(package.altitude)
        elif package.inf is not None and package.path(package.inf).is_file():
            own = default_altitude(package.path(package.inf))
            found |= {} if own is None else {package.name: own}
    return found


def build_alone(package: DriverPackage) -> "BuiltDriver":
    """A driver that no directory of drivers has, built."""
    from harness.minifilter.build import build_packages

    root = package.directory
    built = build_packages([package], root, output_of(root))[package.name]
    note_use(root)
    return built


def symbol_directories(further: Sequence[Path]) -> list[Path]:
    """Where the images and PDBs of a run's drivers are: fltlab's own and those of further directories."""
    came = delivered.directory()
    return [*([came] if came is not None else []), *(output_of(root) for root in (SUPPORT, *further))]
