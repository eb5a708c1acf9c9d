"""`fltlab completion`: what a shell is told so that it completes fltlab's commands and options."""

import os
from pathlib import PurePath
from typing import Annotated

import typer

from harness.cli.main import COMPLETE
from harness.errors import ConfigurationError

SHELLS = ("bash", "zsh", "fish")


def completion(
    name: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell (default: that of $SHELL).")] = "",
) -> None:
    """Print what a shell needs to complete commands and options.

    In ~/.bashrc or ~/.zshrc: eval "$(fltlab completion)".
    """
    from typer._completion_shared import get_completion_script

    shell = name or PurePath(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise ConfigurationError(f"no completion for the shell {shell!r}", hint=f"one of {', '.join(SHELLS)}")
    typer.echo(get_completion_script(prog_name="fltlab", complete_var=COMPLETE, shell=shell))


def register(app: typer.Typer) -> None:
    app.command("completion")(completion)
