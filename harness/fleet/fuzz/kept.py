"""The corpus on disk: cases that reached something, one script a file, kept between runs."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness.errors import ConfigurationError
from harness.fleet.fuzz.case import Case, case_of, script_of

SUFFIX = ".script"
MOST_BYTES = 1 << 20


def require_writable(directory: Path, option: str) -> None:
    """Make a directory that an option is for; ConfigurationError if nothing can be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"nothing can be written to {directory}", details=(str(error),), hint=f"{option} DIR"
        ) from error


class Corpus:
    """A directory of scripts. What is damaged in it is told, and left alone."""

    def __init__(self, directory: Path) -> None:
        """ConfigurationError if nothing can be written there."""
        require_writable(directory, "--corpus")
        self.directory = directory
        self.damaged: list[str] = []

    def load(self) -> list[Case]:
        """The cases of earlier runs, in the order of their names."""
        found: list[Case] = []
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            case = _read(path)
            if case is None:
                self.damaged.append(path.name)
            else:
                found.append(case)
        return found

    def add(self, case: Case) -> None:
        """Keep a case."""
        text = script_of(case)
        name = hashlib.sha256(text.encode()).hexdigest()[:16] + SUFFIX
        (self.directory / name).write_text(text, encoding="utf-8")


def _read(path: Path) -> Case | None:
    try:
        return case_of(path.read_text(encoding="utf-8")) if path.stat().st_size < MOST_BYTES else None
    except (OSError, ValueError):
        return None


def scripts_in(paths: Iterable[Path]) -> list[Case]:
    """The I/O scripts that stand in suites, as text that a test gives to `lab.io`; files, or directories of them."""
    import ast
    from textwrap import dedent

    found: dict[Case, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"--from {path}: there is no such file or directory")
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            try:
                tree = ast.parse(file.read_bytes())
            except (SyntaxError, ValueError) as error:
                raise ConfigurationError(f"--from {file}: it is no Python", details=(str(error),)) from error
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    case = case_of(dedent(node.value))
                    if case is not None:
                        found[case] = None
    return list(found)
