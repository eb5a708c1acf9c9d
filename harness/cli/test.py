"""`fltlab test`: the harness's own tests, and the checkers beside them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer
from rich.console import Console

from harness.cli.checkout import checkout
from harness.errors import ExitCode

CONTEXT = {"ignore_unknown_options": True, "allow_extra_args": True}

MAY_FLAKE = frozenset(
    {
        "cli",
        "cluster",
        "daemon",
        "farm",
        "fleet",
        "fuzz",
        "guest",
        "host",
        "image",
        "machine",
        "plugin",
        "reliability",
        "windows",
    }
)
"""Folders of tests/ whose tests drive processes and machines: what else runs here may end one of them."""
FLAKY_AT_MOST = 3
"""More tests than these do not fail by chance."""
FAILED_TESTS = "FLTLAB_FAILED_TESTS"
"""The variable that names the file to which tests/told.py writes what failed."""


def test(context: typer.Context) -> None:
    """Test and check fltlab itself: pytest (which gets the arguments), and beside it ruff, mypy, clang-format."""
    root = checkout()
    console = Console(stderr=True, highlight=False)
    arguments = list(context.args)
    if not any(argument.startswith("tests") for argument in arguments):
        arguments.append("tests")
    if not any(argument.startswith(("-n", "--numprocesses", "--pdb")) for argument in arguments):
        # One more than there are processors, as many tests wait for others' processes. The longest modules come first,
        # as tests/conftest.py has them: not those with the most tests.
        workers = (os.cpu_count() or 1) + 1
        arguments = ["-n", str(workers), "--dist", "loadscope", "--no-loadscope-reorder", *arguments]
    with ThreadPoolExecutor(1) as beside:
        checks = beside.submit(_check, root)
        code, red = _pytest(root, arguments)
    if code == ExitCode.FAILED and not context.args and may_be_flaky(red):
        console.print(f"{len(red)} failed that drive processes: run once more, each by itself")
        code, again = _pytest(root, ["-n", "0", *red])
        _tell(console, {name: account for name, account in red.items() if name not in again}, "flaky: passed by itself")
        _tell(console, {name: red[name] for name in again if name in red}, "failed, and failed again by itself")
    for name, said in checks.result().items():
        console.print(f"{name}: {'failed' if said else 'ok'}")
        console.print(said, end="", markup=False, soft_wrap=True)
    if code == ExitCode.PASSED and any(checks.result().values()):
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit(code)


def may_be_flaky(red: Mapping[str, object]) -> bool:
    """Whether tests that failed are run once more: a few, all of which drive processes."""
    folders = {name.removeprefix("tests/").partition("/")[0] for name in red}
    return 0 < len(red) <= FLAKY_AT_MOST and folders <= MAY_FLAKE


def _tell(console: Console, tests: Mapping[str, Sequence[str]], what: str) -> None:
    for name, account in tests.items():
        console.print(f"{what}: {name}", style="yellow", markup=False, soft_wrap=True)
        for line in account:
            console.print(f"    {line}", markup=False, soft_wrap=True)


def _pytest(root: Path, arguments: Sequence[str]) -> tuple[int, dict[str, list[str]]]:
    """Run pytest: its exit code, and what failed with what was said of each."""
    with tempfile.TemporaryDirectory(prefix="fltlab-test-") as folder:
        told = Path(folder) / "failed.json"
        command = [sys.executable, "-m", "pytest", *arguments]
        done = subprocess.run(command, cwd=root, check=False, env={**os.environ, FAILED_TESTS: str(told)})
        return done.returncode, json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}


def _checkers(root: Path) -> dict[str, list[str]]:
    module = [sys.executable, "-m"]
    checkers = {
        "ruff check": [*module, "ruff", "check", "--quiet", "."],
        "ruff format": [*module, "ruff", "format", "--check", "--quiet", "."],
        "mypy --strict": [*module, "mypy", "--no-error-summary"],
    }
    sources = sorted(
        str(path.relative_to(root)) for suffix in ("c", "h", "S") for path in root.glob(f"drivers/**/*.{suffix}")
    )
    clang_format = next(filter(None, (shutil.which(f"clang-format-{version}") for version in (19, 20, 21, 22))), None)
    if sources and clang_format and (root / ".clang-format").is_file():
        checkers["clang-format"] = [clang_format, "--dry-run", "-Werror", *sources]
    return checkers


def _check(root: Path) -> dict[str, str]:
    """Run the checkers: what each of them that is not content has said."""
    found = {}
    for name, command in _checkers(root).items():
        done = subprocess.run(
            command, cwd=root, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        found[name] = (done.stdout or f"exit code {done.returncode}\n") if done.returncode else ""
    return found


def register(app: typer.Typer) -> None:
    app.command("test", context_settings=CONTEXT)(test)
