"""What the reference kernel exports, and what an image needs of it: known before anything runs.

An image that imports a name which no Windows exports, or a module that the kernel does not have, is not loaded. One
that imports what only Windows has is loaded, and may well run; calling it stops the kernel and says so.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import harness
from harness.errors import HostError
from harness.host.command import tail
from harness.minifilter.check import Finding, Severity
from harness.minifilter.image_imports import Import, imports_of

_SECONDS = 60


@dataclass(frozen=True)
class Module:
    """The exports of one module: those that the reference kernel has, and those that only Windows has."""

    has: frozenset[str]
    lacks: frozenset[str]


@dataclass(frozen=True)
class Needs:
    """The imports of one image, by what becomes of them on a reference guest."""

    image: Path
    has: tuple[Import, ...]
    stops: tuple[Import, ...]
    """The image is loaded; the kernel stops, and names the export, when one of these is called."""
    refused: tuple[Import, ...]
    """With these it is not loaded: no Windows exports the name, or the kernel lacks the whole module."""

    @property
    def starts(self) -> bool:
        """Whether the image can be loaded."""
        return not self.refused


@cache
def kernel_exports() -> Mapping[str, Module]:
    """What the kernel of this fltlab exports, by module in lower case; HostError if it does not start."""
    root = Path(harness.__file__).parents[1]
    command = [sys.executable, "-m", "harness.reference.process.export_names"]
    try:
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=True)
        found = json.loads(said.stdout)
    except subprocess.CalledProcessError as error:
        raise HostError("the reference kernel does not say what it exports", details=tail(error.stderr)) from error
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise HostError("the reference kernel does not say what it exports", details=(str(error),)) from error
    return {name: Module(frozenset(lists["has"]), frozenset(lists["lacks"])) for name, lists in found.items()}


def needs(image: Path) -> Needs:
    """What an image needs of the kernel; ConfigurationError if it is no image."""
    exports = kernel_exports()
    nothing = Module(frozenset(), frozenset())
    has: list[Import] = []
    stops: list[Import] = []
    refused: list[Import] = []
    for one in imports_of(image):
        module = exports.get(one.module, nothing)
        (has if one.name in module.has else stops if one.name in module.lacks else refused).append(one)
    return Needs(image, tuple(has), tuple(stops), tuple(refused))


def warnings(image: Path) -> list[Finding]:
    """What an image needs that a reference guest has not: no fault of the driver, but good to know beforehand."""
    found, exports = needs(image), kernel_exports()
    foreign = [one for one in found.refused if one.module not in exports]
    return [
        *(
            Finding("reference-refuses", f"a reference guest does not load it: {_named(foreign)}", Severity.WARNING)
            for _ in foreign[:1]
        ),
        *(
            Finding("reference-lacks", f"calling it stops a reference guest: {one.module}!{one.name}", Severity.WARNING)
            for one in found.stops
        ),
    ]


def _named(some: Sequence[Import]) -> str:
    modules = dict.fromkeys(one.module for one in some)
    return "; ".join(f"it has no {m} ({', '.join(x.name for x in some if x.module == m)})" for m in modules)
