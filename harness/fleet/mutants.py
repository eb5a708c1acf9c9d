"""The mutants of the reference kernel, as a run may name them: read from its list, without importing the kernel."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import harness
from harness.errors import ConfigurationError, did_you_mean

LIST = Path(harness.__file__).parent / "reference" / "windows" / "mutants" / "mutants.json"


@cache
def load_mutants() -> Mapping[str, str]:
    """What each mutant breaks, by its name."""
    known: dict[str, str] = json.loads(LIST.read_text(encoding="utf-8"))
    return known


def require_mutants(names: Iterable[str]) -> None:
    """Raise ConfigurationError if there is no mutant of one of these names."""
    for name in names:
        if name not in load_mutants():
            raise ConfigurationError(
                f"there is no mutant called {name!r}{did_you_mean(name, load_mutants())}",
                hint="fltlab mutants lists what the reference kernel can be made to break",
            )
