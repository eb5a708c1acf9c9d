"""Visual Studio projects of drivers: what a .vcxproj says that our build can obey, and a list of what it cannot.

Read is the configuration Release for x64 (or the first for x64 that there is): sources, include directories, headers
that every source begins with, definitions, libraries, entry point, INF and name. The sources of a static library that
a project refers to are part of it, with the definitions of both. Settings of the Microsoft compiler that clang has no
need of, and properties of Visual Studio itself, are passed over; what would change the driver is listed as ignored.
"""

import glob
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath

from harness.errors import ConfigurationError

_SOURCES = frozenset({".c", ".cpp", ".cc", ".cxx"})
_MODULES = frozenset({"fltmgr", "ntoskrnl", "hal", "ksecdd", "cng"})
# Part of every driver's build, or nothing to ours.
_PASSED_OVER = frozenset(
    {"ntstrsafe", "libcntpr", "bufferoverflowk", "bufferoverflowfastfailk", "wdmsec", "wpprecorder", "aux_klib"}
)
_CONSIDERED = frozenset(
    {
        "PreprocessorDefinitions", "AdditionalIncludeDirectories", "WarningLevel", "TreatWarningAsError",
        "Optimization",
        "ExceptionHandling", "RuntimeLibrary", "LanguageStandard", "LanguageStandard_C", "DisableSpecificWarnings",
        "MultiProcessorCompilation", "PrecompiledHeader", "PrecompiledHeaderFile", "ForcedIncludeFiles",
        "DebugInformationFormat",
        "ControlFlowGuard", "SDLCheck", "BufferSecurityCheck", "CompileAs", "ConformanceMode",
        "AdditionalDependencies", "EntryPointSymbol", "GenerateDebugInformation", "SubSystem", "Version",
        "TargetMachine",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """What a project says. Paths are relative to the project's directory."""

    name: str
    sources: tuple[Path, ...]
    builds: str = "Driver"
    """Its ConfigurationType: Driver, or Application where it builds a program."""
    include: tuple[Path, ...] = ()
    forced_include: tuple[Path, ...] = ()
    """Headers that each source begins with, whether it includes them or not."""
    defines: tuple[str, ...] = ()
    trace_functions: str = ""
    """WPP's functions, as the project's Function To Generate Trace Messages has them."""
    imports: tuple[str, ...] = ("fltmgr", "ntoskrnl", "hal")
    libraries: tuple[Path, ...] = ()
    entry: str = "DriverEntry"
    inf: Path | None = None
    ignored: tuple[str, ...] = field(default=())
    """Settings that were not obeyed, as `Link/AdditionalOptions: /x`."""


def read_project(path: Path) -> Project:
    """Read a .vcxproj; ConfigurationError if it is none, or has no source in C or C++."""
    project, libraries = _read(path), []
    waiting, seen = _referred(path), {path.resolve()}
    while waiting:
        if (library := waiting.pop(0)).resolve() in seen:
            continue
        seen.add(library.resolve())
        if library.is_file() and _reader(library).property("ConfigurationType") == "StaticLibrary":
            libraries.append((Path(os.path.relpath(library.parent, path.parent)), _read(library)))
            waiting += _referred(library)
    return _with_libraries(project, libraries)


def _referred(path: Path) -> list[Path]:
    """The projects that one refers to."""
    found = _reader(path).items("ProjectReference", every=True)
    return [path.parent / as_written(path.parent, item) for item in found]


def _read(path: Path) -> Project:
    """What a project says of itself."""
    reader = _reader(path)
    base = path.parent
    sources = tuple(dict.fromkeys(as_written(base, item) for item in reader.items("ClCompile")))
    if not sources:
        raise ConfigurationError(
            f"{path} names no source in C or C++", hint="a driver's project has ClCompile items; or write a driver.yaml"
        )
    dependencies = [PureWindowsPath(word) for word in reader.words("Link", "AdditionalDependencies")]
    names = [item.stem.lower() for item in dependencies if item.suffix.lower() == ".lib"]
    libraries = [as_written(base, path_of(str(item))) for item in dependencies]
    own = tuple(
        item for item in libraries if item.stem.lower() not in _MODULES | _PASSED_OVER and (base / item).is_file()
    )
    known = {file.stem.lower() for file in own} | _MODULES | _PASSED_OVER
    ignored = [f"library {name}.lib" for name in names if name not in known]
    return Project(
        name=(reader.property("TargetName") or path.stem).lower(),
        sources=sources,
        builds=reader.builds(),
        include=tuple(
            item
            for word in reader.words("ClCompile", "AdditionalIncludeDirectories")
            if (base / (item := as_written(base, path_of(word)))).is_dir()
        ),
        forced_include=tuple(
            as_written(base, path_of(word)) for word in reader.words("ClCompile", "ForcedIncludeFiles")
        ),
        defines=tuple(reader.words("ClCompile", "PreprocessorDefinitions")),
        trace_functions=reader.setting("ClCompile", "WppTraceFunction"),
        imports=tuple(dict.fromkeys(["fltmgr", "ntoskrnl", "hal", *(name for name in names if name in _MODULES)])),
        libraries=own,
        entry=reader.setting("Link", "EntryPointSymbol") or "DriverEntry",
        inf=_inf(reader, path),
        ignored=(*ignored, *reader.ignored()),
    )


def builds_driver(path: Path) -> bool:
    """Whether a project builds a driver, not its service or a library; ConfigurationError if it is no project."""
    return _reader(path).builds() == "Driver"


def _reader(path: Path) -> "_Reader":
    try:
        root = ET.fromstring(path.read_bytes())  # noqa: S314 - expat of Python 3.11 resolves no external entity
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    except ET.ParseError as error:
        raise ConfigurationError(f"{path} is no Visual Studio project: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return _Reader(path, root)


def _inf(reader: "_Reader", path: Path) -> Path | None:
    """The INF of a project: the one of its own name where there are several.

    A project that has none may lie in a folder beside that of its service, and their INF above both.
    """
    found = [as_written(path.parent, item) for item in reader.items("Inf", every=True)]
    names = (reader.property("TargetName").lower(), path.stem.lower())
    above = [Path("..", file.name) for file in sorted(path.absolute().parent.parent.glob("*.[iI][nN][fF]"))]
    own = next((item for item in (*found, *above) if item.stem.lower() in names), None)
    return own or next(iter(found), None)


def _with_libraries(project: Project, libraries: Sequence[tuple[Path, Project]]) -> Project:
    """A project with the static libraries that it refers to, each with the way to its directory."""
    built = {f"library {library.name}.lib" for _, library in libraries}
    both = (project, *(library for _, library in libraries))
    return replace(
        project,
        sources=(*project.sources, *(way / item for way, library in libraries for item in library.sources)),
        include=(*project.include, *(way / item for way, library in libraries for item in library.include)),
        defines=tuple(dict.fromkeys(define for one in both for define in one.defines)),
        imports=tuple(dict.fromkeys(module for one in both for module in one.imports)),
        ignored=tuple(item for item in project.ignored if item not in built),
    )


def path_of(text: str) -> Path:
    r"""A path of a project (`..\inc`) as one of ours."""
    return Path(*(part for part in PureWindowsPath(text).parts if part != "\\"))


def as_written(base: Path, path: Path) -> Path:
    """A path below `base` in the case that its files and directories have; as it is where they are not there."""
    at = base
    for part in path.parts:
        if part in ("..", ".") or (at / part).exists():
            at /= part
            continue
        same = [entry for entry in (at.iterdir() if at.is_dir() else ()) if entry.name.lower() == part.lower()]
        if not same:
            return path
        at = same[0]
    return at.relative_to(base)


def _matching(base: Path, name: str) -> list[Path]:
    r"""The files that an item's name means: itself, or those that a pattern (`*.inf`, `..\src\**\*.c`) fits."""
    path = path_of(name)
    if not set("*?") & set(name):
        return [path]
    either = "".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else char for char in path.as_posix())
    return [Path(found) for found in sorted(glob.glob(either, root_dir=base, recursive=True))]  # noqa: PTH207


class _Reader:
    """One configuration of a project."""

    def __init__(self, path: Path, root: ET.Element) -> None:
        self._path = path
        self._root = root
        given = [item.get("Include", "") for item in root.iter("ProjectConfiguration")]
        chosen = next((name for name in given if name == "Release|x64"), None)
        self._configuration = chosen or next((name for name in given if name.endswith("|x64")), "Release|x64")

    def _holds(self, element: ET.Element) -> bool:
        r"""Whether a Condition is met. What is not a comparison with a configuration is taken as met."""
        condition = element.get("Condition", "")
        configuration, _, platform = self._configuration.partition("|")
        expanded = condition.replace("$(Configuration)", configuration).replace("$(Platform)", platform)
        compared = re.fullmatch(r"\s*'([^']*)'\s*(==|!=)\s*'([^']*)'\s*", expanded)
        if compared is None or "$(" in expanded:
            return True
        return (compared[1].lower() == compared[3].lower()) is (compared[2] == "==")

    def _expand(self, text: str) -> str:
        configuration, _, platform = self._configuration.partition("|")
        known = {
            "projectdir": "",
            "msbuildprojectdirectory": ".",
            "msbuildthisfiledirectory": "",
            "solutiondir": "..\\",
        }
        known |= {"configuration": configuration, "platform": platform, "projectname": self._path.stem}
        return re.sub(r"\$\((\w+)\)", lambda match: known.get(match[1].lower(), ""), text)

    def property(self, name: str) -> str:
        """The last value of a property."""
        found = ""
        for group in self._root.iter("PropertyGroup"):
            for element in group.findall(name) if self._holds(group) else ():
                if self._holds(element) and element.text:
                    found = self._expand(element.text.strip())
        return found

    def builds(self) -> str:
        """What the project builds: a driver, where it does not say."""
        return self.property("ConfigurationType") or "Driver"

    def setting(self, tool: str, name: str) -> str:
        """The last value of a tool's setting."""
        return next(iter(list(self._settings(tool, name))[-1:]), "")

    def _settings(self, tool: str, name: str) -> Iterator[str]:
        for group in self._root.iter("ItemDefinitionGroup"):
            for section in group.findall(tool) if self._holds(group) else ():
                for element in section.findall(name):
                    if self._holds(element) and element.text:
                        yield self._expand(element.text.strip())

    def words(self, tool: str, name: str) -> list[str]:
        """A setting's list, without what it inherits."""
        found = [word.strip() for text in self._settings(tool, name) for word in text.split(";")]
        return list(dict.fromkeys(word for word in found if word and not word.startswith("%(")))

    def items(self, kind: str, *, every: bool = False) -> Iterator[Path]:
        """The files of a kind that are part of this configuration."""
        for group in self._root.iter("ItemGroup"):
            for element in group.findall(kind) if self._holds(group) else ():
                excluded = any(
                    self._holds(item) and (item.text or "").strip().lower() == "true"
                    for item in element.findall("ExcludedFromBuild")
                )
                left_out = set(self._files(element, "Exclude"))
                for path in () if excluded else self._files(element, "Include"):
                    if path not in left_out and (every or path.suffix.lower() in _SOURCES):
                        yield path

    def _files(self, element: ET.Element, attribute: str) -> Iterator[Path]:
        """The files that an attribute of an item names. A list of other items, @(Inf), names none that count."""
        for name in self._expand(element.get(attribute, "")).split(";"):
            if name.strip() and "@(" not in name:
                yield from _matching(self._path.parent, name.strip())

    def ignored(self) -> Iterator[str]:
        """What is set, and not obeyed."""
        for group in self._root.iter("ItemDefinitionGroup"):
            for section in group if self._holds(group) and group is not None else ():
                for element in section if section.tag in ("ClCompile", "Link") else ():
                    if element.tag not in _CONSIDERED and not element.tag.startswith("Wpp") and self._holds(element):
                        yield f"{section.tag}/{element.tag}: {(element.text or '').strip()}"
