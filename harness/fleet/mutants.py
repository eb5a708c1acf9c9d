"""The mutants of the reference kernel, as a run may name them: read from their source, without importing the kernel."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import harness
from harness.errors import ConfigurationError, did_you_mean

FOLDER = Path(harness.__file__).parent / "reference" / "windows" / "mutants"


@cache
def load_mutants() -> Mapping[str, str]:
    """What each mutant breaks, by its name."""
    return dict(sorted(item for module in FOLDER.glob("*.py") for item in _mutants_in(module)))


def _mutants_in(module: Path) -> Iterator[tuple[str, str]]:
    """Name and docstring of every class that is decorated with `@mutant("name")`."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(decorator_list=[ast.Call(func=ast.Name(id="mutant"), args=[ast.Constant(value=name)])]):
                yield str(name), ast.get_docstring(node) or ""


def require_mutants(names: Iterable[str]) -> None:
    """Raise ConfigurationError if there is no mutant of one of these names."""
    for name in names:
        if name not in load_mutants():
            raise ConfigurationError(
                f"there is no mutant called {name!r}{did_you_mean(name, load_mutants())}",
                hint="fltlab mutants lists what the reference kernel can be made to break",
            )
