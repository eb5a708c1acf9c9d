"""`fltlab fuzz`: what a driver does with input that nobody thought of."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError, ExitCode
from harness.fleet.settings import DEFAULT_SEED

DEFAULT_SECONDS = 60.0
TELL_EVERY = 5.0


def fuzz(
    driver: Annotated[
        Path,
        typer.Argument(metavar="DRIVER", help="X.sys, X.inf, a driver.yaml, a directory of one, or a driver's name."),
    ],
    port: Annotated[bool, typer.Option("--port", help="Messages to its communication ports.")] = False,
    io: Annotated[bool, typer.Option("--io", help="I/O on the volume that it is attached to.")] = False,
    ioctl: Annotated[bool, typer.Option("--ioctl", help="Control codes to its devices.")] = False,
    seconds: Annotated[
        float | None, typer.Option("--time", metavar="SECONDS", help="End after so long (default: 60).", min=0)
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", help="End after so many executions.", min=1)
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of what is made up, and of the kernel.", min=0)
    ] = DEFAULT_SEED,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", metavar="DIR", help="Scripts kept between runs (default: OUT/corpus).")
    ] = None,
    begin_from: Annotated[
        list[Path] | None, typer.Option("--from", metavar="PATH", help="Suites whose I/O scripts it begins with.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the suite goes (default: fuzz/<driver>).")
    ] = None,
    drivers: Annotated[
        list[Path] | None, typer.Option("--drivers", metavar="DIR", help="Directories that have drivers by name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try scripts that nobody wrote, led by what they reach in the driver's code; keep each fault as a test.

    In a reference kernel of this machine. Exit code 0 nothing found, 1 faults, 2 wrong use, 3 it could not be run.
    """
    from harness.fleet.fuzz.campaign import Campaign, Limits, Outcome
    from harness.fleet.fuzz.chosen import chosen_driver
    from harness.fleet.fuzz.kept import Corpus, require_writable, scripts_in
    from harness.fleet.fuzz.suite_file import Suite
    from harness.fleet.fuzz.target import require_doors, target_of
    from harness.fleet.fuzz.telling import as_data, line, page
    from harness.fleet.fuzz.vocabulary import Door

    doors = [door for door, wanted in ((Door.PORT, port), (Door.IO, io), (Door.IOCTL, ioctl)) if wanted]
    if not doors:
        raise ConfigurationError("fuzz what? --port, --io or --ioctl, or several", hint="docs/fuzzing.md")
    candidate = chosen_driver(driver, drivers or [])
    home = out or Path("fuzz") / candidate.package.name
    require_writable(home, "--out")  # refused now, and not when the first fault is to be written
    kept = Corpus(corpus or home / "corpus")
    begin_with = scripts_in(begin_from or [])
    if begin_from and not begin_with:
        raise ConfigurationError(
            f"--from {', '.join(map(str, begin_from))}: there is no I/O script in it",
            hint="a suite whose tests give lab.io scripts as text, without `filter` and `rule` lines",
        )
    seeds = [*begin_with, *kept.load()]
    if kept.damaged:
        names = ", ".join(kept.damaged[:5])
        typer.echo(f"corpus: {len(kept.damaged)} scripts are damaged, and left out: {names}", err=True)
    told = time.monotonic()

    def progress(outcome: Outcome) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            typer.echo(line(outcome), err=True)

    if seconds is None and count is None:
        seconds = DEFAULT_SECONDS
    with target_of(candidate, seed) as (target, built):
        require_doors(doors, target.entrances(), candidate.title)
        suite = Suite(home, candidate)
        campaign = Campaign(target, built, doors, seed, kept, suite, progress)
        outcome = campaign.run(Limits(seconds, count), seeds)
    typer.echo(json.dumps(as_data(outcome), indent=2) if as_json else page(outcome, suite))
    if outcome.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    raise typer.Exit(ExitCode.FAILED if outcome.found else ExitCode.PASSED)


def register(app: typer.Typer) -> None:
    app.command("fuzz")(fuzz)
