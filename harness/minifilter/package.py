"""Driver packages: a directory with a driver.yaml that says what the driver is and what it is made of."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from harness.errors import ConfigurationError
from harness.minifilter.vcxproj import read_project

PACKAGE_FILE = "driver.yaml"
CONSOLE_ENTRY = "mainCRTStartup"
"""Where a console program begins: its `main` is called with the arguments that the C runtime has cut."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Define = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(=.*)?$")]
RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z]+(-[A-Z]+)*-\d+$")]


class PackageKind(Enum):
    """What a package builds to."""

    DRIVER = "driver"
    PROGRAM = "program"
    LIBRARY = "library"
    """A DLL for programs on a reference guest; drivers/userland is the one there is."""


class Control(Enum):
    """What speaks on the driver's control port: our protocol (fltlab.h), or nothing we know."""

    FLTLAB = "fltlab"
    NONE = "none"


class FilterKind(Enum):
    """How a driver filters: by the filter manager, or by a device of its own in the device stacks of volumes."""

    MINIFILTER = "minifilter"
    LEGACY = "legacy"


class UserService(BaseModel):
    """The user-mode part of a driver: a program that runs from before a test's I/O until after it.

    With a `name` it is a Windows service: its main calls StartServiceCtrlDispatcher. `ready` is a text that it prints
    when it is ready, for which it has `seconds` of the guest's time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,80}$")] | None = None
    binary: Path | None = None
    """The program, built already."""
    program: Name | None = None
    """The program as a package of its own (`kind: program`), that fltlab builds."""
    arguments: str = ""
    ready: str = ""
    seconds: float = Field(default=30.0, gt=0, le=600)

    @model_validator(mode="after")
    def _one_program(self) -> Self:
        if (self.binary is None) is (self.program is None):
            raise ValueError("give either binary (built already) or program (a package with kind: program)")
        if self.name is not None and self.binary is None:
            raise ValueError("a service with a name is installed from a binary")
        return self


class AllowedChange(BaseModel):
    """A difference that a driver is meant to make: patterns, of which all must fit (harness/fleet/trial)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = "*"
    """Path of the file, whatever its case: `V:\\*.secret`, `*.secret`."""
    step: str = "*"
    """Verb of the step in the I/O script, or `afterwards` for what is on the volume in the end."""
    what: str = "*"
    """What differs: `status`, `data`, `information`, `end of file`, `entry *`, `content`, …."""
    why: str = ""


class TriedNames(BaseModel):
    """Names that a driver cares for: `fltlab try` does its workload on them too (harness/fleet/trial)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suffixes: tuple[str, ...] = ()
    """Of files: `.docx`."""
    directories: tuple[str, ...] = ()
    """Of the volume: `Documents`."""


class DriverPackage(BaseModel):
    """The content of a driver.yaml. Paths are relative to the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: str
    kind: PackageKind = PackageKind.DRIVER
    sources: tuple[Path, ...] = ()
    include: tuple[Path, ...] = ()
    """Directories that headers are looked for in, beside those of the sources."""
    forced_include: tuple[Path, ...] = ()
    """Headers that each source begins with, as with /FI of Microsoft's compiler."""
    defines: tuple[Define, ...] = ()
    trace_functions: str = ""
    """WPP's functions that no `begin_wpp config` of the sources names: `TraceEvents(LEVEL,FLAGS,MSG,...)`, by `;`."""
    libraries: tuple[Path, ...] = ()
    exports: Path | None = None
    """Of a library: the module-definition file with the names that it exports."""
    floating_point: bool = False
    """Whether fltlab's own sources may use SSE. A user's always may, as with Microsoft's compiler for x64."""
    vcxproj: Path | None = None
    """A Visual Studio project that says what to build (vcxproj.py)."""
    binary: Path | None = None
    pdb: Path | None = None
    inf: Path | None = None
    catalog: Path | None = None
    certificate: Path | None = None
    service: UserService | None = None
    files: tuple[Path, ...] = ()
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    parameters: Mapping[str, str | int | bool | tuple[str, ...]] = Field(default_factory=dict)
    """Values of the service's Parameters key: REG_SZ, REG_DWORD (a number, yes or no), REG_MULTI_SZ (a list)."""
    changes: tuple[AllowedChange, ...] = ()
    """What the driver is meant to change: `fltlab try` tells it, and does not count it as a finding."""
    tried: TriedNames = Field(default=TriedNames(), alias="try")
    common: bool = False
    entry: str = "DriverEntry"
    imports: tuple[str, ...] = ("fltmgr", "ntoskrnl", "hal")
    altitude: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?$")] | None = None
    group: str = "FSFilter Activity Monitor"
    control: Control = Control.FLTLAB
    filter: FilterKind = FilterKind.MINIFILTER
    violates: RuleId | None = None
    directory: Path = Field(default=Path(), exclude=True)
    described: bool = Field(default=True, exclude=True)
    """False where no driver.yaml says all this, but a project or an INF."""

    @model_validator(mode="before")
    @classmethod
    def _console_program(cls, content: Any) -> Any:
        """A program is a console program unless it says otherwise."""
        if isinstance(content, dict) and content.get("kind") == "program":
            return {"entry": CONSOLE_ENTRY, "imports": ("kernel32", "advapi32", "fltlib", "msvcrt"), **content}
        return content

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(map(bool, (self.sources, self.binary, self.vcxproj))) != 1:
            raise ValueError("give either sources (to build), vcxproj (to build as it says) or binary (built already)")
        if self.binary and self.common:
            raise ValueError("common is for sources")
        if self.filter is FilterKind.LEGACY and self.control is not Control.NONE:
            raise ValueError("a legacy filter has no control port of the filter manager: control is none")
        return self

    @property
    def image_name(self) -> str:
        """The file name of what is built."""
        endings = {PackageKind.DRIVER: "sys", PackageKind.PROGRAM: "exe", PackageKind.LIBRARY: "dll"}
        return f"{self.name}.{endings[self.kind]}"

    def path(self, relative: Path) -> Path:
        """A file of the package."""
        return self.directory / relative


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """YAML as Python has it, not to be changed: a run reads the same descriptions again and again."""
    return yaml.safe_load(text)


