"""The command `fltlab`: puts the groups together, and turns errors into messages and exit codes."""

import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from harness.cli import contract, drivers, new_suite, report, run, test, version
from harness.errors import ExitCode, FltLabError

app = typer.Typer(
    name="fltlab",
    help="Tests Windows file-system minifilter drivers against the documented contract of the filter manager.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command("run", context_settings=run.CONTEXT)(run.run)
app.command("report")(report.report)
app.command("contract")(contract.contract)
app.add_typer(drivers.app, name="drivers")
app.command("new-suite")(new_suite.new_suite)
app.command("test", context_settings=test.CONTEXT)(test.test)
app.command("version")(version.version)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `harness.errors.ExitCode`."""
    try:
        result = app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="fltlab")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.PASSED if stop.code is None else ExitCode.HOST
    except FltLabError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text("error: ", style="bold red") + Text(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.PASSED
