"""`fltlab run`: the suites, on one guest or several. What it does is pytest with fltlab's plugin."""

import ast
import difflib
import itertools
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperCommand

from harness.cli.sharing import default_workers
from harness.cluster.connection import LOCAL, is_address
from harness.errors import ConfigurationError, ExitCode, did_you_mean
from harness.fleet import options
from harness.plugin.shared_out import SharedOut
from harness.report.resume import find_run, read_unfinished
from harness.shipped import IS_CHECKOUT, SHIPPED, SUITES

CONTEXT = {"ignore_unknown_options": True}
# Options of pytest whose value is a word of its own: that word is no suite.
PYTEST_OPTIONS_WITH_A_VALUE = frozenset(
    {"-m", "-p", "-o", "-c", "-W", "-r", "--dist", "--junitxml", "--durations", "--maxfail", "--tb", "--rootdir"}
)

# Where Hypothesis is installed, its plugin imports all of it for a summary that no suite has asked for; @given itself
# needs no plugin.
_WITHOUT = ("-p", "no:hypothesispytest")

# What shares tests out in its own way, or is for one test at a time.
_IN_ONE_PROCESS = (
    *(options.CLUSTER, options.PAUSE, options.RECORD, options.SCHEDULE, options.FILE_SYSTEM_DRIVER),
    *(options.SCHEDULES, options.SEEDS),
)


