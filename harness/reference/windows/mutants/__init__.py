"""Mutants: deliberate breaks of the contract that can be built into the reference kernel, each by its name.

The kernel reads as the contract and knows of none of them. It makes its parts by `kernel.mutants.of(Part)(…)`, and a
mutant is a subclass of a part that does one named step of it differently (`@mutant("name")`, in the modules of this
folder; its docstring says what it breaks, and harness/contract/proven.yaml which rules' tests it turns red). A suite
whose test stays green under the mutant of its rule proves nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

Part = TypeVar("Part")

_registered: dict[str, type] = {}


def mutant(name: str) -> Callable[[type[Part]], type[Part]]:
    """Register a subclass of a part as the mutant `name`."""

    def register(breaking: type[Part]) -> type[Part]:
        assert name not in _registered, f"two mutants are called {name!r}"
        _registered[name] = breaking
        return breaking

    return register


@cache
def load_mutants() -> Mapping[str, type]:
    """The class that each mutant is, by its name."""
    for module in iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    return dict(sorted(_registered.items()))


class Mutants:
    """The mutants that one kernel is made with."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """ValueError for a name that is no mutant's."""
        self.names = tuple(sorted(set(names)))
        unknown = [name for name in self.names if name not in load_mutants()]
        if unknown:
            raise ValueError(f"no mutant is called {unknown[0]!r}; there are {', '.join(load_mutants())}")

    def of(self, part: type[Part]) -> type[Part]:
        """The class to make a part of the kernel with: the part's own, or one with the chosen steps replaced."""
        breaking = [found for name in self.names if issubclass(found := load_mutants()[name], part)]
        return type(part.__name__, (*breaking, part), {}) if breaking else part
