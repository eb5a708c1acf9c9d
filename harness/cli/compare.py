"""`fltlab compare`: where guests disagree, rule by rule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from harness.contract import load_catalogue
from harness.errors import ExitCode
from harness.report.compare import Comparison, compare, find_sides, save_recordings
from harness.report.records import Outcome

LETTERS: dict[Outcome | None, str] = {
    Outcome.PASSED: ".",
    Outcome.FAILED: "F",
    Outcome.ERROR: "E",
    Outcome.SKIPPED: "s",
    Outcome.NOT_WITNESSED: "n",
    Outcome.FLAKY: "~",
    None: "-",
}
"""How a rule ended on a guest, in a table of many."""


def compare_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN[:GUEST]…", help="Runs, by directory, id, or `last`: with all their guests, or one."
        ),
    ],
    save: Annotated[
        Path | None, typer.Option(help="Save each disagreement there, as a recording to replay (docs/compare.md).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where guests disagree. Exit code 1 if a test passed on one and failed on another."""
    found = compare(find_sides(runs, Path.cwd()))
    saved, missing = save_recordings(found, save) if save is not None else ([], [])
    if as_json:
        typer.echo(json.dumps({**_as_json(found), "saved": [str(path) for path in saved]}, indent=2))
    else:
        typer.echo("\n".join(_of_two(found) if len(found.sides) == 2 else _of_many(found)))
        for path in saved:
            typer.echo(f"saved: {path}")
    for line in missing:
        typer.echo(f"not saved: {line}", err=True)
    if found.disagreements:
        raise typer.Exit(ExitCode.FAILED)


def _of_two(found: Comparison) -> Iterator[str]:
    first, second = found.sides
    names = (first.guest, second.guest) if first.guest != second.guest else (str(first), str(second))
    for rule, items in found.rules.items():
        yield _statement(rule)
        for item in items:
            yield f"  {item.difference.value}: {item.test}"
            for name, outcome, message in zip(names, item.outcomes, item.messages, strict=True):
                yield f"    {name}: {_said(outcome, message)}"
        yield ""
    yield f"{first} and {second}: {found.compared} tests on both, {len(found.disagreements)} disagreements"


def _of_many(found: Comparison) -> Iterator[str]:
    """Rules in rows, guests in columns; then the tests behind each row, and who said what of them."""
    width = len(str(len(found.sides)))
    numbers = [str(number) for number, _ in enumerate(found.sides, 1)]
    for number, side in zip(numbers, found.sides, strict=True):
        yield f"{number:>{width}}  {side}"
    table = found.table
    rows = [rule for rule in found.rules if rule]
    if rows:
        name = max(map(len, rows))
        yield ""
        yield f"{'':{name}}  {' '.join(f'{number:>{width}}' for number in numbers)}"
        for rule in rows:
            yield f"{rule:{name}}  {' '.join(f'{LETTERS[outcome]:>{width}}' for outcome in table[rule])}"
        yield f"({', '.join(f'{letter} {_word(outcome)}' for outcome, letter in LETTERS.items())})"
    yield ""
    for rule, items in found.rules.items():
        yield _statement(rule)
        for item in items:
            yield f"  {item.difference.value}: {item.test}"
            who: dict[str, list[str]] = {}
            for number, outcome, message in zip(numbers, item.outcomes, item.messages, strict=True):
                who.setdefault(_said(outcome, message), []).append(number)
            for said, sides in who.items():
                yield f"    {', '.join(sides)}: {said}"
        yield ""
    alike = len(table) - len(rows)
    yield (
        f"{len(found.sides)} guests: {found.compared} tests on all, {len(found.disagreements)} disagreements; "
        f"{alike} rules alike on all"
    )


def _statement(rule: str) -> str:
    catalogue = load_catalogue()
    return f"{rule}  {catalogue[rule].statement}" if rule in catalogue else rule or "no rule"


def _word(outcome: Outcome | None) -> str:
    return outcome.value.replace("_", " ") if outcome else "not run"


def _said(outcome: Outcome | None, message: str) -> str:
    return _word(outcome) + (f": {message}" if message and message not in (outcome, "not run") else "")


def _as_json(found: Comparison) -> dict[str, object]:
    return {
        "sides": [{"run": side.run_id, "guest": side.guest, "kind": side.kind} for side in found.sides],
        "compared": found.compared,
        "disagreements": len(found.disagreements),
        "table": {
            rule: [outcome.value if outcome else None for outcome in outcomes] for rule, outcomes in found.table.items()
        },
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
