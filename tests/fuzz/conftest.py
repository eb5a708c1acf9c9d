"""How much is tried: a little in every run of the tests, FLTLAB_FUZZ_FACTOR times as much where that is set."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FACTOR = "FLTLAB_FUZZ_FACTOR"
FIGURES = "FLTLAB_FUZZ_FIGURES"
"""A file that gets a line of JSON of each fuzzer: what it tried, how often, and what came of it."""


@pytest.fixture
def times() -> Callable[[int], range]:
    """The seeds to try, where so many are tried in every run."""
    factor = float(os.environ.get(FACTOR, "1"))
    return lambda usual: range(max(1, int(usual * factor)))


@pytest.fixture
def tell() -> Iterator[dict[str, object]]:
    """What a fuzzer did, for the figures of the long mode."""
    figures: dict[str, object] = {}
    yield figures
    file = os.environ.get(FIGURES)
    if file and figures:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figures) + "\n")
