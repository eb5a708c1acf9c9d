"""What a changed file touches: the tests that are to be run again because of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SOURCES = frozenset(
    {".py", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".inl", ".s", ".asm", ".rc", ".yaml", ".inf", ".vcxproj"}
)
"""What suites and drivers are made of. A driver's own .sys and .exe are seen by the driver.yaml that names them."""


def is_source(path: Path) -> bool:
    """Whether a change of this file can change what a test comes to."""
    return path.suffix.lower() in SOURCES | {".sys", ".exe"} and not path.name.startswith(".")


def touched(changed: Iterable[Path], suites: Sequence[Path], drivers: Mapping[str, Path]) -> list[Path]:
    """The test files below `suites` that the changed files touch, in the order of their names.

    `drivers` are the directories of the drivers by their names. A test file touches itself; a helper touches all tests
    of its folder and below; a driver touches the test files that name it; what belongs to no driver (headers that
    several share) touches all.
    """
    tests = _tests(suites)
    found: set[Path] = set()
    for path in changed:
        inside = [suite for suite in suites if suite == path or suite in path.parents]
        if path in tests:
            found.add(path)
        elif inside:
            found |= {test for test in tests if path.parent in test.parents}
        else:
            found |= _of_driver(path, tests, drivers)
    return sorted(found)


def _tests(suites: Iterable[Path]) -> set[Path]:
    return {
        test for suite in suites for test in (suite.rglob("test_*.py") if suite.is_dir() else [suite]) if test.is_file()
    }


def _of_driver(path: Path, tests: set[Path], drivers: Mapping[str, Path]) -> set[Path]:
    owners = [name for name, directory in drivers.items() if directory in path.parents]
    if not owners:
        return tests
    named = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in owners))
    # No test names a driver that stands in another's place (--replace): then each may be about it.
    return {test for test in tests if named.search(test.read_text(encoding="utf-8", errors="replace"))} or tests
