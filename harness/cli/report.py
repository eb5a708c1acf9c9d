"""`fltlab report`: the reports of a run, made again from its journal."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.contract import load_proven
from harness.report.html import FILE_NAME as REPORT
from harness.report.journal import read_journal
from harness.report.provenance import read_run_json
from harness.report.resume import find_run
from harness.report.table import tables
from harness.report.write import write_reports


def report(
    run: Annotated[str, typer.Argument(help="Directory or id of a run, or `last`.")] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write junit.xml and report.html of a run again, also of one that was killed, and print its tables."""
    directory = find_run(run, Path.cwd())
    records = read_journal(directory)
    summary = write_reports(directory, read_run_json(directory), records, sum(record.seconds for record in records))
    if as_json:
        typer.echo(json.dumps(asdict(summary), indent=2))
        return
    console = Console(highlight=False)
    console.print(tables(records, summary, load_proven()))
    console.print(f"\n{directory / REPORT}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    app.command("report")(report)
