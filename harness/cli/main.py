"""The command `fltlab`: finds the module of a command, and turns errors into messages and exit codes."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.outlet import outlive_readers
from harness.errors import ExitCode, FltLabError, HostError

# What --help says of each command, in its order: a module is imported only when its command is used.
COMMANDS = {
    "fuzz": "Try scripts that nobody wrote, led by what they reach in the driver's code; keep each fault as a test.",
    "try": "Load a driver, run a standard workload with and without it, unload it, and tell what came of it on a page.",
    "run": "Run suites on guests, and keep what came out in runs/<time>-<id>/. Other "
    "options go to pytest: -x, --pdb, ….",
    "watch": "Run suites again whenever a file changes that they, or the drivers in their stacks, are made of.",
    "shell": "Type the steps of an I/O script one by one, and see what each minifilter of a stack is called with.",
    "report": "Write junit.xml and report.html of a run again, also of one that was killed, and print its tables.",
    "open": "Open the report of a run in the browser.",
    "compare": "Show where guests disagree. Exit code 1 if a test passed on one and failed on another.",
    "crash": "Print the bug check of a dump, what its parameters mean, and the driver it points at (a guess).",
    "contract": "Show the rules: what the documentation says, which tests are about it, which break turns them red.",
    "explain": "Say what one rule of the contract means, which tests are about it, and how it is broken on purpose.",
    "mutants": "The deliberate breaks of the contract: list the mutants, or run them and the wrong drivers.",
    "new-driver": "Write drivers/NAME/: a minifilter that builds, loads and lets every create pass.",
    "new-suite": "Write suites/NAME/test_NAME.py: one test that runs as it is.",
    "kernel": "What the reference kernel exports, and what a driver needs of it.",
    "drivers": "Build, list and check drivers.",
    "image": "Build, import, list, verify and remove images of guests.",
    "guest": "Start one guest: run a command in it, or look at it with a debugger.",
    "replay": "Run the host's side of a recorded self-test or run against what the guest answered then.",
    "doctor": "Look at everything fltlab needs of this machine: programs, accelerator, memory, "
    "disk, images, templates.",
    "bench": "Measure guests on this machine.",
    "test": "Test and check fltlab itself: pytest (which gets the arguments), and beside it ruff, mypy, clang-format.",
    "completion": "Print what a shell needs to complete commands and options.",
    "version": "Print the version of fltlab and of what it stands on.",
}
COMPLETE = "_FLTLAB_COMPLETE"
"""What a shell sets when it wants a line completed (`fltlab completion`); nothing else is done then."""
STARTING = "fltlab: starting …"
QUIET = frozenset({"-q", "-qq", "--quiet", "-h", "--help"})
"""With these nothing is said before what is asked for."""
MODULES = {"open": "harness.cli.open_report", "try": "harness.cli.try_driver"}
"""Of the commands whose module is not called as they are."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `harness.errors.ExitCode`."""
    if arguments is None:
        outlive_readers()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and words[:1] == ["run"] and not QUIET.intersection(words) and sys.stdout.isatty():
        print(STARTING, end="\r", flush=True)  # importing pytest takes its time; its first line overwrites this
    try:
        result = _app(words[0] if words else _half_typed())(args=words, prog_name="fltlab", complete_var=COMPLETE)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.PASSED if stop.code is None else ExitCode.HOST
    except FltLabError as error:
        return _told(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as error:
        return _told(HostError(": ".join(str(part) for part in (error.strerror or error, error.filename) if part)))
    except Exception as error:  # noqa: BLE001 - exit code 1 would say that a test failed
        traceback.print_exc()
        return _told(HostError(f"fltlab itself failed: {type(error).__name__}", hint="please report this"))
    return result if isinstance(result, int) else ExitCode.PASSED


def _half_typed() -> str | None:
    """The command of the line that a shell wants completed, if that is what we are started for."""
    if COMPLETE not in os.environ:
        return None
    from typer._completion_classes import completion_init

    completion_init()
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return "".join(line.split()[1:2])


def _told(error: FltLabError) -> int:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if sys.stdout.isatty():
        print(" " * len(STARTING), end="\r", flush=True)
    console.print(Text("error: ", style="bold red") + Text(str(error)))
    return error.exit_code


def _app(command: str | None) -> typer.Typer:
    """The application: with one command where it is known which, else with what --help says of all of them."""
    app = typer.Typer(
        name="fltlab",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(_fltlab)
    if command is not None and command in COMMANDS:
        module = MODULES.get(command, f"harness.cli.{command.replace('-', '_')}")
        importlib.import_module(module).register(app)
    else:
        for name, summary in COMMANDS.items():
            app.command(name, help=summary)(_never_called)
    return app


def _never_called() -> None:
    """Stands for a command in --help."""


def _fltlab() -> None:
    """Tests Windows file-system minifilter drivers against the documented contract of the filter manager."""
