"""`fltlab bench`: what guests and kernels cost on this machine, and whether many in a row leave anything behind."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cli.checkout import checkout
from harness.errors import ConfigurationError, ExitCode, HostError

if TYPE_CHECKING:
    from harness.farm.bench.figures import Figures, Series
    from harness.farm.bench.ground import Ground

app = typer.Typer(help="Measure guests on this machine.", no_args_is_help=True)
PARTS = ("starts", "commands", "uploads", "memory", "labgrid")


@app.command("guest")
def guest(
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="How often each thing is measured.")] = 5,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="PART", help=f"Leave out: {', '.join(PARTS)}.")
    ] = None,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="FILE", help="Draw the figures as SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure starting, reaching and keeping guests: medians, beside savevm, migration, pywinrm and labgrid."""
    for name in skip or ():
        if name not in PARTS:
            raise ConfigurationError(f"there is no part {name!r}", details=(f"parts: {', '.join(PARTS)}",))
    figures = _measure(runs, frozenset(skip or ()))
    if picture is not None:
        from harness.farm.bench.picture import svg

        picture.write_text(svg(figures, "fltlab bench guest"), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(figures.as_json(), indent=2))
    else:
        _print(figures)


def _measure(runs: int, skip: frozenset[str]) -> "Figures":
    from harness.farm.bench.figures import Figures
    from harness.farm.bench.ground import Ground

    console = Console(stderr=True, highlight=False)
    series: list[Series] = []
    notes: list[str] = []
    with Ground.prepared() as ground:
        facts = _facts(ground)
        for name, measure in _parts(ground, runs):
            if name in skip:
                continue
            try:
                for one in measure():
                    series.append(one)
                    console.print(f"{one.name}: {one.text}")
            except HostError as error:
                if name != "labgrid":
                    raise
                notes.append(f"labgrid was not measured: {error}")
    return Figures(tuple(series), tuple(notes), facts)


def _parts(ground: "Ground", runs: int) -> "Iterator[tuple[str, Callable[[], Iterator[Series]]]]":
    from harness.farm.bench.labgrid import measure_labgrid
    from harness.farm.bench.memory import measure_memory
    from harness.farm.bench.starts import measure_starts
    from harness.farm.bench.traffic import measure_commands, measure_uploads

    yield "starts", lambda: measure_starts(ground, runs)
    yield "labgrid", lambda: measure_labgrid(ground, runs)
    yield "commands", lambda: measure_commands(ground, runs)
    yield "uploads", lambda: measure_uploads(ground, runs)
    yield "memory", lambda: measure_memory(ground)


def _facts(ground: "Ground") -> dict[str, str]:
    from harness.host.memory import processors
    from harness.host.tools import Tool, version_of

    return {
        "QEMU": version_of(Tool.QEMU) or "",
        "accelerator": str(ground.probe.accelerator),
        "processors": str(processors()),
        "guest_mib": str(ground.spec.memory_mib),
    }


def _print(figures: "Figures") -> None:
    console = Console(highlight=False)
    for group in dict.fromkeys(series.group for series in figures.series):
        table = Table(title=group, title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0))
        table.add_column("")
        table.add_column("median", justify="right")
        table.add_column("least-most", justify="right")
        for series in figures.series:
            if series.group == group:
                table.add_row(series.name, series.text, series.spread if len(series.values) > 1 else "")
        console.print(table)
        console.print()
    for goal in figures.goals():
        console.print(str(goal))
    for note in figures.notes:
        console.print(note, markup=False)
    console.print(", ".join(f"{name} {value}" for name, value in figures.facts.items()))


@app.command("kernel")
def kernel(
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="How often everything is measured.")] = 5,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="CHECKOUT", help="Measure another checkout of fltlab in turn with this one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the reference kernel, as a process here: reads, creates, loads, memory; medians of CPU time."""
    from harness.farm.bench.figures import Figures
    from harness.farm.bench.kernel import measure_kernel
    from harness.host.memory import processors

    if against is not None and not (against / "fltlab").is_file():
        raise ConfigurationError(f"{against} is no checkout of fltlab", hint="--against takes its directory")
    progress = Console(stderr=True, highlight=False)
    series = tuple(measure_kernel(runs, against, progress.print))
    figures = Figures(series, (), {"processors": str(processors()), "runs": str(runs)})
    if as_json:
        typer.echo(json.dumps(figures.as_json(), indent=2))
    else:
        _print(figures)


