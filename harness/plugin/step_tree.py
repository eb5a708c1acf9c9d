"""With -v, below each test what it has done: its scripts, step by step, with what came of each."""

from collections.abc import Generator, Iterator

import pytest

from harness.minifilter.tracing import IoRun, Unanswered
from harness.nt.status import status_name
from harness.plugin.evidence import LAB
from harness.plugin.facts import FACTS

STEPS = "fltlab_steps"
"""On the report of a test's last phase: the lines of the tree."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the tree on the report, where somebody wants it."""
    report = yield
    if call.when == "call" and item.config.option.verbose > 0 and LAB in item.stash:
        facts = item.stash[FACTS]
        head = [f"  guest {facts.guest}"] + ([f"  stack {', '.join(facts.stack)}"] if facts.stack else [])
        report.__dict__[STEPS] = [*head, *tree(item.stash[LAB].scripts)]
    return report


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Print it where somebody wants it, and can see it."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and config.option.verbose > 0 and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Printer(reporter), "fltlab-step-tree")


class _Printer:
    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the tree below pytest's own line."""
        lines = report.__dict__.get(STEPS, ())
        if lines:
            self._reporter.ensure_newline()
        for line in lines:
            self._reporter.write_line(line)


def tree(scripts: list[IoRun | Unanswered]) -> Iterator[str]:
    """The scripts of a test and their steps, without those that only prepare."""
    for number, io in enumerate(scripts, start=1):
        lines = [line for line in io.asked.script.splitlines() if line.strip()]
        took = f", {io.asked.seconds:.2f} s" if io.asked.seconds else ""
        yield f"  io {number}: {len(lines) - io.asked.prepared} steps{took}"
        if isinstance(io, Unanswered):
            yield f"    not answered: {io.error}"
            continue
        for step in io.result.steps:
            if step.line > io.asked.prepared:
                came = "outstanding" if step.outstanding else status_name(step.status).partition(" ")[2]
                yield f"    {lines[step.line - 1]}  -> {came or status_name(step.status)}"
