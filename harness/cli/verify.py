"""`fltlab image verify NAME`: starts one guest and prints what the self-test finds, and the trial of its forks."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import ExitCode
from harness.fleet.provider import Provider
from harness.fleet.providers import kind_of, provider_for
from harness.fleet.settings import Settings
from harness.guest import Guest, GuestKind
from harness.guest import state_checks as _state_checks  # noqa: F401 - registers its checks
from harness.guest.conversation import begin, recording, seal
from harness.guest.driver_checks import check_drivers
from harness.guest.large_files_check import check_large_files
from harness.guest.minifilter_check import check_minifilter
from harness.guest.prints_check import check_prints
from harness.guest.restart_check import check_restart
from harness.guest.selftest import Expectation, Finding, self_test


def report_self_test(
    name: str,
    accelerator: str,
    *,
    as_json: bool = False,
    raw: bool = False,
    stderr: bool = False,
    forks: bool = False,
    record: Path | None = None,
) -> ExitCode:
    """Print a table of all checks, on standard error if asked to; 1 if the guest differs from what is expected.

    With `forks` the image is forked too, and what comes of it decides whether its guests are forks from now on. With
    `record` what is said to the guest is kept in that directory, and in one file beside it.
    """
    settings = Settings((name,), accelerator)
    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    if record is not None:
        begin(record)
    kept = recording(record / "conversation-verify.jsonl") if record is not None else contextlib.nullcontext()
    findings: list[Finding] = []
    provider = provider_for(name, settings)
    with kept, contextlib.closing(provider), tempfile.TemporaryDirectory(prefix="fltlab-verify-") as folder:
        trial = provider.try_forks(Path(folder) / "forks") if forks else iter(())
        for finding in _findings(provider, trial, Path(folder)):
            findings.append(finding)
            if not as_json:
                typer.echo(f"{'OK' if finding.ok else 'DIFFERENT':9}  {finding.check}", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_table(console, findings, raw=raw)
    if record is not None:
        facts = {
            "guests": {name: kind_of(name).value},
            "expectation": asdict(provider.expectation),
            "findings": [{"check": finding.check, "difference": finding.difference} for finding in findings],
        }
        typer.echo(f"recorded: {seal(record, 'verify', facts)}", err=True)
    return ExitCode.PASSED if all(finding.ok for finding in findings) else ExitCode.FAILED


def switch_forks_off(name: str, accelerator: str) -> None:
    """Boot this image's guests cold from now on, whatever its trial has said."""
    there = provider_for(name, Settings((name,), accelerator)).switch_forks_off()
    typer.echo(f"{name}: forks are off" if there else f"{name}: forks were off already")


def _findings(provider: Provider, trial: Iterator[Finding], folder: Path) -> Iterator[Finding]:
    """The self-test, and after it the trial of forks."""
    with provider.open(folder / "guest", None) as opened:
        yield from replayed_checks(opened.guest, provider.expectation)
        yield from check_large_files(opened.guest, folder)
        yield from opened.guest.last_checks(folder / "crash")
    yield from trial


def replayed_checks(guest: Guest, expected: Expectation) -> Iterator[Finding]:
    """All checks that need nothing but a guest's answers."""
    yield from self_test(guest, expected)
    yield check_minifilter(guest)
    yield from check_drivers(guest)
    yield check_prints(guest)
    if guest.kind is GuestKind.WINDOWS:
        yield check_restart(guest)


def print_table(console: Console, findings: list[Finding], *, raw: bool) -> None:
    """The findings as a table, and the raw text of those that differ."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("", "check", "measured", "difference"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        cells = ("OK" if finding.ok else "DIFFERENT", finding.check, finding.measured, finding.difference)
        table.add_row(*map(Text, cells))
    console.print(table)
    for finding in findings:
        if raw or not finding.ok:
            console.print(f"\n{finding.check}: {finding.difference or 'as expected'}", markup=False)
            for line in finding.raw:
                console.print(f"  {line}", markup=False)
            if finding.hint:
                console.print(f"  try:  {finding.hint}", markup=False)
