"""`fltlab try`: a verdict on one's own driver in the first five minutes."""

import json
import shlex
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError
from harness.fleet.settings import DEFAULT_SEED, LOCAL_GUEST, parse_schedules, require_local


def try_(
    driver: Annotated[Path, typer.Argument(metavar="X.sys | X.inf | DIR", help="The driver.")],
    guest: Annotated[str, typer.Option("--guest", metavar="NAME", help="Guest to run on.")] = LOCAL_GUEST,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the reference kernel.", min=0)
    ] = DEFAULT_SEED,
    registry: Annotated[
        Path | None, typer.Option("--registry", metavar="FILE", help="A .reg file that the driver needs.")
    ] = None,
    service: Annotated[
        str | None, typer.Option("--service", metavar="COMMAND", help="The driver's user-mode service, an .exe.")
    ] = None,
    suffix: Annotated[
        list[str] | None, typer.Option("--suffix", metavar=".EXT", help="Also work on files with this suffix.")
    ] = None,
    directory: Annotated[
        list[str] | None, typer.Option("--directory", metavar="NAME", help="Also work below this directory of V:.")
    ] = None,
    schedules: Annotated[
        str | None, typer.Option("--schedules", metavar="N", help="Try it under so many schedules in the end.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="FILE|MOVES", help="Try it under one schedule in the end.")
    ] = None,
    coverage: Annotated[
        str | None, typer.Option("--coverage", metavar="FILE", help="lcov (.info) or Cobertura (.xml) of the driver.")
    ] = None,
    image_dir: Annotated[Path | None, typer.Option("--image-dir", metavar="DIR", help="Guest images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load a driver, run a standard workload with and without it, unload it, and tell what came of it on a page.

    Needs no configuration. Exit code 0 clean, 1 findings, 2 wrong use, 3 it could not be run, or saw nothing
    of the workload.
    """
    from harness.fleet.coverage_target import coverage_target
    from harness.fleet.schedules.schedule_file import read_schedule
    from harness.fleet.schedules.search import Mode
    from harness.fleet.trial.candidate import find_candidate
    from harness.fleet.trial.chosen_names import on_names
    from harness.fleet.trial.page import as_json as data_of
    from harness.fleet.trial.page import page
    from harness.fleet.trial.trial import needs_of, try_driver
    from harness.fleet.trial.verdict import TrialOptions
    from harness.fleet.trial.workload import WORKLOAD
    from harness.minifilter.registry import of_reg_file

    command = tuple(shlex.split(service)) if service is not None else ()
    if command and not Path(command[0]).is_file():
        raise ConfigurationError(
            f"there is no program {command[0]}", hint="--service takes an .exe of this machine, and its arguments"
        )
    values = of_reg_file(registry) if registry is not None else ()
    target = coverage_target(coverage, [guest], Path()) if coverage else None
    count, mode = parse_schedules(schedules, [guest]) if schedules is not None else (0, Mode.BOTH)
    if schedule is not None and schedules is not None:
        raise ConfigurationError("--schedule runs one schedule and --schedules explores many: give one of them")
    if schedule is not None:
        require_local("--schedule", [guest])
    given = read_schedule(schedule) if schedule is not None else None
    candidate = find_candidate(driver)
    named = candidate.package.tried
    chosen = on_names((*named.suffixes, *(suffix or ())), (*named.directories, *(directory or ())))
    options = TrialOptions(
        *(guest, seed, values, image_dir, command),
        parts=(*WORKLOAD, *chosen),
        schedules=count,
        exploration=mode,
        schedule=given,
        coverage=target,
    )
    needs = needs_of(candidate, options)
    verdict = try_driver(candidate, options)
    typer.echo(json.dumps(data_of(verdict, needs), indent=2) if as_json else page(verdict, needs))
    if target is not None and verdict.measured is not None:
        verdict.measured.write(target, installed_version("fltlab"))
    raise typer.Exit(verdict.ended.code)


def register(app: typer.Typer) -> None:
    app.command("try")(try_)
