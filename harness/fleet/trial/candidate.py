"""The driver to be tried: found from a .sys, an INF, a driver.yaml, a Visual Studio project, or a directory of one.

Sources without any of these are a driver too, where one of them registers a minifilter.

What is not said anywhere is made up, and the candidate says what was: nobody needs a configuration to begin with.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.drivers import build_alone
from harness.minifilter.altitude import Altitude
from harness.minifilter.inf import REFERENCE_BUILD, Inf, InfInstance
from harness.minifilter.package import (
    PACKAGE_FILE,
    Control,
    DriverPackage,
    FilterKind,
    PackageKind,
    load_package,
    package_of,
)
from harness.minifilter.vcxproj import builds_driver

DEFAULT_ALTITUDE = "370030"
_SOURCES = frozenset({".c", ".cc", ".cpp", ".cxx"})
_REGISTERS = b"FltRegisterFilter"
_LINKED = ["fltmgr", "ntoskrnl", "hal", "cng", "ksecdd"]
"""What sources alone are linked with: they do not say which of them they want, and an image has what it calls."""


@dataclass(frozen=True)
class Candidate:
    """A driver to be tried. `read` and `made_up` are where its names and its altitude come from, for people."""

    package: DriverPackage
    title: str
    service: str
    instance: str
    altitude: Altitude
    attaches_by_itself: bool = False
    read: tuple[str, ...] = ()
    made_up: tuple[str, ...] = ()


def find_candidate(path: Path) -> Candidate:
    """The driver that a path leads to; ConfigurationError if it leads to none, or to several."""
    path = path.absolute()
    if not path.exists():
        raise ConfigurationError(f"there is no {path}", hint="a .sys, its .inf or .vcxproj, or a directory of one")
    if path.is_dir():
        return _of_directory(path)
    return _of_file(path)


def image_of(path: Path) -> Path:
    """The image that a path leads to, built where it is none itself; ConfigurationError as of `find_candidate`."""
    if path.suffix.lower() in {".sys", ".exe"}:
        return path
    return build_alone(find_candidate(path).package).sys


def _of_directory(directory: Path) -> Candidate:
    """What a directory is about: its driver.yaml, else its project, its INF, its .sys, or its sources."""
    own = directory / PACKAGE_FILE
    if own.is_file():
        return _of_package(own)
    for pattern in (PACKAGE_FILE, "*.vcxproj", "*.inf", "*.sys"):
        found = _the_one(directory, (file for file in _files(directory, pattern) if not _is_program(file)))
        if found is not None:
            return _of_file(found)
    of_sources = _of_sources(directory)
    if of_sources is not None:
        return of_sources
    raise ConfigurationError(
        f"{directory} has no driver",
        details=("looked for driver.yaml, *.vcxproj, *.inf, *.sys, and sources that call FltRegisterFilter",),
        hint="fltlab try X.sys",
    )


def _the_one(directory: Path, candidates: Iterable[Path]) -> Path | None:
    """The one candidate, or None; ConfigurationError if a directory has several."""
    found = sorted(candidates)
    if len(found) > 1:
        raise ConfigurationError(
            f"{directory} has several drivers",
            details=tuple(str(one.relative_to(directory)) for one in found[:10]),
            hint="name one of these",
        )
    return found[0] if found else None


def _is_program(file: Path) -> bool:
    """Whether a driver.yaml or a project is that of a program, such as a driver's service."""
    if file.suffix.lower() == ".vcxproj":
        return not builds_driver(file)
    return file.name == PACKAGE_FILE and load_package(file).kind is PackageKind.PROGRAM


def _files(directory: Path, pattern: str) -> list[Path]:
    """The files of a pattern, whatever its case, in a directory or anywhere below it."""
    wanted = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.IGNORECASE)
    return sorted(file for file in directory.rglob("*") if file.is_file() and wanted.fullmatch(file.name))


def _of_file(path: Path) -> Candidate:
    kinds: dict[str, Callable[[Path], Candidate]] = {".sys": _of_image, ".inf": _of_inf, ".vcxproj": _of_project}
    if path.name == PACKAGE_FILE:
        return _of_package(path)
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(
            f"{path.name} is no driver", hint="fltlab try X.sys, X.inf, X.vcxproj, driver.yaml, or a directory of one"
        )
    return kind(path)


def _of_package(path: Path) -> Candidate:
    package = load_package(path)
    if package.kind is not PackageKind.DRIVER:
        raise ConfigurationError(f"{package.name} is a program, no driver")
    if package.filter is FilterKind.LEGACY:
        raise ConfigurationError(
            f"{package.name} is a legacy filter, which no filter manager attaches", hint="docs/drivers.md"
        )
    return _registered(package, package.name, [PACKAGE_FILE])


def _of_image(path: Path) -> Candidate:
    for file in _beside(path, PACKAGE_FILE):
        package = load_package(file)
        if package.binary is not None and package.path(package.binary).resolve() == path.resolve():
            return _registered(package, path.stem, [file.name])
    infs = [file for file in _beside(path, "*.inf") if _is_about(file, path.name)]
    refusals = [_refusal(inf) for inf in infs]
    usable = next((inf for inf, refusal in zip(infs, refusals, strict=True) if refusal is None), None)
    pdb = next(iter(_beside(path, f"{path.stem}.pdb")), None)
    package = _package(path.stem, path.parent, binary=Path(path.name), pdb=pdb and Path(pdb.name))
    if usable is not None:
        return _registered(package.model_copy(update={"inf": Path(usable.name)}), path.stem, [])
    return _registered(package, path.stem, [refusal for refusal in refusals if refusal is not None])


