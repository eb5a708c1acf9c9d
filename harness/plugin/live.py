"""How far a run of `fltlab run` is, on a terminal: a line at its foot, and above it one line for each file of tests.

The line has the tests that are over, what went wrong, the guest, how much time is left by a former run, and the test
that runs or what it waits for. Where no terminal listens, with -q, -v, -s, a debugger or --pause-on-failure, pytest's
own progress stands.
"""

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence

import pytest

from harness.fleet.options import PAUSE
from harness.fleet.progress import heard_by
from harness.plugin.facts import is_of_command
from harness.plugin.live_line import LiveLine
from harness.plugin.options import settings
from harness.plugin.outcomes import outcome_of
from harness.plugin.workers import workers_of
from harness.report.history import Expected
from harness.report.records import Outcome

LIVE = pytest.StashKey["Live"]()
INTERVAL = 0.5
"""Seconds between two looks at the clock."""
ENOUGH = 5
"""So many tests say how long the others will take, where no former run does."""
SEVERITY = (
    *(Outcome.PASSED, Outcome.SKIPPED, Outcome.NOT_WITNESSED, Outcome.FLAKY),
    *(Outcome.ERROR, Outcome.FAILED),
)
COLOURS = {Outcome.FAILED: {"red": True}, Outcome.ERROR: {"red": True}, Outcome.PASSED: {"green": True}}


def wants_live(config: pytest.Config) -> bool:
    """Whether somebody looks at a terminal, and nothing else wants it."""
    option = config.option
    others = option.usepdb or option.trace or option.capture == "no" or option.verbose != 0 or option.collectonly
    others |= bool(config.getoption(PAUSE.name))
    return is_of_command(config) and not hasattr(config, "workerinput") and not others and sys.stdout.isatty()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take over the progress of the terminal, where there is one to look at."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not wants_live(config):
        return
    live = config.stash[LIVE] = Live(config, reporter)
    config.pluginmanager.register(live, "fltlab-live")


class Live:
    """The state of the run as the line has it."""

    def __init__(self, config: pytest.Config, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._guests = ", ".join(settings(config).guests)
        self._workers = workers_of(config)
        self._line = LiveLine(reporter._tw._file)  # noqa: SLF001 (pytest has no public name for it)
        reporter._tw._file = self._line.file  # noqa: SLF001
        reporter.showfspath = False
        reporter._show_progress_info = False  # noqa: SLF001
        self.expected: Expected | None = None
        self._wanted: dict[str, None] = {}
        self._over: dict[str, Outcome] = {}
        self._phases: dict[str, Outcome] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        """Of the tests that are over, by their file."""
        self._began = time.monotonic()
        self._silent = True
        """Nothing is told of a test by pytest itself."""
        self._running = "collecting the tests"
        self._waits: tuple[str, float] | None = None
        """What is waited for, and since when."""
        self._listening = heard_by(self.tell)
        self._listening.__enter__()
        self._stop = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="fltlab-live", daemon=True)
        self._clock.start()

    def tell(self, text: str) -> None:
        """Something that takes long begins."""
        if threading.current_thread() is threading.main_thread():
            self._arrived()
            self._waits = (text, time.monotonic())

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The tests that will run."""
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """The same, of a worker of pytest-xdist: all have the same tests."""
        self._expect(ids)

    def _expect(self, nodeids: Sequence[str]) -> None:
        self._wanted |= dict.fromkeys(nodeids)
        self._began = time.monotonic()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(self) -> Generator[None, object, object]:
        """Keep pytest's letters from the terminal; it counts the tests as always."""
        status = yield
        return (status[0], "", "") if self._silent and isinstance(status, tuple) else status

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins; those of pytest-xdist's workers interleave."""
        self._running = nodeid.partition("::")[2] or nodeid

    def runs(self, text: str) -> None:
        """What runs where, of a run on many machines."""
        self._running = text

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test; with the last the test is over."""
        self._arrived()
        outcome = outcome_of(report)
        if outcome is not None:
            known = self._phases.get(report.nodeid, Outcome.PASSED)
            self._phases[report.nodeid] = max(known, outcome, key=SEVERITY.index)
        file = report.nodeid.partition("::")[0]
        self._seconds[file] += report.duration
        if report.when != "teardown":
            return
        self._over[report.nodeid] = self._phases.pop(report.nodeid, Outcome.PASSED)
        if self._over[report.nodeid] in {Outcome.FAILED, Outcome.ERROR}:
            self._say(f"{self._over[report.nodeid].value.upper()} {report.nodeid}", red=True)
        if all(other in self._over for other in self._wanted if other.partition("::")[0] == file):
            self._file_ends(file)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """The rest of the terminal is the summary's."""
        self._arrived()
        self._silent = False
        self._stop.set()
        self._clock.join()
        self._listening.__exit__(None, None, None)
        self._line.close()

    def line(self) -> str:
        """What the line says now."""
        failed = sum(outcome in {Outcome.FAILED, Outcome.ERROR} for outcome in self._over.values())
        parts = [f"[{len(self._over)}/{len(self._wanted)}]"] if self._wanted else []
        parts += [f"{failed} failed"] if failed else []
        left = self._left()
        parts += [f"about {duration(left)} left"] if left is not None else []
        if self._waits is not None:
            text, since = self._waits
            now = f"{text}, {duration(time.monotonic() - since)}"
        else:
            now = self._running
        return "  ".join([*parts, self._guests, now])

    def _left(self) -> float | None:
        """Seconds that the tests which are not over will take."""
        remaining = [nodeid for nodeid in self._wanted if nodeid not in self._over]
        if self.expected is not None:
            return sum(self.expected.of(nodeid) for nodeid in remaining) / self._workers
        if len(self._over) >= ENOUGH:
            return (time.monotonic() - self._began) / len(self._over) * len(remaining)
        return None

    def _file_ends(self, file: str) -> None:
        """One line for a file of tests, with its counts and seconds."""
        counts = Counter(outcome for nodeid, outcome in self._over.items() if nodeid.partition("::")[0] == file)
        told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in SEVERITY if counts[outcome])
        worst = max(counts, key=SEVERITY.index)
        self._say(f"{file}  {told}  {duration(self._seconds[file])}", **COLOURS.get(worst, {}))

    def _arrived(self) -> None:
        """What was waited for is there: the parts that are done stay on the terminal."""
        if self._waits is not None:
            text, since = self._waits
            self._waits = None
            self._say(f"fltlab: {text}: done in {duration(time.monotonic() - since)}")

    def _say(self, text: str, **markup: bool) -> None:
        self._reporter.write_line(text, **markup)

    def _tick(self) -> None:
        while not self._stop.is_set():
            self._line.show(self.line())
            self._stop.wait(INTERVAL)


def duration(seconds: float) -> str:
    """`4 s`, `1 min 4 s`; tenths below ten seconds."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{rest} s"


def tell_expected(config: pytest.Config, expected: Expected | None, wanted: Sequence[str]) -> None:
    """How long the tests took the last time."""
    live = config.stash.get(LIVE, None)
    if live is not None and expected is not None and set(wanted):
        live.expected = expected