def load_package(path: Path) -> DriverPackage:
    """Read one driver.yaml; a ConfigurationError names the file and everything that is wrong with it.

    Whether the files it names are there is not looked at: one unfinished driver must not stop work on the others.
    """
    return package_of(_content(path), path)


def _content(path: Path) -> Any:
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not YAML", details=tuple(str(error).splitlines())) from error
    if not isinstance(content, dict) or content.keys() & {"directory", "described"}:
        raise ConfigurationError(f"{path} does not describe a driver", details=("expected keys such as name, sources",))
    return content


def package_of(content: Mapping[str, Any], path: Path) -> DriverPackage:
    """The package of a driver.yaml with this content, or of one that would have it; ConfigurationError as above."""
    try:
        package = DriverPackage.model_validate({**content, "directory": path.parent})
    except ValidationError as error:
        details = tuple(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise ConfigurationError(
            f"{path} is not a valid driver package", details=details, hint="docs/drivers.md lists the keys"
        ) from error
    return _with_project(package) if package.vcxproj is not None else package


def _with_project(package: DriverPackage) -> DriverPackage:
    """A package whose sources, directories and definitions are those of its Visual Studio project."""
    assert package.vcxproj is not None
    project = read_project(package.path(package.vcxproj))
    program = package.kind is PackageKind.PROGRAM
    if (project.builds != "Driver") is not program:
        raise ConfigurationError(
            f"{package.path(package.vcxproj)} builds {'a driver' if program else f'no driver ({project.builds})'}",
            hint="kind: program in a driver.yaml is for the project of a driver's service",
        )
    base = package.vcxproj.parent
    return package.model_copy(
        update={
            "sources": tuple(base / source for source in project.sources),
            "include": (base, *(base / directory for directory in project.include), *package.include),
            "forced_include": (*project.forced_include, *package.forced_include),
            "defines": (*project.defines, *package.defines),
            "trace_functions": f"{project.trace_functions};{package.trace_functions}".strip(";"),
            "libraries": (*(base / library for library in project.libraries), *package.libraries),
            "imports": package.imports if program else tuple(dict.fromkeys([*project.imports, *package.imports])),
            "entry": project.entry if package.entry == "DriverEntry" else package.entry,
            "inf": package.inf or (base / project.inf if project.inf is not None else None),
        }
    )


def require_files(package: DriverPackage) -> None:
    """Raise ConfigurationError if a file or directory that the package names is not there."""
    for directory in package.include:
        if not package.path(directory).is_dir():
            raise ConfigurationError(
                f"{package.directory / PACKAGE_FILE} names the include directory {directory}, which is not there",
                details=(str(package.path(directory)),),
            )
    service = package.service.binary if package.service is not None else None
    beside = (package.pdb, package.inf, package.catalog, package.certificate, service, *package.files)
    for file in (*package.sources, package.vcxproj, package.binary, *package.libraries, *beside):
        if file is not None and not package.path(file).is_file():
            raise ConfigurationError(
                f"{package.directory / PACKAGE_FILE} names {file}, which is not there",
                details=(str(package.path(file)),),
            )


def _package_files(root: Path) -> Iterator[Path]:
    yield from sorted(root.rglob(PACKAGE_FILE))


def find_packages(root: Path) -> dict[str, DriverPackage]:
    """Every package below `root`, by name."""
    if not root.is_dir():
        raise ConfigurationError(f"there is no directory {root} to find drivers in")
    packages: dict[str, DriverPackage] = {}
    for path in _package_files(root):
        package = load_package(path)
        if package.name in packages:
            other = packages[package.name].directory / PACKAGE_FILE
            raise ConfigurationError(f"two drivers are called {package.name}", details=(str(other), str(path)))
        packages[package.name] = package
    for package in _undescribed_packages(root):
        packages.setdefault(package.name, package)
    return packages


def _undescribed_packages(root: Path) -> Iterator[DriverPackage]:
    """Drivers that no driver.yaml describes: a Visual Studio project, or an INF with its .sys beside it.

    What is none of a driver, such as a program's project, is left out.
    """
    described = {path.parent for path in _package_files(root)}
    for path in sorted(file for file in root.rglob("*") if file.suffix.lower() in (".vcxproj", ".inf")):
        if described.intersection((path.parent, *path.parent.parents)):
            continue
        content = {"vcxproj": path.name} if path.suffix.lower() == ".vcxproj" else _installed_by(path)
        name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
        if content:
            more = {"name": name, "description": f"{path.name}, as it is", "control": "none"}
            with contextlib.suppress(ConfigurationError):
                yield package_of({**more, **content}, path.parent / PACKAGE_FILE).model_copy(
                    update={"described": False}
                )


def _installed_by(inf: Path) -> dict[str, str]:
    """The driver that an INF installs, where it lies beside it; nothing where a project builds it, or none is there."""
    image = inf.with_suffix(".sys")
    if any(file.suffix.lower() == ".vcxproj" for file in inf.parent.iterdir()) or not image.is_file():
        return {}
    pdb = {"pdb": f"{inf.stem}.pdb"} if inf.with_suffix(".pdb").is_file() else {}
    return {"binary": image.name, "inf": inf.name, **pdb}
