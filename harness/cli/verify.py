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

from harness.errors import ConfigurationError, ExitCode
from harness.guest import Guest
from harness.guest.conversation import begin, recording, seal
from harness.guest.crash_path import check_crash_path
from harness.guest.minifilter_check import check_minifilter
from harness.guest.prints_check import check_prints
from harness.guest.selftest import Expectation, Finding, self_test
from harness.guest.windows import WindowsBody
from harness.image.store import ImageStore
from harness.image.windows import fork_record
from harness.image.windows.recipe import load_recipe, windows_images
from harness.plugin.options import Settings
from harness.plugin.provider import Provider
from harness.plugin.providers import kind_of, provider_for
from harness.plugin.windows_guest import WindowsProvider


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
    settings = Settings(
        guests=(name,), accelerator=accelerator, out=None, seed=1, drivers=(), replacements={}, mutants=(),
        image_directory=None,
    )  # fmt: skip
    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    if record is not None:
        begin(record)
    kept = recording(record / "conversation-verify.jsonl") if record is not None else contextlib.nullcontext()
    findings: list[Finding] = []
    provider = provider_for(name, settings)
    trial = _forkable(provider) if forks else None
    with kept, contextlib.closing(provider), tempfile.TemporaryDirectory(prefix="fltlab-verify-") as folder:
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
            "expectation": asdict(expectation_of(name)),
            "findings": [{"check": finding.check, "difference": finding.difference} for finding in findings],
        }
        typer.echo(f"recorded: {seal(record, 'verify', facts)}", err=True)
    return ExitCode.PASSED if all(finding.ok for finding in findings) else ExitCode.FAILED


def switch_forks_off(name: str, accelerator: str) -> None:
    """Boot this image's guests cold from now on, whatever its trial has said."""
    settings = Settings((name,), accelerator, None, 1, (), {}, (), None)
    provider = _forkable(provider_for(name, settings))
    there = fork_record.forget(provider.fork_setting)
    typer.echo(f"{name}: forks are off" if there else f"{name}: forks were off already")


def _forkable(provider: Provider) -> WindowsProvider:
    if not isinstance(provider, WindowsProvider):
        raise ConfigurationError(f"{provider.name} is no Windows image: its guests need no trial of forks")
    return provider


def _findings(provider: Provider, trial: WindowsProvider | None, folder: Path) -> Iterator[Finding]:
    """The self-test, and after it the trial of forks."""
    with provider.open(folder / "guest", None) as opened:
        yield from _checks(opened.guest, expectation_of(provider.name), folder)
    if trial is not None:
        yield from trial.try_forks(folder / "forks")


def replayed_checks(guest: Guest, expected: Expectation) -> Iterator[Finding]:
    """All checks that need nothing but a guest's answers."""
    yield from self_test(guest, expected)
    yield check_minifilter(guest)
    yield check_prints(guest)


def _checks(guest: Guest, expected: Expectation, folder: Path) -> Iterator[Finding]:
    """The self-test, a minifilter, what it captures, and of a Windows guest the way of a bug check, its end."""
    yield from replayed_checks(guest, expected)
    if isinstance(guest.body, WindowsBody):
        yield check_crash_path(guest.body, folder / "crash")


def expectation_of(name: str) -> Expectation:
    """What the image's own facts say of its guests."""
    image = next((image for image in ImageStore().images() if image.name == name), None)
    facts = image.facts if image is not None else {}
    if facts.get("kind") != "windows":
        return Expectation()
    machine = facts.get("machine")
    build = facts.get("build")
    return Expectation(
        build=int(str(build)) if build is not None else None,
        renamed=tuple(load_recipe(name).release.builds) if name in windows_images() else (),
        test_signing=not (isinstance(machine, dict) and machine.get("secure_boot")),
        secure_boot=bool(isinstance(machine, dict) and machine.get("secure_boot")),
    )


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
