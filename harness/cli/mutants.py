"""`fltlab mutants`: the deliberate breaks of the contract, and the tests that each turns red."""

import json
import os
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.contract import load_guards
from harness.errors import ExitCode
from harness.fleet.mutants import load_mutants

if TYPE_CHECKING:
    from harness.farm.mutation import Verdict

app = typer.Typer(help="The deliberate breaks of the contract: list the mutants, or run them and the wrong drivers.")


@app.callback(invoke_without_command=True)
def mutants(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """The deliberate breaks of the contract: list the mutants, or run them and the wrong drivers."""
    if context.invoked_subcommand is None:
        list_mutants(as_json)


@app.command("list")
def list_mutants(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
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
    console.print("all of them:  fltlab mutants run", soft_wrap=True)


@app.command("run")
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Mutants and wrong drivers.")] = None,
    jobs: Annotated[int, typer.Option("-n", "--jobs", min=1, help="How many at a time.")] = os.cpu_count() or 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> ExitCode:
    """Run each break's tests under it: killed if all of them go red. Exit code 1 if one survives."""
    from harness.farm.mutation import breaks_named, try_breaks

    begin, found = time.monotonic(), breaks_named(names or ())
    verdicts = []
    for verdict in try_breaks(found, jobs):
        verdicts.append(verdict)
        if not as_json:
            _tell(verdict)
    killed = sum(verdict.killed for verdict in verdicts)
    seconds = round(time.monotonic() - begin, 1)
    if as_json:
        summary = {"breaks": len(verdicts), "killed": killed, "survived": len(verdicts) - killed, "seconds": seconds}
        typer.echo(json.dumps({"summary": summary, "breaks": [_entry(verdict) for verdict in verdicts]}, indent=2))
    else:
        typer.echo(f"{killed} of {len(verdicts)} killed in {seconds:.0f} s")
    return ExitCode.PASSED if killed == len(verdicts) else ExitCode.FAILED


def _tell(verdict: "Verdict") -> None:
    rules = " ".join(dict.fromkeys(guard.rule for guard in verdict.of.guards))
    typer.echo(f"{'killed' if verdict.killed else 'SURVIVED':9} {verdict.of.name}  ({rules})")
    for test, why in verdict.survived:
        typer.echo(f"          {test}: {why}")


def _entry(verdict: "Verdict") -> dict[str, object]:
    return {
        "name": verdict.of.name,
        "kind": "wrong driver" if verdict.of.wrong_driver else "mutant",
        "rules": list(dict.fromkeys(guard.rule for guard in verdict.of.guards)),
        "verdict": "killed" if verdict.killed else "survived",
        "killed_by": list(verdict.killed_by),
        "survived": [{"test": test, "why": why} for test, why in verdict.survived],
        "seconds": verdict.seconds,
    }


def register(main: typer.Typer) -> None:
    """Add it to the command line."""
    main.add_typer(app, name="mutants")
