"""`fltlab guest`: one guest by itself, for a person."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers, symbol_directories
from harness.fleet.provider import Opened
from harness.fleet.providers import provider_for
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings, driver_directories
from harness.fleet.stack import StackPlan
from harness.guest.debug import paused, wait_for_enter
from harness.text import safe

group = typer.Typer(help="Start one guest: run a command in it, or look at it with a debugger.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the guest: reference, reference-local, or a Windows image.")]
StackOption = Annotated[
    str, typer.Option("--stack", metavar="STACK", help="Minifilters to load, e.g. 'observer@above, completion'.")
]
DriversOption = Annotated[list[Path] | None, typer.Option("--drivers", help="Directory of further drivers.")]


@group.command("exec")
def execute(name: Name, command: str, stack: StackOption = "", drivers: DriversOption = None) -> None:
    """Start a guest, run one command line in it, print what it prints, and end with its exit code."""
    settings = _settings(name, drivers)
    with _opened(settings, stack) as opened:
        result = opened.guest.run(command)
    pass_on(result.stdout, sys.stdout)
    pass_on(result.stderr, sys.stderr)
    raise typer.Exit(result.exit_code & 0xFF)


def pass_on(said: bytes, stream: TextIO) -> None:
    """Write what a guest said: to a file or a pipe as it is, to a terminal so that it can do nothing with it."""
    if stream.isatty():
        stream.write(safe(said, limit=4 * len(said) + 1))
        stream.flush()
    else:
        stream.buffer.write(said)
        stream.buffer.flush()


@group.command("debug")
def debug(name: Name, stack: StackOption = "", drivers: DriversOption = None) -> None:
    """Start a guest, load minifilters, pause it with QEMU's gdb stub on loopback, and say how to connect.

    It ends with Enter, or Ctrl-C.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError("fltlab guest debug waits for Enter, and there is no terminal")
    settings = _settings(name, drivers)
    with _opened(settings, stack) as opened:
        typer.echo("\n".join(paused(opened.guest, symbol_directories(settings.drivers))))
        wait_for_enter()


def _settings(name: str, drivers: list[Path] | None) -> Settings:
    return Settings((name,), drivers=driver_directories(drivers or (), Path.cwd()))


@contextmanager
def _opened(settings: Settings, stack: str) -> Iterator[Opened]:
    scene = Scene.of(StackPlan.of(stack), Drivers(settings.drivers))
    provider = provider_for(settings.guests[0], settings)
    with tempfile.TemporaryDirectory(prefix="fltlab-guest-") as folder, provider.open(Path(folder), None) as opened:
        opened.stack.deploy(scene.plan, scene.built)
        yield opened
    provider.close()


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="guest")
