"""The command `fltlab`: finds the module of a command, and turns errors into messages and exit codes."""

import importlib
import sys
import traceback
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.outlet import outlive_readers
from harness.errors import ExitCode, FltLabError, HostError

# In the order in which --help shows them. A module is imported only when its command is used, or for --help.
COMMANDS = {
    "run": "harness.cli.run",
    "report": "harness.cli.report",
    "compare": "harness.cli.compare",
    "crash": "harness.cli.crash",
    "contract": "harness.cli.contract",
    "mutants": "harness.cli.mutants",
    "new-driver": "harness.cli.new_driver",
    "new-suite": "harness.cli.new_suite",
    "drivers": "harness.cli.drivers",
    "image": "harness.cli.image",
    "guest": "harness.cli.guest",
    "replay": "harness.cli.replay",
    "doctor": "harness.cli.doctor",
    "bench": "harness.cli.bench",
    "test": "harness.cli.test",
    "version": "harness.cli.version",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `harness.errors.ExitCode`."""
    if arguments is None:
        outlive_readers()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = _app(words[0] if words else None)(args=words, prog_name="fltlab")
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


def _told(error: FltLabError) -> int:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", style="bold red") + Text(str(error)))
    return error.exit_code


def _app(command: str | None) -> typer.Typer:
    """The application: with one command where it is known which, else with all of them."""
    app = typer.Typer(
        name="fltlab",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(_fltlab)
    for module in [COMMANDS[command]] if command in COMMANDS else COMMANDS.values():
        importlib.import_module(module).register(app)
    return app


def _fltlab() -> None:
    """Tests Windows file-system minifilter drivers against the documented contract of the filter manager."""
