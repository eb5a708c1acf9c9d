"""`fltlab compare`: where two guests disagree, rule by rule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from harness.contract import load_catalogue
from harness.errors import ExitCode
from harness.report.compare import Comparison, compare, find_sides, save_recordings


def compare_runs(
    first: Annotated[str, typer.Argument(metavar="RUN[:GUEST]", help="Directory or id of a run, or `last`.")],
    second: Annotated[
        str | None,
        typer.Argument(metavar="[RUN[:GUEST]]", help="The other; not needed for a run on two guests."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save each disagreement there, as a recording to replay (docs/compare.md).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where two guests disagree. Exit code 1 if a test passed on one and failed on the other."""
    found = compare(*find_sides(first, second, Path.cwd()))
    saved, missing = save_recordings(found, save) if save is not None else ([], [])
    if as_json:
        typer.echo(json.dumps({**_as_json(found), "saved": [str(path) for path in saved]}, indent=2))
    else:
        typer.echo("\n".join(_lines(found)))
        for path in saved:
            typer.echo(f"saved: {path}")
    for line in missing:
        typer.echo(f"not saved: {line}", err=True)
    if found.disagreements:
        raise typer.Exit(ExitCode.FAILED)


def _lines(found: Comparison) -> Iterator[str]:
    first, second = found.sides
    names = (first.guest, second.guest) if first.guest != second.guest else (str(first), str(second))
    catalogue = load_catalogue()
    for rule, items in found.rules.items():
        yield f"{rule}  {catalogue[rule].statement}" if rule in catalogue else rule or "no rule"
        for item in items:
            one, two = (outcome.value if outcome else "not run" for outcome in item.outcomes)
            yield f"  {item.difference.value}: {item.test}"
            for name, outcome, message in zip(names, (one, two), item.messages, strict=True):
                yield f"    {name}: {outcome}{f': {message}' if message and message != outcome else ''}"
        yield ""
    yield f"{first} and {second}: {found.compared} tests on both, {len(found.disagreements)} disagreements"


def _as_json(found: Comparison) -> dict[str, object]:
    return {
        "sides": [{"run": side.run_id, "guest": side.guest, "kind": side.kind} for side in found.sides],
        "compared": found.compared,
        "disagreements": len(found.disagreements),
        "rules": {
            rule: [
                {
                    "test": item.test,
                    "difference": item.difference.value,
                    "outcomes": [outcome.value if outcome else None for outcome in item.outcomes],
                    "messages": list(item.messages),
                }
                for item in items
            ]
            for rule, items in found.rules.items()
        },
    }


def register(app: typer.Typer) -> None:
    app.command("compare")(compare_runs)
