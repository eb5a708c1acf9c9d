"""`fltlab open`: the report of a run, in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError, HostError
from harness.report.resume import find_run

REPORT = "report.html"


def open_report(
    run: Annotated[str, typer.Argument(help="Directory or id of a run, or `last`.")] = "last",
) -> None:
    """Open the report of a run in the browser."""
    path = find_run(run, Path.cwd()).absolute() / REPORT
    if not path.is_file():
        raise ConfigurationError(f"{path.parent} has no {REPORT}", hint=f"fltlab report {path.parent}")
    typer.echo(path)
    if not webbrowser.open(path.as_uri()):
        raise HostError("there is no browser here that could be started", hint="copy the file: it is whole by itself")


def register(app: typer.Typer) -> None:
    app.command("open")(open_report)
