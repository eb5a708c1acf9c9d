"""`--record DIR`: what is said to the guests of a run is kept; each process of the run writes a file of its own."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.errors import FltLabError
from harness.plugin.options import settings

# What is about this run and not about what is run; its value may be a word of its own.
_NOT_AGAIN = ("--record", "--out", "--image-dir", "--accel", "--resume")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to record, in every process of the run."""
    directory = settings(config).record
    if directory is None:
        return
    from harness.guest.conversation import begin, recording

    worker = getattr(config, "workerinput", {}).get("workerid", "")
    if not worker:
        try:
            begin(directory)
        except FltLabError as error:
            raise pytest.UsageError(str(error)) from error
    scope = contextlib.ExitStack()
    scope.enter_context(recording(directory / f"conversation-{worker or 'run'}.jsonl"))
    config.add_cleanup(scope.close)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Pack the recording when all is over, and say where it is."""
    yield
    directory = settings(config).record
    if directory is None or hasattr(config, "workerinput"):
        return
    from harness.fleet.providers import kind_of
    from harness.guest.conversation import seal

    guests = {name: kind_of(name).value for name in settings(config).guests}
    arguments = arguments_again(list(map(str, config.invocation_params.args)), config.rootpath)
    packed = seal(directory, "run", {"guests": guests, "arguments": arguments})
    terminalreporter.write_line(f"recorded: {packed}   (fltlab replay {packed.name})")


def arguments_again(arguments: list[str], root: Path) -> list[str]:
    """A run's arguments for another machine: without its directories, paths as they are below the checkout."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in _NOT_AGAIN:
            next(words, None)
        elif not word.startswith(tuple(f"{option}=" for option in _NOT_AGAIN)):
            file, separator, test = word.partition("::")
            path = Path(file)
            below = path.is_absolute() and path.is_relative_to(root)
            kept.append(f"{path.relative_to(root) if below else file}{separator}{test}")
    return kept
