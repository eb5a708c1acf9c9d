"""The programs that build drivers: clang, lld, dlltool and osslsigncode, and mingw-w64's headers.

clang compiles for the MSVC triple, because only there `__try` covers memory accesses; mingw-w64 gives the headers of
the kernel. Which versions do and why is in docs/drivers.md.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from harness.attempt import attempt
from harness.errors import ConfigurationError, HostError
from harness.minifilter import own_names
from harness.minifilter.imports import INCLUDE

CLANG_VERSIONS = (19, 20, 21, 22)
SIGNER_OPTIONS = ("-h", "-n", "-i", "-ph", "-time")
MINGW_INCLUDE = "usr/x86_64-w64-mingw32/include"

TARGET = (
    "--target=x86_64-pc-windows-msvc",
    "-fgnuc-version=12.0.0",  # without it mingw-w64's headers erase __attribute__
    "-fms-extensions",
    "-fms-compatibility",
    "-ffreestanding",
    "-O2",
    "-g",
    "-gcodeview",
    "-gno-codeview-command-line",
    "-fdebug-compilation-dir=.",
    "-fno-ident",
    "-fno-crash-diagnostics",
    "-fasync-exceptions",  # __try covers memory accesses, not calls only
    "-fno-stack-protector",  # no /GS cookie without Microsoft's runtime
    "-mno-stack-arg-probe",
    "-Wframe-larger-than=3072",  # since nothing probes the stack
    "-Wall",
    "-Wextra",
    "-D_WIN64",
    "-D_AMD64_",
    "-DAMD64",
    "-DWINVER=0x0A00",
    "-D_WIN32_WINNT=0x0A00",
    "-DNTDDI_VERSION=0x0A000000",
)
C = ("-std=gnu17",)
CXX = (
    *("-std=c++20", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-Wno-deprecated-volatile"),
    "-fcheck-new",  # an operator new may answer NULL, and nothing is constructed then: /Zc:throwingNew- is the default
)
KERNEL_TARGET = (
    "-mno-red-zone",
    "-DALLOC_PRAGMA",
    "-D_KERNEL_MODE",  # as Microsoft's compiler has it under /kernel: headers shared with programs ask for it
)
# sprintf and its kin are the kernel's exports, and its swprintf takes no length (kitnames.h declares it).
KERNEL_CRT = ("-D__USE_MINGW_ANSI_STDIO=0", "-D_INC_SWPRINTF_INL")
INTEGERS_ONLY = ("-mgeneral-regs-only",)
# What the templates of Microsoft's kit raise, and code that was written for its compiler.
NOT_FOR_USERS = (
    "-fcommon",
    "-DSTRSAFE_NO_DEPRECATE",  # the kit only warns of vsprintf and its kin
    *(
        f"-Wno-{name}"
        for name in (
            "unused-parameter", "unknown-pragmas", "missing-field-initializers", "missing-braces", "ignored-attributes",
            "nonportable-include-path", "pragma-pack", "multichar", "four-char-constants", "unused-function",
            "unused-value", "sign-compare", "microsoft-enum-forward-reference", "unused-variable",
            "unused-but-set-variable", "extra-tokens", "ignored-pragma-intrinsic", "microsoft-include", "empty-body",
            "c++11-narrowing",  # case CTL_CODE(0x8001, …), which is negative, where a ULONG is compared
            "writable-strings",  # RTL_CONSTANT_STRING(L"…")
            "microsoft-string-literal-from-predefined",  # "x" __FUNCTION__ "y"
            "return-mismatch",  # return; in a function that has a value: a warning of Microsoft's
            "macro-redefined", "single-bit-bitfield-constant-conversion",
            "incompatible-pointer-types",  # &Context of a context's own type, where PFLT_CONTEXT * is expected
        )
    ),
)  # fmt: skip
# Microsoft's compiler takes these in C; for drivers kitnames.h says so.
EXCEPTIONS_OF_PROGRAMS = ("-Dtry=__try", "-Dexcept=__except", "-Dfinally=__finally", "-Dleave=__leave")
LINK = (
    "/nologo",
    "/release",  # a checksum in the header
    "/Brepro",
    "/nodefaultlib",
    "/machine:x64",
    "/dynamicbase",
    "/highentropyva",
    "/nxcompat",
    "/opt:ref",
    "/opt:icf",
    "/debug:full",
    "/pdbsourcepath:.",
)
KERNEL_LINK = ("/driver", "/subsystem:native,10.0", "/section:INIT,ERD", "/integritycheck")
"""/integritycheck: process notify routines and object callbacks may only be in an image that asks for it."""
PROGRAM_LINK = ("/subsystem:console,10.0",)
LIBRARY_LINK = ("/dll", "/noimplib", "/subsystem:console,10.0")


MOST_CRASHES = 12
"""How often clang may crash over one source. 19 does so by chance, with optimization and without, where a function has
both __try and an object with a destructor."""
_CRASHES = (
    "clang crashes over functions that have both __try and an object with a destructor: put what __try guards into a"
    " function of its own, or build the driver with Visual Studio and give its .sys as `binary`"
)
_CRASHED = "frontend command failed"
_NO_HEADER = re.compile(r"fatal error: '[^']*' file not found")
_WHERE_HEADERS_ARE = (
    "name the header's directory under `include` of driver.yaml; a driver that needs headers of the kit that fltlab"
    " lacks (KMDF, NDIS, WSK) is built with Visual Studio, and its .sys given as `binary`"
)


@dataclass(frozen=True)
class Compilation:
    """One source and how it is compiled. `root` is cut from the paths that go into the debug information.

    `strict` makes warnings errors: for our own sources. `forced` headers come before the source's first line; `own` are
    the names that it declares itself and our headers otherwise (own_names.py). `overlay` is a map of header directories
    (overlay.py).
    """

    source: Path
    target: Path
    root: Path
    include: tuple[Path, ...]
    kernel: bool = True
    strict: bool = False
    cxx: bool = False
    floating_point: bool = False
    defines: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    async_exceptions: bool = True
    optimized: bool = True
    overlay: Path | None = None
    renamed: tuple[Path, Path] | None = None
    """An overlay with other names, and the header that says what they stand for (redeclared.py)."""

    @property
    def options(self) -> list[str]:
        """What the compiler is told, but for the names of the files."""
        integers_only = INTEGERS_ONLY if self.kernel and not self.floating_point else ()
        return [
            *TARGET,
            *(() if self.async_exceptions else ("-fno-async-exceptions",)),
            *(CXX if self.cxx else C),
            *(() if self.optimized else ("-O0",)),
            *(KERNEL_TARGET if self.kernel else ()),
            *integers_only,
            *(("-Werror",) if self.strict else NOT_FOR_USERS),
            *(() if self.kernel or self.strict or self.cxx else EXCEPTIONS_OF_PROGRAMS),
            # A user's driver may begin with ntifs.h, ntddk.h or wdm.h: ours, which mends mingw-w64's, comes first.
            # With INITGUID: its headers have been read when the source defines that; the linker keeps one of each.
            *((*KERNEL_CRT, "-DINITGUID=", "-include", "ntkernel.h") if self.kernel and not self.strict else ()),
            *own_names.options(self.own),
            f"-ffile-prefix-map={self.root}=.",
            *(("-ivfsoverlay", str(self.overlay)) if self.overlay else ()),
            *(("-ivfsoverlay", str(self.renamed[0]), "-include", str(self.renamed[1])) if self.renamed else ()),
            *(f"-D{define}" for define in self.defines),
            *(f"-I{directory}" for directory in self.include),
            *(word for header in self.forced for word in ("-include", header)),
        ]

    def has_try(self) -> bool:
        """Whether the source catches exceptions, and so needs the code that lets it."""
        return re.search(rb"\b(__)?try\b", self.source.read_bytes()) is not None

    def to(self, target: Path) -> "Compilation":
        """The same, to another file."""
        return replace(self, target=target)


@dataclass(frozen=True)
class Toolchain:
    """Where the programs are. `version` is clang's and goes into the key of everything that is built."""

    clang: Path
    linker: Path
    dlltool: Path
    signer: Path
    mingw: Path
    version: str

    def compile(self, compilation: Compilation) -> Path:
        """Compile one source; the file that names all that were read for it, as a rule of make."""
        crashes = 0
        while True:
            try:
                return self._compile(compilation)
            except ToolError as error:
                if _crashed(error) and crashes < MOST_CRASHES:
                    crashes += 1
                    if compilation.has_try():
                        compilation = replace(compilation, optimized=not compilation.optimized)
                    else:
                        compilation = replace(compilation, async_exceptions=False)
                    continue
                own = compilation.own | own_names.names_in_the_way(error.output, (INCLUDE, self.mingw))
                if own == compilation.own or compilation.strict or not compilation.kernel:
                    raise
                compilation = replace(compilation, own=own)

    def _compile(self, compilation: Compilation) -> Path:
        dependencies = compilation.target.with_suffix(".d")
        if compilation.own:
            header = compilation.target.with_name(own_names.HEADER)
            header.write_text(own_names.header(compilation.own), encoding="utf-8")
        run(
            (
                self.clang,
                *compilation.options,
                "-isystem",
                self.mingw,
                *(("-isystem", self.mingw / "ddk") if compilation.kernel else ()),
                "-MD",
                "-MF",
                dependencies.name,
                "-c",
                compilation.source,
                "-o",
                compilation.target.name,  # the debug information keeps it, and is to be the same everywhere
            ),
            f"{compilation.source.name} does not compile",
            cwd=compilation.target.parent,
        )
        return dependencies

    def import_library(self, definition: Path, target: Path) -> None:
        """Make an import library from a module-definition file."""
        run(
            (self.dlltool, "-m", "i386:x86-64", "-d", definition, "-l", target),
            f"no import library can be made from {definition}",
        )

    def link(
        self,
        objects: Sequence[str],
        libraries: Sequence[str],
        target: str,
        *,
        entry: str,
        kernel: bool,
        cwd: Path,
        exports: Path | None = None,
    ) -> None:
        """Link what lies in `cwd` to a driver or a console program and its PDB, which keeps the names given here."""
        pdb = Path(target).with_suffix(".pdb").name
        run(
            (
                self.linker,
                *LINK,
                *(KERNEL_LINK if kernel else LIBRARY_LINK if target.endswith(".dll") else PROGRAM_LINK),
                f"/entry:{entry}",
                f"/pdb:{pdb}",
                f"/pdbaltpath:{pdb}",
                f"/out:{target}",
                *([f"/def:{exports}"] if exports is not None else []),
                *objects,
                *libraries,
            ),
            f"{target} does not link",
            cwd=cwd,
        )


