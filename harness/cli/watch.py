"""`fltlab watch`: runs suites, and runs again what a change of a suite or a driver touches."""

import contextlib
import importlib
import os
import queue
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.main import main
from harness.cli.run import CONTEXT, all_suites, split_words
from harness.errors import ExitCode
from harness.fleet import options
from harness.fleet.settings import LOCAL_GUEST, driver_directories
from harness.fleet.touched import is_source, touched
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import find_packages
from harness.report.run_directory import require_ours

IMPORTED = (
    "harness.fleet.local_guest",
    "harness.guest.deploy",
    "harness.minifilter.build",
    "harness.report.write",
)
"""What every run imports, and a watched one has by then."""
QUIET = 0.1
"""How many seconds nothing must have changed before a run begins."""
OUT = Path("runs") / "watch"


def watch(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUITE | PATH | PYTEST OPTION]...", help="What to run (default: all suites)."),
    ] = None,
    guest: Annotated[str, typer.Option("--guest", metavar="NAME", help=options.GUEST.help)] = LOCAL_GUEST,
    drivers: Annotated[list[str] | None, typer.Option("--drivers", metavar="DIR", help=options.DRIVERS.help)] = None,
    replace: Annotated[
        list[str] | None, typer.Option("--replace", metavar="NAME=DRIVER", help=options.REPLACE.help)
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help=options.SEED.help)] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where each run is left.")] = OUT,
    once: Annotated[bool, typer.Option("--once", help="Run, wait for one change, run again, and end.")] = False,
) -> None:
    """Run suites again whenever a file changes that they, or the drivers in their stacks, are made of.

    Until Ctrl-C, on `reference-local` unless told otherwise, and always into one directory. Exit code: 0, or with
    --once the run's.
    """
    for_pytest, paths = split_words(words or [])
    suites = [Path(path).absolute() for path in paths or [str(all_suites())]]
    require_ours(out)
    roots = driver_directories(drivers or [], Path.cwd())
    given = [f"--guest={guest}", f"--out={out}", *(f"--drivers={root}" for root in roots)]
    given += [f"--replace={one}" for one in replace or []]
    given += [] if seed is None else [f"--seed={seed}"]
    try:
        _watch([*given, *for_pytest], suites, (SUPPORT, *roots), once=once)
    except KeyboardInterrupt:  # which is how it ends
        raise typer.Exit(ExitCode.PASSED) from None


def _watch(given: Sequence[str], suites: Sequence[Path], roots: Sequence[Path], *, once: bool) -> None:
    """The runs; with `once` typer.Exit after the second."""
    files = [_file(suite) for suite in suites]
    with _changes([*dict.fromkeys(files), *roots]) as changes:
        _round([*given, *map(str, suites)])
        for changed in changes:
            affected = touched(changed, files, _directories(roots))
            # A test that was chosen by its name stays the only one of its file.
            again = [suite for suite in suites if _file(suite) in affected] or affected
            if not again:
                continue
            typer.echo(f"\nchanged: {_listed(changed)}\n→ {_listed(again)}")
            code = _round([*given, *map(str, again)])
            if once:
                raise typer.Exit(code)


def _round(arguments: Sequence[str]) -> int:
    """One run, in a process of its own that has everything imported already; its exit code."""
    for name in IMPORTED:
        importlib.import_module(name)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = int(ExitCode.HOST)
        try:
            code = main(["run", *arguments])
        finally:
            sys.stdout.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    typer.echo("waiting for a change (Ctrl-C ends)")
    return code


@contextlib.contextmanager
def _changes(places: Iterable[Path]) -> Iterator[Iterator[set[Path]]]:
    """What changes from now on, each with what follows it at once: an editor writes one file in several steps."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    seen: queue.Queue[Path] = queue.Queue()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            for name in (event.src_path, event.dest_path):
                path = Path(os.fsdecode(name))
                if name and event.event_type in {"modified", "created", "moved", "deleted"} and is_source(path):
                    seen.put(path)

    observer = Observer()
    for place in places:
        observer.schedule(Handler(), str(place if place.is_dir() else place.parent), recursive=place.is_dir())
    observer.start()
    try:
        yield iter(lambda: _together(seen), None)
    finally:
        observer.stop()


def _together(seen: "queue.Queue[Path]") -> set[Path]:
    changed = {seen.get()}
    with contextlib.suppress(queue.Empty):
        while True:
            changed.add(seen.get(timeout=QUIET))
    return changed


def _directories(roots: Iterable[Path]) -> dict[str, Path]:
    return {name: package.directory for root in roots for name, package in find_packages(root).items()}


def _file(suite: Path) -> Path:
    return Path(str(suite).partition("::")[0])


def _listed(paths: Iterable[Path]) -> str:
    names = sorted({_short(path) for path in paths})
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def register(app: typer.Typer) -> None:
    app.command("watch", context_settings=CONTEXT)(watch)
