"""Every command that the documentation shows is there, with the options that it shows; the harmless ones are run."""

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
import typer

from harness.cli.main import COMMANDS, _app, main
from harness.errors import ExitCode
from harness.fleet.options import OPTIONS
from harness.shipped import SHIPPED

PAGES = [*SHIPPED.glob("*.md"), *(SHIPPED / "docs").rglob("*.md")]
CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[$(]\s*|\s)(?:\./|\.tools/fltlab/)?fltlab ((?:[a-z][a-z-]*)(?: .*)?)$")
HARMLESS = re.compile(r"(contract|mutants|version|doctor|image list|drivers list|explain [A-Z].*)( --json)?")
"""The commands that only tell something, which are run as they stand."""
UNWRITTEN = frozenset({"import", "schedule"})
"""Words after `fltlab` that are Python, or the head of a file, and no command."""


def commands_in(text: str) -> Iterator[str]:
    """The command lines of a page: of its code blocks and of what stands between backquotes."""
    for block, inline in CODE.findall(text):
        for line in (block or inline).replace("\\\n", " ").splitlines():
            found = COMMAND.search(re.split(r"\s+(?:#|&&|\||>|<|→)|\)", line.strip())[0])
            if found and found[1].split()[0] not in UNWRITTEN:
                yield found[1].strip()


def documented() -> list[tuple[str, str]]:
    """Each command line that the documentation has, with one of the pages that have it."""
    pages = {path: path.relative_to(SHIPPED).as_posix() for path in PAGES}
    found = {command: name for path, name in pages.items() for command in commands_in(path.read_text(encoding="utf-8"))}
    return sorted(found.items())


@lru_cache
def tree(command: str) -> Any:
    return typer.main.get_command(_app(command)).commands[command]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("command", "page"), documented())
def test_a_documented_command_is_there_with_its_options(command: str, page: str):
    words = shlex.split(command)
    if set(words[0]) == {"…"} or "·" in words:
        pytest.skip("a list of names, and no line to type")
    assert words[0] in COMMANDS, f"{page}: there is no command {words[0]}"
    node = tree(words[0])
    if hasattr(node, "commands"):
        assert len(words) == 1 or words[1] in node.commands, f"{page}: there is no command {' '.join(words[:2])}"
        node = node.commands[words[1]] if len(words) > 1 else node
    known = {name for option in node.params for name in (*option.opts, *option.secondary_opts)}
    takes_any = (node.context_settings or {}).get("ignore_unknown_options", False)  # pytest's own
    own = {option.flag for option in OPTIONS}
    for word in words[1:]:
        flag = word.strip("[]").partition("=")[0]
        if flag.startswith("--") and not (takes_any and flag not in own):
            assert flag in known, f"{page}: {' '.join(words[:2])} has no option {flag}"


@pytest.mark.parametrize("command", [command for command, _ in documented() if HARMLESS.fullmatch(command)])
def test_a_documented_command_that_only_tells_something_does_so(command: str, capsys: pytest.CaptureFixture[str]):
    assert main(shlex.split(command)) == ExitCode.PASSED

    assert capsys.readouterr().out.strip()


def test_commands_are_found_in_blocks_and_between_backquotes():
    page = (
        "Type `fltlab run x --seed 1` or\n```\n$ ./fltlab open   # the last\nfltlab report merge a \\\n  --out b\n```\n"
    )

    assert list(commands_in(page)) == ["run x --seed 1", "open", "report merge a    --out b"]


def test_every_command_is_documented():
    shown = {command.split()[0] for command, _ in documented()}
    listed = re.search(r"^`fltlab ([^`]* · [^`]*)`", (SHIPPED / "docs/architecture.md").read_text(), re.MULTILINE)
    assert listed is not None
    named = {re.sub(r" .*", "", word) for word in listed[1].split(" · ")}

    assert set(COMMANDS) - named == set()
    assert set(COMMANDS) - shown - {"version"} == set()