class ToolError(ConfigurationError):
    """A program of the toolchain refused what it was given. `output` is all that it printed."""

    output: Sequence[str] = ()


def run(command: Sequence[str | Path], failed: str, *, cwd: Path | None = None) -> str:
    """Run a program of the toolchain; what it prints becomes the details of a ConfigurationError."""
    environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        done = attempt(command, cwd=cwd, env=environment)
    except OSError as error:
        raise HostError(f"{command[0]} cannot be run", details=(str(error),)) from error
    if done.returncode != 0:
        output = _errors_first((done.stdout + done.stderr).strip().splitlines())
        shown = output if len(output) <= 40 else [*output[:40], f"... {len(output) - 40} more lines"]
        refused = ToolError(
            failed, details=(f"{Path(command[0]).name} ended with {done.returncode}", *shown), hint=_hint(output)
        )
        refused.output = (done.stdout + done.stderr).splitlines()
        raise refused
    return done.stdout


def _crashed(error: ToolError) -> bool:
    """Whether clang itself came to its end: 19 does with asynchronous exceptions and a goto past a variable in C++."""
    return _CRASHED in "\n".join(error.output)


def _hint(output: Sequence[str]) -> str | None:
    """What to do about an error, where that is known."""
    if any(_NO_HEADER.search(line) for line in output):
        return _WHERE_HEADERS_ARE
    return _CRASHES if any(_CRASHED in line for line in output) else None


