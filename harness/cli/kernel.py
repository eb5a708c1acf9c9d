"""`fltlab kernel`: what the reference kernel has, and what a driver needs of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from harness.fleet.kernel_exports import Needs
    from harness.minifilter.image_imports import Import

group = typer.Typer(help="What the reference kernel exports, and what a driver needs of it.", no_args_is_help=True)


@group.command("imports")
def imports(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="X.sys", help="Drivers, or what `fltlab try` takes.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All exports, and which of them the kernel has.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a driver imports: what the reference kernel has, what it lacks, and whether the driver starts all the same.

    Exit code 1 if a driver would not be loaded.
    """
    from harness.fleet.kernel_exports import needs
    from harness.fleet.trial.candidate import image_of

    if bool(images) is every:
        raise ConfigurationError("name drivers, or --all", hint="fltlab kernel imports X.sys")
    if every:
        _print_all(as_json)
        return
    found = [needs(image_of(image)) for image in images or ()]
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=2))
    else:
        for one in found:
            _print(one)
    if not all(one.starts for one in found):
        raise typer.Exit(ExitCode.FAILED)


def _print(found: "Needs") -> None:
    typer.echo(f"{found.image.name}: {_summary(found)}")
    for title, some in (
        ("not loaded on a reference guest, for nothing exports", found.refused),
        ("not implemented: calling one stops the reference kernel", found.stops),
        ("implemented", found.has),
    ):
        if some:
            typer.echo(f"  {title}")
        for module in dict.fromkeys(one.module for one in some):
            typer.echo(f"    {module}")
            _echo_names("      ", (one.name for one in some if one.module == module))


def _summary(found: "Needs") -> str:
    number = len(found.has) + len(found.stops) + len(found.refused)
    if found.refused:
        return f"{number} imports; it cannot be loaded: {len(found.refused)} are exported by nobody"
    if found.stops:
        return f"{number} imports; it starts, and {len(found.stops)} of them stop the kernel when they are called"
    return f"{number} imports, all implemented"


def _print_all(as_json: bool) -> None:
    from harness.fleet.kernel_exports import kernel_exports

    exports = kernel_exports()
    if as_json:
        plain = {name: {"has": sorted(one.has), "lacks": sorted(one.lacks)} for name, one in exports.items()}
        typer.echo(json.dumps(plain, indent=2))
        return
    for name, one in exports.items():
        typer.echo(f"{name}: {len(one.has)} of {len(one.has) + len(one.lacks)} exports are implemented")
        for title, names in (("implemented", one.has), ("only Windows has", one.lacks)):
            typer.echo(f"  {title}")
            _echo_names("    ", names)


def _echo_names(indent: str, names: Iterable[str]) -> None:
    typer.echo(fill(", ".join(sorted(names)), 100, initial_indent=indent, subsequent_indent=indent))


def _as_json(found: "Needs") -> dict[str, object]:
    def by_module(some: "tuple[Import, ...]") -> dict[str, list[str]]:
        return {m: sorted(x.name for x in some if x.module == m) for m in sorted({one.module for one in some})}

    return {
        "image": str(found.image),
        "starts": found.starts,
        "refused": by_module(found.refused),
        "stops": by_module(found.stops),
        "has": by_module(found.has),
    }


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="kernel")
