"""`fltlab mutants`: the deliberate breaks of the contract, and the tests that each turns red."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.contract import load_guards
from harness.fleet.mutants import load_mutants


def mutants(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the mutants of the reference kernel: what each breaks, and which rules' tests it turns red."""
    guards = load_guards()
    entries = [
        {
            "name": name,
            "breaks": what,
            "rules": sorted({guard.rule for guard in guards if guard.mutant == name}),
            "tests": sorted({test for guard in guards if guard.mutant == name for test in guard.tests}),
        }
        for name, what in load_mutants().items()
    ]
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("mutant", no_wrap=True)
    for heading in ("breaks", "turns red"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        table.add_row(str(entry["name"]), str(entry["breaks"]), " ".join(entry["rules"]))
    console = Console(highlight=False)
    console.print(table)
    console.print("\none at work:  fltlab run --guest reference-local --mutant NAME", soft_wrap=True)


def register(app: typer.Typer) -> None:
    app.command("mutants")(mutants)
