"""What a message or a page tells somebody to type is there to be typed."""

import importlib
import re
from pathlib import Path

import harness
from harness.cli.main import COMMANDS

ROOT = Path(harness.__file__).parents[1]
NAMED = re.compile(r"(?:`|\./|hint=f?\")fltlab ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
GROUPS = ("kernel", "drivers", "image", "guest")


def test_no_hint_names_a_command_that_does_not_exist() -> None:
    files = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {found for file in files for found in NAMED.findall(file.read_text(encoding="utf-8"))}
    below = {group: _commands(group) for group in GROUPS}

    assert len(named) > 20
    assert {first for first, _ in named} - set(COMMANDS) == set()
    assert [pair for pair in named if pair[0] in below and pair[1] and pair[1] not in below[pair[0]]] == []


def _commands(group: str) -> set[str]:
    app = importlib.import_module(f"harness.cli.{group}").group
    return {command.name or command.callback.__name__ for command in app.registered_commands}