@app.command("cli")
def cli(
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="How often everything is measured.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the small commands, from start to end; medians."""
    from harness.farm.bench.commands import measure_cli
    from harness.farm.bench.figures import Figures
    from harness.host.memory import processors

    figures = Figures(tuple(measure_cli(runs)), (), {"processors": str(processors()), "runs": str(runs)})
    if as_json:
        typer.echo(json.dumps(figures.as_json(), indent=2))
    else:
        _print(figures)


@app.command("schedules")
def schedules(
    drivers: Annotated[list[str] | None, typer.Argument(metavar="[DRIVER]...", help="Of drivers/racy; all.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="Schedules for each driver.")] = 200,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=0, help="Seeds that each is tried with.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the races of drivers/racy, each within N schedules, and none in their mended twins."""
    from harness.farm.bench.schedules import measure_schedules, names

    known = names()
    for name in drivers or ():
        if name not in known:
            raise ConfigurationError(f"there is no racy driver {name!r}", details=(f"there are {', '.join(known)}",))
    races = []
    for race in measure_schedules(drivers or known, count, seeds):
        races.append(race)
        found = f"found at {race.found}, {race.switches} switches" if race.found else "not found"
        text = f"{race.name}: {found}; by {race.seeds} of {seeds} seeds; mended: held in {race.mended}"
        typer.echo(text, err=as_json)
    if as_json:
        typer.echo(json.dumps([asdict(race) for race in races], indent=2))
    if any(race.found is None or race.mended_failed for race in races):
        raise typer.Exit(ExitCode.FAILED)


@app.command("cluster")
def cluster(
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="How many workers.")] = 1000,
    tests: Annotated[int, typer.Option("--tests", metavar="N", min=100, help="How many tests.")] = 100_000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of what is left to chance.")] = 1,
    pairs: Annotated[
        int,
        typer.Option(
            "--overhead",
            metavar="N",
            min=0,
            help="Instead: N times all suites on this machine with -n 2, and with --cluster --workers 2, in turn.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Pretend a run on many machines, in virtual time: how near its end comes to the least that is possible."""
    if pairs:
        _overhead(pairs, as_json=as_json)
        return
    from harness.cluster.simulated import World
    from harness.cluster.simulation import Simulation

    told = Simulation(World(workers=workers, tests=tests, seed=seed)).run()
    if as_json:
        typer.echo(json.dumps({"workers": workers, "tests": tests, "seed": seed, **told.as_json()}, indent=2))
    else:
        typer.echo("\n".join(told.lines()))


def _overhead(pairs: int, *, as_json: bool) -> None:
    from harness.cluster.connection import require_dask
    from harness.farm.bench.figures import Figures
    from harness.farm.bench.overhead import measure_overhead
    from harness.host.memory import processors

    require_dask()
    progress = Console(stderr=True, highlight=False)
    series = tuple(measure_overhead(pairs, progress.print))
    figures = Figures(series, (), {"processors": str(processors()), "pairs": str(pairs)})
    if as_json:
        typer.echo(json.dumps(figures.as_json(), indent=2))
    else:
        _print(figures)


@app.command("soak")
def soak(
    forks: Annotated[int, typer.Option("--forks", metavar="N", min=1, help="Forks in a row.")] = 500,
    faults: Annotated[int, typer.Option("--faults", metavar="N", min=0, help="Forks with a fault each.")] = 50,
    boots: Annotated[
        int, typer.Option("--boots", metavar="N", min=0, help="Starts of the firmware of Windows guests.")
    ] = 20,
    long: Annotated[
        int,
        typer.Option(
            "--long",
            metavar="N",
            min=0,
            help="Do N times what `fltlab test` does of kills, damaged images, scripts, exchanges and hostile drivers; "
            "without forks, faults and boots. Needs a checkout.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fork again and again: each a clean guest with an identity of its own, and nothing left of any of them."""
    from harness.farm.bench.ground import Ground
    from harness.farm.bench.soak import Soak

    progress = Console(stderr=True, highlight=False)
    if long:
        _long(long, progress, as_json=as_json)
        return
    with Ground.prepared() as ground:
        run = Soak(ground)
        run.run(forks, faults, progress.print)
    firmware, problems = _start_firmware(boots, progress)
    run.problems += problems
    document = {
        "firmware": firmware,
        "forks": forks,
        "boot_ids": len(run.boot_ids),
        "random": len(run.random),
        "fork_s": round(statistics.median(run.seconds), 4) if run.seconds else None,
        "faults": run.faults,
        "footprints": [asdict(footprint) for footprint in run.footprints],
        "problems": run.problems,
    }
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        first, last = run.footprints[0], run.footprints[-1]
        typer.echo(f"{forks} forks, {len(run.boot_ids)} boot ids, median {document['fork_s']} s; faults: {run.faults}")
        typer.echo(
            f"processes {first.children} -> {last.children}, open files {first.descriptors} -> {last.descriptors}, "
            f"threads {first.threads} -> {last.threads}, memory {first.memory_mib:.0f} -> {last.memory_mib:.0f} MiB"
        )
        typer.echo(f"firmware of Windows guests: {firmware}")
        typer.echo("\n".join(run.problems) if run.problems else "no problem")
    if run.problems:
        raise typer.Exit(ExitCode.HOST)


def _long(factor: int, progress: Console, *, as_json: bool) -> None:
    """The long mode: figures, and exit code 3 if something was found."""
    from harness.farm.bench.long import try_long

    found = try_long(factor, checkout(), progress.print)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        for figures in found.figures:
            typer.echo(", ".join(f"{name}: {value}" for name, value in figures.items()))
        typer.echo("\n".join(found.problems) if found.problems else "no problem")
    if found.problems:
        raise typer.Exit(ExitCode.HOST)


def _start_firmware(boots: int, progress: Console) -> tuple[str, list[str]]:
    """What came of starting the firmware so often, in a line, and its problems; a host without it has none."""
    from harness.farm.bench.firmware import start_firmware
    from harness.host.accelerator import choose
    from harness.image.windows.profile import describe_host
    from harness.machine.deadlines import Deadlines

    if not boots:
        return "not tried", []
    probe = choose()
    try:
        host = describe_host(probe.accelerator)
    except HostError as error:
        return f"not tried: {error.message}", []
    starts = start_firmware(host, boots, progress.print, Deadlines.measured(probe))
    return f"{len(starts.seconds)} of {boots} starts, median {starts.median} s", starts.problems


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bench")
