"""`fltlab replay`: the host's side of a recording once more, without its guest."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from rich.console import Console

from harness.cli.verify import print_table, replayed_checks
from harness.errors import ConfigurationError, ExitCode
from harness.fleet.recorded_guest import load, recorded_guest, recorded_guests
from harness.guest.conversation import opened
from harness.guest.selftest import Expectation, Finding
from harness.shipped import SHIPPED

CONTEXT = {"ignore_unknown_options": True}


def replay(
    recording: Annotated[Path, typer.Argument(metavar="DIR", help="A recording: its directory, or the packed file.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[PYTEST OPTION]...", help="For a recorded run: -k, -x, -v …")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Show what the guest said for every check.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a recorded self-test.")] = False,
) -> None:
    """Run the host's side of a recorded self-test or run against what the guest answered then."""
    with tempfile.TemporaryDirectory(prefix="fltlab-replay-") as scratch, opened(recording, Path(scratch)) as directory:
        kept = load(directory.resolve())
        if kept.what == "verify":
            raise typer.Exit(_verify(directory.resolve(), kept.facts, raw=raw, as_json=as_json))
        if kept.what == "run":
            raise typer.Exit(_run(directory.resolve(), kept.facts, words or []))
        raise ConfigurationError(f"the recording {recording} is of {kept.what!r}, which cannot be replayed")


def _verify(directory: Path, facts: Any, *, raw: bool, as_json: bool) -> ExitCode:
    """The checks again: 1 if one comes to something else than when it was recorded, else what came of them then."""
    (name,) = recorded_guests(directory)
    told = {finding["check"]: str(finding["difference"]) for finding in facts["findings"]}
    expected: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in facts["expectation"].items()
    }
    findings = list(replayed_checks(recorded_guest(directory, name), Expectation(**expected)))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_table(Console(highlight=False, soft_wrap=True), findings, raw=raw)
        for line in _changed(findings, told):
            typer.echo(line)
    return ExitCode.PASSED if all(finding.ok for finding in findings) else ExitCode.FAILED


def _changed(findings: list[Finding], told: dict[str, str]) -> list[str]:
    """What is judged otherwise than when it was recorded, and what was not asked again."""
    lines = [
        f"{finding.check}: was {told[finding.check] or 'as expected'}, is {finding.difference or 'as expected'}"
        for finding in findings
        if finding.check in told and told[finding.check] != finding.difference
    ]
    again = {finding.check for finding in findings}
    return lines + [f"{check}: not replayed, it needs the machine" for check in told if check not in again]


def _run(directory: Path, facts: Any, words: list[str]) -> ExitCode:
    """The tests of the run again, in one process; the reports are in runs/ as of any run."""
    arguments = [_here(str(word)) for word in facts["arguments"]]
    for option in ("-n", "--dist"):
        while option in arguments:
            at = arguments.index(option)
            del arguments[at : at + 2]
    os.environ.pop("PYTEST_ADDOPTS", None)
    return ExitCode(pytest.main([*arguments, f"--replay={directory}", *words]))


def _here(word: str) -> str:
    """A path of the recording's checkout in this one."""
    file, separator, test = word.partition("::")
    if word.startswith("-") or Path(file).exists() or not (SHIPPED / file).exists():
        return word
    return f"{SHIPPED / file}{separator}{test}"


def register(app: typer.Typer) -> None:
    app.command("replay", context_settings=CONTEXT)(replay)
