"""Import lists: the names that the modules of Windows export, from drivers/include/*.def."""

from functools import lru_cache
from pathlib import Path

from harness.errors import ConfigurationError
from harness.shipped import DRIVERS

# fltkernel.h, the import lists and what the test minifilters share: part of fltlab, also for users' own drivers.
SUPPORT = DRIVERS
INCLUDE = SUPPORT / "include"


@lru_cache
def import_list(name: str, include: Path = INCLUDE) -> frozenset[str]:
    """The names in `name`.def."""
    return frozenset(_read(name, include)[1])


@lru_cache
def known_modules(include: Path = INCLUDE) -> dict[str, str]:
    """The modules there is an import list for: file name in lower case -> name of the list."""
    return {_read(path.stem, include)[0].lower(): path.stem for path in sorted(include.glob("*.def"))}


def definition_file(name: str, include: Path = INCLUDE) -> Path:
    """The module-definition file called `name`; ConfigurationError if there is none."""
    path = include / f"{name}.def"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in include.glob("*.def")))
        raise ConfigurationError(f"there is no import list called {name}", details=(f"there are: {known}",))
    return path


def _read(name: str, include: Path) -> tuple[str, list[str]]:
    module, names = "", []
    for line in definition_file(name, include).read_text(encoding="ascii").splitlines():
        words = line.split()
        if not words or words[0].startswith(";") or words[0] == "EXPORTS":
            continue
        if words[0] == "LIBRARY":
            module = words[1]
        else:
            names.append(words[0])
    return module, names