def _errors_first(lines: Sequence[str]) -> list[str]:
    """A compiler's output with its errors before its warnings, each with the lines that belong to it."""
    errors: list[str] = []
    others: list[str] = []
    kept = others
    for line in lines:
        if re.search(r": (fatal )?error: ", line):
            kept = errors
        elif re.search(r": warning: |^In file included from ", line):
            kept = others
        kept.append(line)
    return [*errors, *others]


def _find(purpose: str, names: Sequence[str], package: str) -> Path:
    for name in names:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise HostError(
        f"{names[0]} is not installed; it {purpose}",
        details=(f"looked on PATH for {', '.join(names)}",),
        hint=f"apt install {package}",
    )


def _clang_version(clang: Path) -> tuple[int, str]:
    text = run((clang, "--version"), f"{clang} does not tell its version").splitlines()[0]
    found = re.search(r"version (\d+)\.", text)
    return (int(found.group(1)) if found else 0), text


def _signer() -> Path:
    """osslsigncode, if it is one that can make the signatures that Windows takes."""
    signer = _find("signs drivers", ["osslsigncode"], "osslsigncode")
    lacking = [
        option for option in SIGNER_OPTIONS if not re.search(rf"(?<!\S){option}\b", _printed(signer, "sign", "--help"))
    ]
    if lacking:
        version = next(iter(_printed(signer, "--version").splitlines()), "it does not tell its version")
        raise HostError(
            f"{signer} is too old: {version.removesuffix(', using:')}",
            details=(f"it cannot sign with {' '.join(lacking)}, and Windows refuses drivers that are signed without",),
            hint="osslsigncode 2.5 or later, as in Debian 12",
        )
    return signer


