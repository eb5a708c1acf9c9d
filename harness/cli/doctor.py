"""`fltlab doctor`: whether this machine can do the work, and what to do where it cannot."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import ExitCode
from harness.fleet import housekeeping
from harness.host.checks import Check, Status, host_checks
from harness.image.checks import check_images
from harness.machine.checks import machine_checks
from harness.text import safe_line

STYLE = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}
INSTALL = ("apt-get", "install", "--yes")


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Run the commands that mend what can be mended.")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Remove what killed processes and old builds left.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at everything fltlab needs of this machine: programs, accelerator, memory, disk, images, templates."""
    if clean:
        for leftover in housekeeping.clean():
            typer.echo(f"removed {safe_line(str(leftover.path))}: {leftover.why}", err=True)
    checks = _all()
    if fix and any(_run(command) for command in fixes(checks)):
        checks = _all()
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _print(checks)
    if any(check.status is Status.FAILED for check in checks):
        raise typer.Exit(ExitCode.HOST)


def fixes(checks: Iterable[Check]) -> list[list[str]]:
    """The commands that mend what is not as it should be; packages are installed by one of them."""
    wanted = [check.fix for check in checks if check.fix and check.status is not Status.OK]
    packages = {package: None for command in wanted if command[:3] == INSTALL for package in command[3:]}
    others = dict.fromkeys(command for command in wanted if command[:3] != INSTALL)
    commands = [[*INSTALL, *packages]] if packages else []
    return [*commands, *(list(command) for command in others)]


def _run(command: list[str]) -> bool:
    """Run one, as root where that can be had. What it prints is for people, so it goes to standard error."""
    words = command if os.geteuid() == 0 or command[0] == sys.executable else [*_as_root(), *command]
    typer.echo(f"fixing: {shlex.join(words)}", err=True)
    try:
        code = subprocess.run(words, check=False, stdout=2).returncode
    except OSError as error:
        typer.echo(f"that cannot be run: {error}", err=True)
        return False
    if code != 0:
        typer.echo(f"that ended with {code}", err=True)
    return code == 0


def _as_root() -> list[str]:
    return ["sudo"] if shutil.which("sudo") else []


def _all() -> list[Check]:
    return [*host_checks(), *machine_checks(), *check_images(), *housekeeping.housekeeping_checks()]


def _print(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(check.name, Text(check.status.value, style=STYLE[check.status]), check.found)
        if check.remedy and check.status is not Status.OK:
            table.add_row("", "", Text(check.remedy, style="italic"))
    Console(highlight=False).print(table)


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)
