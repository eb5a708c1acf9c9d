"""`fltlab report`: the reports of a run, made again from its journal."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.contract import load_proven
from harness.errors import ConfigurationError
from harness.report.html import FILE_NAME as REPORT
from harness.report.journal import read_journal
from harness.report.provenance import read_run_json
from harness.report.table import tables
from harness.report.write import write_reports


def report(
    run: Annotated[Path | None, typer.Argument(help="Directory of a run (default: the newest below runs/).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write junit.xml and report.html of a run again, also of one that was killed, and print its tables."""
    directory = run or _newest()
    records = read_journal(directory)
    summary = write_reports(directory, read_run_json(directory), records, sum(record.seconds for record in records))
    if as_json:
        typer.echo(json.dumps(asdict(summary), indent=2))
        return
    console = Console(highlight=False)
    console.print(tables(records, summary, load_proven()))
    console.print(f"\n{directory / REPORT}", soft_wrap=True)


def _newest() -> Path:
    found = sorted(path.parent for path in Path("runs").glob("*/results.jsonl"))
    if not found:
        raise ConfigurationError("there is no run below runs/", hint="fltlab run, or name the directory of a run")
    return found[-1]


def register(app: typer.Typer) -> None:
    app.command("report")(report)