def _of_inf(path: Path) -> Candidate:
    names = [name for name in Inf.read(path).files if name.lower().endswith(".sys")]
    images = [file for name in names for file in _files(path.parent, name)]
    built = (_built_with(path) or _of_sources(path.parent, path)) if not images else None
    if built is not None:
        return built
    if not images:
        raise ConfigurationError(
            f"there is no {' or '.join(names) or 'driver'} beside {path.name}",
            details=(f"its CopyFiles and [SourceDisksFiles] name {', '.join(names) or 'no .sys'}",),
            hint=f"put the driver into {path.parent}, or name the .sys itself",
        )
    image = images[0]
    package = _package(image.stem, path.parent, binary=image.relative_to(path.parent))
    pdb = image.with_suffix(".pdb")
    update: dict[str, object] = {"inf": Path(path.name)}
    if pdb.is_file():
        update["pdb"] = pdb.relative_to(path.parent)
    return _registered(package.model_copy(update=update), image.stem, [])


def _built_with(inf: Path) -> Candidate | None:
    """The driver.yaml or project beside or below an INF whose driver it installs, for one that is built here."""
    for pattern in (PACKAGE_FILE, "*.vcxproj"):
        for candidate in map(_of_file, (file for file in _files(inf.parent, pattern) if not _is_program(file))):
            own = candidate.package.inf
            if own is not None and candidate.package.path(own).resolve() == inf.resolve():
                return candidate
    return None


def _of_sources(directory: Path, inf: Path | None = None) -> Candidate | None:
    """The driver whose sources lie in one folder of a directory: all that lie beside the one that registers it."""
    sources = [file for file in sorted(directory.rglob("*")) if file.suffix.lower() in _SOURCES and file.is_file()]
    home = _the_one(directory, {file.parent for file in sources if _REGISTERS in file.read_bytes()})
    if home is None:
        return None
    beside = [file.name for file in sources if file.parent == home]
    stem = home.name if inf is None else inf.stem
    content = {"name": _name(stem), "description": f"{home.name}, tried", "sources": beside, "control": "none"}
    content["imports"] = _LINKED
    package = package_of(content, home / PACKAGE_FILE)
    if inf is not None:
        package = package.model_copy(update={"inf": Path(os.path.relpath(inf, home))})
    found = _registered(package, stem, [])
    return replace(found, made_up=(*found.made_up, f"a driver of {', '.join(beside)}"))


def _of_project(path: Path) -> Candidate:
    content = {"name": _name(path.stem), "description": f"{path.name}, tried", "vcxproj": path.name, "control": "none"}
    package = package_of(content, path.parent / PACKAGE_FILE)
    return _registered(package, path.stem, [path.name])


def _registered(package: DriverPackage, title: str, read: list[str]) -> Candidate:
    """How a package is registered: by its INF, its driver.yaml, or as we choose."""
    made_up: list[str] = []
    service = package.name if package.binary is None else title
    instance = f"{service} Instance"
    altitude, itself = package.altitude, False
    if package.inf is not None:
        inf = Inf.read(package.path(package.inf))
        service, first = inf.service(REFERENCE_BUILD), inf.instances(REFERENCE_BUILD)[0]
        read.append(f"{package.inf.name} ({_of_inf_in_words(first, len(inf.registry(REFERENCE_BUILD)))})")
        if (device := inf.device(REFERENCE_BUILD)) is not None:
            made_up.append(f"a DefaultInstall, which the INF lacks: Windows installs it for a device {device} alone")
        instance, itself = first.name, first.attaches_by_itself
        altitude = altitude or (str(first.altitude) if first.altitude is not None else None)
    else:
        made_up.append(f"the instance {instance!r}")
    if altitude is None:
        altitude = DEFAULT_ALTITUDE
        made_up.insert(0, f"altitude {altitude} ({package.group})")
    return Candidate(
        package.model_copy(update={"control": Control.NONE}),
        *(title, service, instance, Altitude(altitude), itself, tuple(read), tuple(made_up)),
    )


def _of_inf_in_words(first: InfInstance, values: int) -> str:
    at = f"at {first.altitude}" if first.altitude is not None else "whose altitude it leaves open: write one there"
    return f"instance {first.name!r} {at}, {values} values of the registry"


def _package(stem: str, directory: Path, **more: Path | None) -> DriverPackage:
    given = {key: str(value) for key, value in more.items() if value is not None}
    content = {"name": _name(stem), "description": f"{stem}, tried", "control": "none", **given}
    return package_of(content, directory / PACKAGE_FILE)


def _name(stem: str) -> str:
    """A name as driver.yaml has it, for a file that may be called anything."""
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40]
    return plain if plain[:1].isalpha() else f"driver-{plain}"


def _beside(path: Path, pattern: str) -> list[Path]:
    wanted = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.IGNORECASE)
    return sorted(file for file in path.parent.iterdir() if file.is_file() and wanted.fullmatch(file.name))


def _refusal(inf: Path) -> str | None:
    """Why an INF that lies beside a driver tells nothing of it; None if it does."""
    try:
        Inf.read(inf).instances(REFERENCE_BUILD)
    except ConfigurationError as error:
        return str(error)
    return None


def _is_about(inf: Path, image: str) -> bool:
    """Whether an INF is of this image; one that cannot be read is of none."""
    return image.lower() in _lower(Inf.read(inf).files)


def _lower(words: Iterable[str]) -> set[str]:
    return {word.lower() for word in words}
