"""`fltlab crash`: what a dump of a Windows kernel says."""

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.fleet.builds import builds_of_users, output_of
from harness.guest.dump import Symbols, read_crash
from harness.minifilter.build import SUPPORT


def crash(
    file: Annotated[Path, typer.Argument(help="MEMORY.DMP, or a mini dump.")],
    symbols: Annotated[
        list[Path] | None, typer.Option(help="Directory with drivers and their PDBs; several times for several.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the bug check of a dump, what its parameters mean, and the driver it points at (a guess)."""
    found = read_crash(file, Symbols([output_of(SUPPORT), builds_of_users(), *(symbols or [])]))
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.lines()))


def register(app: typer.Typer) -> None:
    app.command("crash")(crash)
