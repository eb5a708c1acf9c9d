"""The long mode of fltlab's own fuzzers and of its chaos test: what every `fltlab test` does a little of, many times.

The tests tell their figures by lines of JSON in a file that an environment variable names (tests/fuzz/conftest.py).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TESTS = ("tests/fuzz", "tests/reliability/test_chaos.py")
FACTOR, FIGURES = "FLTLAB_FUZZ_FACTOR", "FLTLAB_FUZZ_FIGURES"
_LAST_LINES = 30


@dataclass
class Long:
    """What was tried, and what came of it."""

    figures: list[dict[str, object]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def try_long(factor: float, root: Path, tell: Callable[[str], None]) -> Long:
    """Run the fuzzers and the chaos test of a checkout, each as many times more as `factor` says."""
    found = Long()
    with tempfile.TemporaryDirectory(prefix="fltlab-soak-") as folder:
        figures = Path(folder) / "figures.jsonl"
        for test in TESTS:
            tell(f"{test}, {factor:g} times as much as in `fltlab test`")
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "load", test],
                cwd=root,
                env={**os.environ, FACTOR: str(factor), FIGURES: str(figures)},
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                last = (done.stdout + done.stderr).splitlines()[-_LAST_LINES:]
                found.problems.append("\n".join([f"{test} ended with {done.returncode}", *last]))
        if figures.exists():
            found.figures = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    return found
