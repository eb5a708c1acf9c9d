"""`fltlab drivers`: the test minifilters, and the user's."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import ExitCode
from harness.fleet.drivers import Drivers
from harness.fleet.settings import driver_directories
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import DriverPackage, find_packages

if TYPE_CHECKING:
    from harness.minifilter.build import BuiltDriver

group = typer.Typer(help="Build, list and check drivers.", no_args_is_help=True)

Further = Annotated[
    list[Path] | None, typer.Option("--drivers", metavar="DIR", help="Directory of further drivers; may be repeated.")
]
Names = Annotated[list[str] | None, typer.Argument(help="Drivers by name (default: all).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@group.command("list")
def list_drivers(further: Further = None, as_json: AsJson = False) -> None:
    """Show which drivers there are."""
    packages = _packages(further)
    if as_json:
        typer.echo(json.dumps([package.model_dump(mode="json") for package in packages], indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("driver", "kind", "from", "description"):
        table.add_column(heading, no_wrap=heading != "description")
    for package in packages:
        table.add_row(package.name, package.kind.value, "binary" if package.binary else "source", package.description)
    Console(highlight=False).print(table)


@group.command("build")
def build(names: Names = None, further: Further = None, as_json: AsJson = False) -> None:
    """Compile, link and sign drivers; what has not changed is left as it is."""
    built = Drivers(driver_directories(further or (), Path.cwd())).build(
        names or [package.name for package in _packages(further)]
    )
    if as_json:
        typer.echo(json.dumps([_as_json(driver) for driver in built.values()], indent=2))
        return
    for driver in built.values():
        typer.echo(f"{driver.sha256[:16]}  {driver.sys}")


@group.command("check")
def check(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Drivers by name, or .sys files, projects, INFs or directories of drivers (default: all)."),
    ] = None,
    further: Further = None,
    as_json: AsJson = False,
) -> None:
    """Check images: x64, native, imports that exist (here too), relocations, checksum, hardening, PDB."""
    from harness.fleet.kernel_exports import warnings
    from harness.fleet.trial.candidate import image_of
    from harness.minifilter.check import Severity, check_image

    known = {package.name: package for package in _packages(further)}
    paths = [Path(word) for word in what or () if word not in known and _is_path(word)]
    files = {str(path): image_of(path) for path in paths}
    named = [word for word in what or known if Path(word) not in paths]
    built = Drivers(driver_directories(further or (), Path.cwd())).build(named)
    found = {name: check_image(image, ours=False) for name, image in files.items()}
    for driver in built.values():
        ours = driver.package.directory.is_relative_to(SUPPORT)
        found[driver.name] = check_image(driver.sys, ours, driver.package.kind)
    for name, image in {**files, **{one.name: one.sys for one in built.values()}}.items():
        if all(item.severity is Severity.WARNING for item in found[name]):
            found[name] += warnings(image)
    if as_json:
        plain = {
            name: [{"code": item.code, "severity": item.severity.value, "message": item.message} for item in items]
            for name, items in found.items()
        }
        typer.echo(json.dumps(plain, indent=2))
    else:
        for name, items in found.items():
            typer.echo(f"{name}: {'ok' if not items else ''}".rstrip())
            for item in items:
                typer.echo(f"  {item.severity.value}: {item.message}")
    if any(item.severity is Severity.ERROR for items in found.values() for item in items):
        raise typer.Exit(ExitCode.FAILED)


def _is_path(word: str) -> bool:
    """Whether a word leads to a driver, and is not the name of one."""
    return Path(word).suffix.lower() in {".sys", ".exe", ".inf", ".vcxproj", ".yaml"} or Path(word).is_dir()


def _packages(further: list[Path] | None) -> list[DriverPackage]:
    return [
        package
        for root in (SUPPORT, *driver_directories(further or (), Path.cwd()))
        for package in find_packages(root).values()
    ]


def _as_json(driver: "BuiltDriver") -> dict[str, str | None]:
    return {
        "name": driver.name,
        "file": str(driver.sys),
        "sha256": driver.sha256,
        "pdb": str(driver.pdb) if driver.pdb else None,
        "certificate": str(driver.certificate) if driver.certificate else None,
    }


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="drivers")
