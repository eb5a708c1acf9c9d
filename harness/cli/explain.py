"""`fltlab explain`: one rule of the contract."""

from typing import Annotated

import typer

from harness.cli.contract import contract


def explain(
    rule: Annotated[str, typer.Argument(help="The rule, e.g. PRE-COMP-01.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what one rule of the contract means, which tests are about it, and how it is broken on purpose."""
    contract(rule, as_json=as_json)


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)