def _printed(*command: str | Path) -> str:
    """All that a program prints, whatever its exit code: osslsigncode ends its help with 1."""
    try:
        done = attempt(command, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{command[0]} cannot be run", details=(str(error),)) from error
    return done.stdout + done.stderr


@lru_cache(maxsize=1)
def find_toolchain() -> Toolchain:
    """Find the programs on PATH; raise HostError naming the Debian package of the first that is missing."""
    clang = _find("compiles drivers", [*(f"clang-{n}" for n in CLANG_VERSIONS), "clang"], "clang-19")
    major, version = _clang_version(clang)
    if major < CLANG_VERSIONS[0]:
        raise HostError(
            f"{clang} is too old: {version}",
            details=("before clang 19, __try does not cover memory accesses and lld writes no checksum",),
            hint="apt install clang-19 lld-19 llvm-19",
        )
    beside = [f"-{major}", ""]
    mingw = Path("/") / MINGW_INCLUDE
    if not (mingw / "ddk" / "ntifs.h").is_file():
        raise HostError(
            "the headers of the Windows kernel are not installed",
            details=(f"looked for {mingw / 'ddk' / 'ntifs.h'}",),
            hint="apt install mingw-w64-x86-64-dev",
        )
    return Toolchain(
        clang=clang,
        linker=_find("links drivers", [f"lld-link{suffix}" for suffix in beside], f"lld-{major}"),
        dlltool=_find("makes import libraries", [f"llvm-dlltool{suffix}" for suffix in beside], f"llvm-{major}"),
        signer=_signer(),
        mingw=mingw,
        version=version,
    )
