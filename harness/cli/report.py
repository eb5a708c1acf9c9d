"""`fltlab report`: the reports of a run, made again from its journal; `fltlab report merge`: one of several runs."""

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
from harness.report.merge import merge_runs
from harness.report.provenance import read_run_json
from harness.report.resume import find_run
from harness.report.summary import summarise
from harness.report.table import not_witnessed, tables
from harness.report.write import write_reports

MERGE = "merge"
"""The word before several runs that makes one report of them; a directory of this name is `./merge`."""


def report(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN | merge RUN RUN...]", help="Directory or id of a run, or `last`."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where `merge` writes the run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write junit.xml and report.html of a run again, also of one that was killed, and print its tables.

    `fltlab report merge RUN RUN... --out DIR` writes one run with the results of several: the jobs of a CI matrix.
    """
    first, *others = words or ["last"]
    if first == MERGE:
        directory = _merged(others, out)
        records = read_journal(directory)
        summary = summarise(records, load_proven(), sum(record.seconds for record in records))
    else:
        if others or out is not None:
            raise ConfigurationError(
                "one run has one report, in its own directory", hint=f"for several: fltlab report {MERGE} … --out DIR"
            )
        directory = find_run(first, Path.cwd())
        records = read_journal(directory)
        seconds = sum(record.seconds for record in records)
        from harness.report.coverage.measured import measure  # and what it reads images with

        covered = measure(directory, records)
        coverage = covered if covered.suites else None
        summary = write_reports(directory, read_run_json(directory), records, seconds, coverage=coverage)
    if as_json:
        typer.echo(json.dumps(asdict(summary), indent=2))
        return
    console = Console(highlight=False)
    console.print(tables(records, summary, load_proven()))
    for line in not_witnessed(records):
        typer.echo(line)
    console.print(f"\n{directory / REPORT}", soft_wrap=True)


def _merged(names: list[str], out: Path | None) -> Path:
    directories = [find_run(name, Path.cwd()) for name in names]
    if len(directories) < 2 or out is None:
        raise ConfigurationError("merge takes at least two runs, and a new directory for what they come to: --out DIR")
    merge_runs(directories, out)
    return out


def register(app: typer.Typer) -> None:
    app.command("report")(report)