def suites_like(incomplete: str) -> list[str]:
    """The suites here and of fltlab whose names begin so, for a shell's completion."""
    names = {name for folder in (Path("suites"), SUITES) for name in _suites_in(folder)}
    return sorted(name for name in names if name.startswith(incomplete))


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUITE | PATH | PYTEST OPTION]...",
            help="What to run (default: all suites).",
            autocompletion=suites_like,
        ),
    ] = None,
    guest: Annotated[list[str] | None, typer.Option("--guest", metavar="NAME", help=options.GUEST.help)] = None,
    accel: Annotated[str | None, typer.Option("--accel", metavar="NAME", help=options.ACCEL.help)] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help=options.OUT.help)] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", metavar="N", help=options.SEED.help)] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="A..B", help=options.SEEDS.help)] = None,
    schedules: Annotated[str | None, typer.Option("--schedules", metavar="N", help=options.SCHEDULES.help)] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="FILE|MOVES", help=options.SCHEDULE.help)
    ] = None,
    drivers: Annotated[list[str] | None, typer.Option("--drivers", metavar="DIR", help=options.DRIVERS.help)] = None,
    replace: Annotated[
        list[str] | None, typer.Option("--replace", metavar="NAME=DRIVER", help=options.REPLACE.help)
    ] = None,
    mutant: Annotated[list[str] | None, typer.Option("--mutant", metavar="NAME", help=options.MUTANT.help)] = None,
    image_dir: Annotated[str | None, typer.Option("--image-dir", metavar="DIR", help=options.IMAGE_DIR.help)] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help=options.RESUME.help)] = None,
    filesystem: Annotated[
        list[str] | None, typer.Option("--filesystem", metavar="NAME", help=options.FILESYSTEM.help)
    ] = None,
    data_volume: Annotated[
        list[str] | None, typer.Option("--data-volume", metavar="X:[NAME]", help=options.DATA_VOLUME.help)
    ] = None,
    file_system_driver: Annotated[
        str | None, typer.Option("--file-system-driver", metavar="SYS=IMAGE", help=options.FILE_SYSTEM_DRIVER.help)
    ] = None,
    verifier: Annotated[
        list[str] | None, typer.Option("--verifier", metavar="LEVEL", help=options.VERIFIER.help)
    ] = None,
    record: Annotated[str | None, typer.Option("--record", metavar="DIR", help=options.RECORD.help)] = None,
    coverage: Annotated[str | None, typer.Option("--coverage", metavar="FILE", help=options.COVERAGE.help)] = None,
    pause: Annotated[bool, typer.Option("--pause-on-failure", help=options.PAUSE.help)] = False,
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="[ADDRESS]", help=options.CLUSTER.help)] = None,
    cluster_workers: Annotated[int | None, typer.Option("--workers", metavar="N", help=options.WORKERS.help)] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help=options.STORE.help)] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help=options.DASHBOARD.help)] = False,
    insecure: Annotated[bool, typer.Option("--cluster-insecure", help=options.INSECURE.help)] = False,
    expression: Annotated[str | None, typer.Option("-k", metavar="WORDS", help="Only tests whose names match.")] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "-n", metavar="N", help="Processes to share the files of tests out among; 0: one test after the other."
        ),
    ] = None,
) -> None:
    """Run suites on guests, and keep what came out in runs/<time>-<id>/. Other options go to pytest: -x, --pdb, …."""
    given: dict[options.Option, object] = {
        options.GUEST: guest,
        options.ACCEL: accel,
        options.OUT: out,
        options.SEED: seed,
        options.SEEDS: seeds,
        options.SCHEDULES: schedules,
        options.SCHEDULE: schedule,
        options.DRIVERS: drivers,
        options.REPLACE: replace,
        options.MUTANT: mutant,
        options.IMAGE_DIR: image_dir,
        options.FILESYSTEM: filesystem,
        options.DATA_VOLUME: data_volume,
        options.FILE_SYSTEM_DRIVER: file_system_driver,
        options.VERIFIER: verifier,
        options.PAUSE: pause or None,
        options.COVERAGE: coverage,
        options.RECORD: record,
        options.CLUSTER: cluster,
        options.WORKERS: cluster_workers,
        options.STORE: store,
        options.DASHBOARD: dashboard or None,
        options.INSECURE: insecure or None,
    }
    for_pytest, suites = split_words(words or [])
    plugins: list[object] = [watcher := _Watcher(), _Name()]
    if resume is not None:
        arguments = [
            *_resumed(resume, [*_flags(given), *suites, *([f"-k {expression}"] if expression else [])]),
            *for_pytest,
        ]
    else:
        suites = suites or [str(all_suites())]
        arguments = [*_flags(given), *for_pytest, *suites]
        arguments += ["-k", expression] if expression else []
        alone = any(given[option] is not None for option in _IN_ONE_PROCESS) or expression
        if workers is None and not alone and (shared := default_workers(guest or [], suites, for_pytest)):
            workers = str(shared)
            plugins.append(SharedOut(shared))
    arguments += ["-n", workers, "--dist", "loadfile"] if workers else []
    if not IS_CHECKOUT:  # pytest's root may be the installed package, and its cache belongs to whoever runs it here
        arguments += ["-o", f"cache_dir={Path('.pytest_cache').absolute()}"]
    code = pytest.main([*_WITHOUT, *arguments], plugins=plugins)
    raise typer.Exit(_exit_code(code, interrupted=watcher.interrupted))


class _Name:
    """What usage messages call the command: pytest would name its own function."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_addoption(self, parser: pytest.Parser) -> None:
        parser.prog = "fltlab run"


class _Watcher:
    """Tells Ctrl-C from a run that stopped by itself: pytest has one exit code for both."""

    fltlab_run_command = True  # harness/plugin/facts.py

    def __init__(self) -> None:
        self.interrupted = False

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Generator[None, None, None]:
        self.interrupted |= excinfo.type is KeyboardInterrupt  # pytest-xdist stops with an exception derived from it
        yield
        # pytest tells a user who pressed Ctrl-C the line of Python that was running.
        told = getattr(self._config.pluginmanager.get_plugin("terminalreporter"), "_keyboardinterrupt_memo", None)
        if told is not None and told.reprcrash is not None and not self._config.option.fulltrace:
            told.reprcrash.message = f"interrupted {excinfo.value}".strip()


def _resumed(name: str, chosen: list[str]) -> list[str]:
    """The arguments of pytest that finish an interrupted run, in the directory that it was started in."""
    if chosen:
        raise ConfigurationError(
            f"--resume does not go with {' '.join(chosen)}",
            details=("what is run, and on which guests, is what the interrupted run was started with",),
        )
    unfinished = read_unfinished(find_run(name, Path.cwd()))
    directory = unfinished.directory.resolve()
    os.chdir(unfinished.provenance.directory)
    return [*unfinished.provenance.arguments, f"{options.RESUME.flag}={directory}"]


def _flags(given: dict[options.Option, object]) -> Iterator[str]:
    for option, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield option.flag if option.kind is bool else f"{option.flag}={one}"


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is for pytest, and the paths of what to run."""
    for_pytest: list[str] = []
    paths: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            paths.append(_path(word))
            continue
        _refuse_misspelled(word)
        for_pytest.append(word)
        if word in PYTEST_OPTIONS_WITH_A_VALUE:
            for_pytest.extend(value for value in [next(remaining, None)] if value is not None)
    return for_pytest, paths


