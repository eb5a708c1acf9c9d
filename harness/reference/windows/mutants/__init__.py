"""Mutants: deliberate breaks of the contract that can be built into the reference kernel, each by its name.

`mutants.json` says of each what it breaks; the code asks `Kernel.mutant(name)` where it would do the right thing. A
suite whose test stays green under the mutant of its rule proves nothing.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files


@cache
def load_mutants() -> Mapping[str, str]:
    """What each mutant breaks, by its name."""
    known: dict[str, str] = json.loads(files(__name__).joinpath("mutants.json").read_text(encoding="utf-8"))
    return known


def known_mutants(names: Iterable[str]) -> frozenset[str]:
    """These names as a set; ValueError for one that is no mutant."""
    chosen = frozenset(names)
    unknown = sorted(chosen - set(load_mutants()))
    if unknown:
        raise ValueError(f"no mutant is called {unknown[0]!r}; there are {', '.join(load_mutants())}")
    return chosen
