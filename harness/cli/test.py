"""`fltlab test`: the checkers, then the harness's own tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import typer
from rich.console import Console

from harness.cli.checkout import checkout
from harness.errors import ExitCode

CONTEXT = {"ignore_unknown_options": True, "allow_extra_args": True}


def test(context: typer.Context) -> None:
    """Check and test fltlab itself: ruff, mypy, clang-format, then pytest (arguments are handed to pytest)."""
    root = checkout()
    console = Console(stderr=True, highlight=False)
    failed = [name for name, command in _checkers(root).items() if not _passes(console, name, command, root)]
    arguments = list(context.args)
    if not any(argument.startswith("tests") for argument in arguments):
        arguments.append("tests")
    if not any(argument.startswith(("-n", "--numprocesses", "--pdb")) for argument in arguments):
        arguments = ["-n", str(os.cpu_count() or 1), "--dist", "loadscope", *arguments]
    if failed:
        console.print(f"[red]failed checks: {', '.join(failed)}[/]")
    tests = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=root, check=False)
    if tests.returncode == ExitCode.PASSED and failed:
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit(tests.returncode)


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


def _passes(console: Console, name: str, command: list[str], root: Path) -> bool:
    console.print(f"{name} …", end=" ")
    done = subprocess.run(command, cwd=root, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    console.print("ok" if done.returncode == 0 else "failed")
    if done.returncode != 0:
        console.print(done.stdout, markup=False)
    return done.returncode == 0


def register(app: typer.Typer) -> None:
    app.command("test", context_settings=CONTEXT)(test)