def all_suites() -> Path:
    """The suites of this directory, or else, and said, fltlab's own."""
    own = Path("suites")
    if own.is_dir():
        return own
    typer.echo(f"there is no suites/ here: these are fltlab's own, {SUITES}", err=True)
    return SUITES


def _path(word: str) -> str:
    """A suite or a path, perhaps with `::test`, as a path that pytest finds."""
    file, separator, test = word.partition("::")
    if Path(file).exists():
        _require_test(Path(file), test)
        return word
    # As a name of this directory's suites, of fltlab's own, or as fltlab's own tests are called in reports.
    for folder in (Path("suites"), SUITES, SHIPPED):
        if (folder / file).exists():
            _require_test(folder / file, test)
            return f"{folder / file}{separator}{test}"
    suites = {folder: _suites_in(folder) for folder in dict.fromkeys(map(Path.resolve, (Path("suites"), SUITES)))}
    raise ConfigurationError(
        f"there is no suite or path {file!r}{did_you_mean(file, itertools.chain.from_iterable(suites.values()))}",
        details=tuple(f"suites in {folder}: {', '.join(names)}" for folder, names in suites.items() if names),
    )


def _require_test(file: Path, name: str) -> None:
    """Raise ConfigurationError if a file has nothing of this name; what is in a class is pytest's to find."""
    name = name.partition("[")[0]
    if not name or "::" in name or file.suffix != ".py":
        return
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, OSError):
        return  # pytest shows where
    known = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    tests = [found for found in known if found.lower().startswith("test")]
    if tests and name not in known:
        raise ConfigurationError(
            f"{file} has no test {name!r}{did_you_mean(name, tests)}", details=(f"it has {len(tests)} tests",)
        )


def _suites_in(folder: Path) -> list[str]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in found if path.is_dir() and not path.name.startswith(("_", ".")))


def _exit_code(code: int, *, interrupted: bool) -> ExitCode:
    match code:
        case pytest.ExitCode.INTERRUPTED:
            return ExitCode.INTERRUPTED if interrupted else ExitCode.USAGE
        case pytest.ExitCode.USAGE_ERROR:
            return ExitCode.USAGE
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            typer.echo("error: no test was selected", err=True)
            return ExitCode.USAGE
        case _:
            return ExitCode(code)


def _refuse_misspelled(word: str) -> None:
    """Most unknown options are pytest's to judge; one that is nearly ours is a slip, and its value no suite."""
    option = word.partition("=")[0]
    near = difflib.get_close_matches(option, [known.flag for known in options.OPTIONS], n=1, cutoff=0.8)
    if near:
        raise ConfigurationError(f"there is no option {option}; did you mean {near[0]}?")


class _Command(TyperCommand):
    """`--cluster` alone has a value too: what comes after it is one only if it can be an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_cluster(args))


def with_cluster(words: Sequence[str]) -> list[str]:
    """The words of the command line with `--cluster=local` where no address follows."""
    whole: list[str] = []
    for word, following in itertools.pairwise([*words, ""]):
        whole.append(f"{word}={LOCAL}" if word == options.CLUSTER.flag and not is_address(following) else word)
    return whole


def register(app: typer.Typer) -> None:
    app.command("run", context_settings=CONTEXT, cls=_Command)(run)
