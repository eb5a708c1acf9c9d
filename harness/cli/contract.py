"""`fltlab contract`: the rules of the documented contract, and how each is covered."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.contract import EVERY_CLASS, Area, Rule, load_catalogue, load_guards, rule_classes, rule_coverage
from harness.errors import ConfigurationError, did_you_mean
from harness.shipped import SUITES


def contract(
    rule: Annotated[str | None, typer.Argument(help="One rule, e.g. PRE-COMP-01 (default: a table of all).")] = None,
    area: Annotated[Area | None, typer.Option("--area", help="Only rules of this area.")] = None,
    core: Annotated[bool, typer.Option("--core", help="Only the rules that the suites must cover.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the rules: what the documentation says, which tests are about it, which break turns them red."""
    catalogue = load_catalogue()
    if rule and rule.upper() not in catalogue:
        raise ConfigurationError(
            f"there is no rule {rule!r} in the contract{did_you_mean(rule.upper(), catalogue.ids)}"
        )
    rules = [catalogue[rule.upper()]] if rule else list(catalogue.select(area=area, core=True if core else None))
    coverage, classes = rule_coverage(SUITES), rule_classes(SUITES)
    guards = {guard.rule: guard for guard in load_guards()}
    entries = [
        {
            **one.model_dump(mode="json", exclude_defaults=True),
            "tests": coverage.get(one.id, []),
            "classes": classes.get(one.id, []),
            "broken_by": [guard.mutant or guard.wrong_driver for guard in load_guards() if guard.rule == one.id],
        }
        for one in rules
    ]
    if as_json:
        summary = _summary(rules, coverage, frozenset(guards))
        summary["every_class"] = sum(1 for one in rules if classes.get(one.id) == [EVERY_CLASS])
        typer.echo(json.dumps({"summary": summary, "rules": entries}, indent=2))
    elif rule:
        _show(rules[0], coverage, classes.get(rules[0].id, []), entries[0]["broken_by"])
    else:
        _table(rules, coverage, frozenset(guards))


def _summary(rules: list[Rule], coverage: dict[str, list[str]], guarded: frozenset[str]) -> dict[str, object]:
    """How many of the rules are tested and guarded, and why others are not."""
    return {
        "rules": len(rules),
        "tested": sum(1 for rule in rules if coverage.get(rule.id)),
        "guarded": sum(1 for rule in rules if rule.id in guarded),
        "core": sum(1 for rule in rules if rule.core),
        "reasons": {rule.id: why for rule in rules if (why := rule.reason or rule.unguarded)},
    }


def _show(rule: Rule, coverage: dict[str, list[str]], classes: list[str], breaks: object) -> None:
    console = Console(highlight=False)
    console.print(Text(f"{rule.id}  {rule.kind} ({rule.area})", style="bold"))
    console.print(rule.statement)
    console.print(f"source: {', '.join([rule.source, *rule.also])}", style="dim")
    said = (
        ("broken", rule.violation),
        ("open", rule.open_question),
        ("note", rule.note),
        ("no test", rule.reason),
        ("no guard", rule.unguarded),
        ("applies to", ", ".join(rule.applies)),
        ("held of", ", ".join(["every class of operations"] if classes == [EVERY_CLASS] else classes)),
        ("not of more", rule.narrow),
    )
    for heading, text in said:
        if text:
            console.print(f"{heading}: {text}")
    console.print(f"tests: {len(coverage.get(rule.id, []))}")
    for test in coverage.get(rule.id, []):
        console.print(f"  {test}")
    console.print(
        f"guarded by: {', '.join(map(str, breaks)) if isinstance(breaks, list) and breaks else 'nothing yet'}"
    )


def _table(rules: list[Rule], coverage: dict[str, list[str]], guarded: frozenset[str]) -> None:
    rows = [
        (
            rule.id,
            rule.kind,
            "core" if rule.core else "",
            str(len(coverage.get(rule.id, [])) or ""),
            "yes" if rule.id in guarded else "",
            f"({why}) {rule.statement}" if (why := rule.reason or rule.unguarded) else rule.statement,
        )
        for rule in rules
    ]
    console = Console(highlight=False)
    if not console.is_terminal:  # a line has room for a part of the sentence; a file or a program wants all of it
        for row in (("rule", "kind", "core", "tests", "guarded", "what the documentation says"), *rows):
            typer.echo("{:14} {:10} {:4} {:5} {:7} {}".format(*row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0), expand=True)
    for heading, width in (("rule", 14), ("kind", 10), ("core", 4), ("tests", 5), ("guarded", 7)):
        table.add_column(heading, no_wrap=True, min_width=width)
    table.add_column("what the documentation says", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def register(app: typer.Typer) -> None:
    app.command("contract")(contract)
