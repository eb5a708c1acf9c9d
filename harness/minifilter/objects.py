"""Object files: each source compiled once, and again only when something that it was made from has changed.

An object lies in a directory named by the hash of its source and its options; `files.json` beside it has the SHA-256 of
every file that the compiler read, headers of the system among them, so that none can be forgotten. Objects are shared
between drivers.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.minifilter.imports import INCLUDE, SUPPORT
from harness.minifilter.overlay import write_overlay
from harness.minifilter.package import CONSOLE_ENTRY, DriverPackage, PackageKind
from harness.minifilter.redeclared import compile_redeclared
from harness.minifilter.toolchain import Compilation, Toolchain
from harness.minifilter.trace_headers import write_trace_headers

CXX = frozenset({".cpp", ".cc", ".cxx"})
COMMON = SUPPORT / "common"
CONSOLE_DEFINES = ("__USE_MINGW_ANSI_STDIO=0",)
"""A program prints by msvcrt's own functions, not by mingw-w64's, which are in a library of its compiler."""
FOR_CONSOLE_PROGRAMS = SUPPORT / "support" / "console"
FOR_USERS = SUPPORT / "support"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Files:
    """Hashes of files, each read once in a build."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file; empty if it is not there."""
        if path not in self._known:
            try:
                self._known[path] = file_sha256(path)
            except OSError:
                self._known[path] = ""
        return self._known[path]

    def unchanged(self, recorded: Mapping[str, str]) -> bool:
        """Whether files, by their paths, still have these hashes."""
        return all(self.sha256(Path(path)) == sha256 for path, sha256 in recorded.items())


@dataclass(frozen=True)
class Object:
    """One compiled source: the object file, and the hash of every file that was read for it."""

    source: Path
    path: Path
    files: Mapping[str, str]


class ObjectStore:
    """Compiles the sources of packages into `out/.objects`; the caller holds the lock of `out`."""

    def __init__(self, root: Path, out: Path, toolchain: Toolchain, files: Files) -> None:
        self._root = root
        self._out = out
        self._toolchain = toolchain
        self._files = files
        self._traced: dict[str, list[Path]] = {}

    def sources(self, package: DriverPackage) -> list[Path]:
        """All sources of a package: its own, and what is linked with them."""
        own = [package.path(source) for source in package.sources]
        if package.common:
            own += sorted(COMMON.glob("*.c"))
        if package.kind is PackageKind.DRIVER and not package.directory.is_relative_to(SUPPORT):
            own += sorted(FOR_USERS.glob("*.c"))
        if package.kind is PackageKind.PROGRAM and package.entry == CONSOLE_ENTRY:
            own += sorted(FOR_CONSOLE_PROGRAMS.glob("*.c"))
        return own

    def compile(self, packages: Sequence[DriverPackage]) -> dict[str, list[Object]]:
        """The objects of each package, in the order of its sources."""
        work = {
            (package.name, source): self._compilation(package, source)
            for package in packages
            for source in self.sources(package)
        }
        missing = {
            compilation.target: compilation
            for compilation in work.values()
            if self._read(compilation.target) is None or not _use(compilation.target)
        }
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for future in [pool.submit(self._compile, compilation) for compilation in missing.values()]:
                future.result()
        found: dict[str, list[Object]] = {package.name: [] for package in packages}
        for (name, source), compilation in work.items():
            recorded = self._read(compilation.target)
            assert recorded is not None
            found[name].append(Object(source, compilation.target, recorded))
        return found

    def _compilation(self, package: DriverPackage, source: Path) -> Compilation:
        kernel = package.kind is PackageKind.DRIVER
        ours = source.is_relative_to(SUPPORT)
        own = source.is_relative_to(package.directory)
        include = [INCLUDE, source.parent]
        if own:
            include += [package.path(directory) for directory in package.include]
            include += self._trace_headers(package)
        if kernel:
            include.append(COMMON)
        compilation = Compilation(
            source=source,
            target=Path(),
            kernel=kernel,
            strict=ours,
            cxx=source.suffix.lower() in CXX,
            floating_point=own and (package.floating_point or not ours),  # as Microsoft's compiler for x64
            include=tuple(include),
            forced=tuple(map(str, package.forced_include)) if own else (),
            defines=(*(() if kernel or ours else CONSOLE_DEFINES), *(package.defines if own else ())),
            root=SUPPORT.parent if ours else self._root,
            overlay=None if ours else self._overlay(tuple(include)),
        )
        key = hashlib.sha256(json.dumps([self._toolchain.version, *compilation.options]).encode())
        key.update(self._files.sha256(source).encode() + self._files.sha256(_TOOLCHAIN).encode())
        return compilation.to(self._out / ".objects" / key.hexdigest()[:32] / f"{source.stem}.obj")

    def _trace_headers(self, package: DriverPackage) -> list[Path]:
        """The directory of what the kit's trace preprocessors would make of a package, if it includes any of it."""
        if package.name not in self._traced:
            sources = [package.path(source) for source in package.sources]
            include = [package.path(directory) for directory in package.include]
            made = write_trace_headers(self._out / ".trace", sources, include, package.trace_functions)
            self._traced[package.name] = [made] if made is not None else []
        return self._traced[package.name]

    def _overlay(self, include: tuple[Path, ...]) -> Path:
        return write_overlay(self._out / ".include", (*include, *self._system_headers))

    @cached_property
    def _system_headers(self) -> tuple[Path, ...]:
        return (self._toolchain.mingw,)

    def _read(self, target: Path) -> dict[str, str] | None:
        """The files that an object was made from; None if there is none, or one of them is another by now."""
        try:
            recorded = json.loads((target.parent / "files.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return recorded if target.is_file() and self._files.unchanged(recorded) else None

    def _compile(self, compilation: Compilation) -> None:
        target = compilation.target
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        dependencies = compile_redeclared(self._toolchain, compilation.to(temporary))
        read = parse_dependencies(dependencies.read_text(encoding="utf-8"), target.parent)
        recorded = {str(path): self._files.sha256(path) for path in read}
        (target.parent / "files.json").write_text(json.dumps(recorded, indent=0) + "\n", encoding="utf-8")
        temporary.replace(target)


_TOOLCHAIN = Path(__file__).resolve().parent / "toolchain.py"


def _use(target: Path) -> bool:
    """Note that an object of the store is used now."""
    os.utime(target.parent)
    return True


def parse_dependencies(text: str, directory: Path) -> Iterable[Path]:
    r"""The files that a make rule of the compiler names: `x.obj: a.c b\ c.h \` and so on, relative to `directory`."""
    _, _, names = text.replace("\\\n", " ").partition(": ")
    for name in re.findall(r"(?:\\.|[^\s\\])+", names):
        yield Path(os.path.normpath(directory / name.replace("\\ ", " ").replace("\\#", "#").replace("$$", "$")))
