"""`fltlab version`: which fltlab this is."""

import json
import platform
from importlib.metadata import version as installed_version
from typing import Annotated

import typer


def version(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version of fltlab and of what it stands on."""
    facts = {
        "fltlab": installed_version("fltlab"),
        "python": platform.python_version(),
        "pytest": installed_version("pytest"),
        "unicorn": installed_version("unicorn"),
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        typer.echo("\n".join(f"{name:8} {value}" for name, value in facts.items()))


def register(app: typer.Typer) -> None:
    app.command("version")(version)
