"""`fltlab doctor`: whether this machine can do the work, and what to do where it cannot."""

import json
import subprocess
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import ExitCode
from harness.host.checks import Check, Status, host_checks
from harness.image.checks import check_images
from harness.machine.checks import machine_checks

STYLE = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Run the commands that mend what can be mended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at everything fltlab needs of this machine: programs, accelerator, memory, disk, images, templates."""
    checks = _all()
    if fix:
        for command in dict.fromkeys(check.fix for check in checks if check.fix and check.status is not Status.OK):
            typer.echo(f"fixing: {' '.join(command)}", err=True)
            subprocess.run(command, check=False)
        checks = _all()
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _print(checks)
    if any(check.status is Status.FAILED for check in checks):
        raise typer.Exit(ExitCode.HOST)


def _all() -> list[Check]:
    return [*host_checks(), *machine_checks(), *check_images()]


def _print(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for check in checks:
        table.add_row(check.name, Text(check.status.value, style=STYLE[check.status]), check.found)
        if check.remedy and check.status is not Status.OK:
            table.add_row("", "", Text(check.remedy, style="italic"))
    Console(highlight=False).print(table)


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)
