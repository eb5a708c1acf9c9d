"""`fltlab image`: the images of guests."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import ConfigurationError
from harness.host.disk import used_bytes
from harness.image.reference import builder
from harness.image.store import Image, ImageStore, verify
from harness.plugin.marks import did_you_mean

MIB = 1 << 20
group = typer.Typer(help="Build, list, verify and remove images of guests.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the image, e.g. reference.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@group.command("list")
def list_images(as_json: AsJson = False) -> None:
    """Show the images that have been built."""
    images = ImageStore().images()
    if as_json:
        typer.echo(json.dumps([_as_json(image) for image in images], indent=2))
        return
    if not images:
        typer.echo("no image yet: the first run builds the reference image")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("image", "key", "MiB", "directory"):
        table.add_column(heading, justify="right" if heading == "MiB" else "left", overflow="fold")
    for image in images:
        table.add_row(image.name, image.key[:12], str(used_bytes(image.directory) // MIB), str(image.directory))
    Console(highlight=False).print(table)


@group.command("build")
def build(name: Name = "reference", as_json: AsJson = False) -> None:
    """Build an image, unless it is there already."""
    if name != "reference":
        raise ConfigurationError(
            f"there is no image called {name!r} that can be built{did_you_mean(name, ['reference'])}",
            details=("images: reference",),
        )
    image = builder.build(progress=lambda text: typer.echo(f"{text} …", err=True))
    typer.echo(json.dumps(_as_json(image), indent=2) if as_json else f"{image.name}  {image.directory}")


@group.command("verify")
def verify_images(name: Annotated[str | None, typer.Argument(help="Only images of this name.")] = None) -> None:
    """Compare the files of images with what they were when they were built."""
    for directory in _directories(name):
        image = verify(directory)
        typer.echo(f"{image.name}  {image.key[:12]}  ok")


@group.command("remove")
def remove(name: Name) -> None:
    """Remove every image of a name."""
    for directory in _directories(name):
        ImageStore().remove(directory.parent.name, directory.name)
        typer.echo(f"removed {directory}")


def _directories(name: str | None) -> list[Path]:
    directories = ImageStore().directories()
    names = {directory.parent.name for directory in directories}
    if name is not None and name not in names:
        raise ConfigurationError(
            f"there is no image {name!r} in the store{did_you_mean(name, names)}", hint="fltlab image list"
        )
    return [directory for directory in directories if name in {None, directory.parent.name}]


def _as_json(image: Image) -> dict[str, object]:
    return {
        "name": image.name,
        "key": image.key,
        "directory": str(image.directory),
        "files": dict(image.digests),
        "facts": dict(image.facts),
    }


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="image")
