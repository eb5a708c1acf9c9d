"""`fltlab new-suite`: a first test file to begin a suite with."""

from pathlib import Path
from typing import Annotated

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.errors import ConfigurationError
from harness.fleet import options
from harness.fleet.drivers import Drivers
from harness.fleet.settings import driver_directories


def new_suite(
    name: Annotated[str, typer.Argument(help="Name of the suite, e.g. encryption.")],
    driver: Annotated[str, typer.Option("--driver", help="Name of the minifilter under test.")] = "passthrough",
    directory: Annotated[Path, typer.Option("--in", help="Directory of suites.")] = Path("suites"),
    drivers: Annotated[list[Path] | None, typer.Option("--drivers", metavar="DIR", help=options.DRIVERS.help)] = None,
) -> None:
    """Write suites/NAME/test_NAME.py: one test that runs as it is."""
    module = name.lower().replace("-", "_")
    if not module.isidentifier():
        raise ConfigurationError(f"{name!r} cannot be the name of a suite", hint="letters, digits and dashes")
    Drivers(driver_directories(drivers or (), Path.cwd())).require(driver)
    path = directory / name / f"test_{module}.py"
    if path.exists():
        raise ConfigurationError(f"{path} is there already")
    environment = Environment(  # noqa: S701 (this is Python, not HTML)
        loader=PackageLoader("harness.cli"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    title = f"{name.replace('-', ' ').capitalize()}: what this suite is about"
    text = environment.get_template("suite.py.j2").render(title=title, driver=driver)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    further = "".join(f" --drivers {given}" for given in drivers or ())
    typer.echo(f"{path}\nrun it:  fltlab run {path}{further}")


def register(app: typer.Typer) -> None:
    app.command("new-suite")(new_suite)
