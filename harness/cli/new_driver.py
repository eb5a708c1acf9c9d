"""`fltlab new-driver`: a minifilter to begin with."""

from pathlib import Path
from typing import Annotated

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.errors import ConfigurationError


def new_driver(
    name: Annotated[str, typer.Argument(help="Name of the driver, e.g. mydriver.")],
    directory: Annotated[Path, typer.Option("--in", help="Directory of drivers.")] = Path("drivers"),
) -> None:
    """Write drivers/NAME/: a minifilter that builds, loads and lets every create pass."""
    words = name.replace("-", "_").split("_")
    if not name.replace("-", "_").isidentifier() or not name.isascii():
        raise ConfigurationError(f"{name!r} cannot be the name of a driver", hint="letters, digits and dashes")
    folder = directory / name
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already")
    environment = Environment(  # noqa: S701 (this is C, not HTML)
        loader=PackageLoader("harness.cli"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    folder.mkdir(parents=True)
    prefix = "".join(word[:1].upper() + word[1:] for word in words)
    for template, file in (("driver.c.j2", f"{name}.c"), ("driver.yaml.j2", "driver.yaml")):
        text = environment.get_template(template).render(name=name, prefix=prefix)
        (folder / file).write_text(text, encoding="utf-8")
    found_by_itself = "" if directory == Path("drivers") else f" --drivers {directory}"
    typer.echo(f"{folder}")
    typer.echo(f"build it:  fltlab drivers build {name}{found_by_itself}")
    typer.echo(f"test it:   fltlab new-suite {name} --driver {name}{found_by_itself}")


def register(app: typer.Typer) -> None:
    app.command("new-driver")(new_driver)
