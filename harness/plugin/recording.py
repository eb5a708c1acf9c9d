"""Writes the run down as it goes: the journal with every result, and at the end every report."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import ExitCode, HostError
from harness.plugin.evidence import AROUND
from harness.plugin.facts import is_of_command, is_ours, suite_of
from harness.plugin.failures import COLUMNS, told, wants_short_failures
from harness.plugin.outcomes import exit_code_of, outcome_of
from harness.plugin.run import RUN, Run
from harness.report.cause import cause_of
from harness.report.journal import Journal
from harness.report.provenance import GuestFacts, Provenance, now, write_run_json
from harness.report.records import Blame, Outcome, Schedules, Section, SectionKind, TestRecord, Witness
from harness.report.resume import UnfinishedRun
from harness.report.summary import Summary
from harness.report.troubles import troubles
from harness.report.write import write_reports

if TYPE_CHECKING:
    from harness.report.coverage.measured import Measured

RECORDER = "fltlab-recorder"
COLLECTION = "collection"
"""The name, among the tests of a file, of what kept it from being collected."""
GIVEN_UP = "fltlab_given_up"
"""On the report of a test that a cluster gives no result of: it says by itself why."""
PHASES = frozenset({"setup", "call", "teardown"})
"""The phases of a test; pytest-xdist makes a report of none of them for a test under which its worker has died."""
SEVERITY = (
    *(Outcome.PASSED, Outcome.SKIPPED, Outcome.NOT_WITNESSED, Outcome.FLAKY),
    *(Outcome.ERROR, Outcome.FAILED),
)


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that sees every report: not in a worker of pytest-xdist."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config.stash[RUN], config), RECORDER)


class Recorder:
    """Collects the reports of each test's phases into one record."""

    def __init__(self, run: Run, config: pytest.Config) -> None:
        self.run = run
        self.config = config
        self.records: list[TestRecord] = []
        self.exit_codes: set[ExitCode] = set()
        self.wrong_use = False
        self.provenance: Provenance | None = None
        self.summary: Summary | None = None
        self._interrupted = False
        self._measured: Measured | None = None
        self._unmeasured = ""
        self._changed: set[str] = set()
        self._ended = False
        """Whether an error ended the run that every further test would have met."""
        self._journal: Journal | None = None
        self._uncollected: dict[str, str] = {}
        """What could not be collected, by its node id, and what pytest says of it."""
        self._phases: dict[str, list[pytest.TestReport]] = {}
        self._around: dict[str, str] = {}
        """Of tests that failed, the timeline of the operation that is wrong."""
        self._tells_failures = False
        self._in_order: Sequence[str] = ()
        self._begun = time.monotonic()
        if run.unfinished is not None:
            self._go_on(run.unfinished)

    def _go_on(self, unfinished: UnfinishedRun) -> None:
        """Begin with the results of the run that was interrupted."""
        self.records.extend(unfinished.records)
        self.exit_codes |= {ExitCode.FAILED for record in unfinished.records if record.outcome is Outcome.FAILED}
        self._begun -= sum(record.seconds for record in unfinished.records)
        self._journal = Journal(self.run.directory)
        self.provenance = unfinished.provenance.resume(now())
        write_run_json(self.run.directory, self.provenance, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the tests; all workers of pytest-xdist have the same."""
        self._in_order = ids

    def put_in_order(self, nodeids: Iterable[str]) -> None:
        """Put the records into the order of the tests, which is not that in which workers are done with them."""
        place = {nodeid: number for number, nodeid in enumerate(nodeids)}
        self.records.sort(key=lambda record: place.get(record.nodeid, -1))  # those of a resumed run came before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of a test; with the last one the test goes into the journal."""
        if report.when not in PHASES and (self._journal is not None or is_of_command(self.config)):
            self._phases.pop(report.nodeid, None)
            self.exit_codes.add(ExitCode.HOST)
            said = report.longreprtext.strip()
            message = said if GIVEN_UP in report.__dict__ else f"its worker ended: {said}"
            self._record_error(report.nodeid, message, report.longreprtext)
        if "fltlab" not in report.__dict__:
            return
        self._phases.setdefault(report.nodeid, []).append(report)
        if AROUND in report.__dict__:
            self._around[report.nodeid] = report.__dict__[AROUND]
        self.exit_codes.add(exit_code_of(report))
        self._ended |= bool(report.__dict__.get("fltlab_fault", {}).get("ends_run"))
        if report.when == "teardown":
            if report.failed:
                self._count_once(report.nodeid)
            with self.run.storing():
                self._record(self._phases.pop(report.nodeid))

    def _count_once(self, nodeid: str) -> None:
        """A test that fails as its drivers are unloaded has not passed too, as pytest would count it."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            passed = reporter.stats.get("passed", [])
            passed[:] = [report for report in passed if report.nodeid != nodeid]

    def _record_error(self, nodeid: str, message: str, details: str) -> None:
        """Write down what ended in an error before, or without, any phase of a test."""
        path, _, name = nodeid.partition("::")
        lines = message.splitlines() or ["error"]
        record = TestRecord(
            nodeid=nodeid,
            outcome=Outcome.ERROR,
            seconds=0.0,
            suite=suite_of(self.config.rootpath / path, self.config.rootpath),
            name=name or COLLECTION,
            message=lines[0],
            sections=(Section(SectionKind.FAILURE, details),),
            blame=Blame.OTHER,
            cause=lines[0],
        )
        with self.run.storing():
            self._append(record, {})

    def _record(self, phases: list[pytest.TestReport]) -> None:
        self._append(record_of(phases), phases[-1].__dict__["fltlab"]["guest_facts"])

    def _append(self, record: TestRecord, guest_facts: dict[str, Any]) -> None:
        if self._journal is None:
            self._journal = Journal(self.run.directory)
        known = self.provenance or self._begin()
        self._changed |= {name for name, sha256 in record.drivers.items() if known.drivers.get(name, sha256) != sha256}
        self.provenance = known.with_drivers(record.drivers)
        if guest_facts:
            self.provenance = self.provenance.with_guest(GuestFacts(**guest_facts))
        if self.provenance != known:
            write_run_json(self.run.directory, self.provenance, None)
        self.records.append(record)
        self._journal.append(record)

    def _begin(self) -> Provenance:
        settings = self.run.settings
        provenance = Provenance.collect(
            self.run.id,
            ("fltlab", "run", *_arguments()),
            settings.as_options(),
            settings.seed,
            settings.mutants,
            arguments=self.run.arguments,
            directory=str(self.run.started_in),
        )
        write_run_json(self.run.directory, provenance, None)
        return provenance

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected, and wrong marks: pytest-xdist would call those failed tests."""
        self.wrong_use |= bool(report.__dict__.get("fltlab_wrong_use"))
        if report.failed:
            self._uncollected[report.nodeid] = report.longreprtext

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports, and let the exit code say whose fault it was."""
        if self.wrong_use:
            session.exitstatus = ExitCode.USAGE
        if self._uncollected and (self._journal is not None or _has_ours(session)):
            self.exit_codes.add(ExitCode.USAGE)
            for nodeid, text in self._uncollected.items():
                last = next((line for line in reversed(text.splitlines()) if line.strip()), "it cannot be collected")
                self._record_error(nodeid, last.removeprefix("E").strip(), text)
        if self._in_order:
            self.put_in_order(self._in_order)
        self._interrupted = exitstatus == pytest.ExitCode.INTERRUPTED and not self._uncollected
        if self._journal is None or self.provenance is None:
            return
        self._journal.close()
        if self.run.broken is not None:
            return
        self.provenance = self.provenance.finish(now())
        with self.run.storing():
            seconds = time.monotonic() - self._begun
            self._measured = self._measure()
            self.summary = write_reports(
                self.run.directory, self.provenance, self.records, seconds, coverage=self._measured
            )
        if exitstatus == pytest.ExitCode.TESTS_FAILED or (
            exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
            and ExitCode.FAILED in self.exit_codes
        ):
            session.exitstatus = worst(self.exit_codes)
        elif self._unmeasured and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = ExitCode.HOST
        self._ended |= bool(session.shouldstop)
        if self._ended and exitstatus == pytest.ExitCode.INTERRUPTED:
            session.exitstatus = worst(self.exit_codes)
        if wants_short_failures(self.config):
            self._tells_failures = True
            self.config.option.tbstyle = "no"  # pytest would tell each test whole

    def _measure(self) -> "Measured | None":
        """What the tests covered of their drivers, written where `--coverage` says; None if nobody asked."""
        target = self.run.settings.coverage
        if target is None:
            return None
        from harness.report.coverage.measured import measure

        try:
            measured = measure(self.run.directory, self.records)
            measured.write(target, self.provenance.versions["fltlab"] if self.provenance is not None else "")
        except HostError as error:
            self.exit_codes.add(ExitCode.HOST)
            self._unmeasured = str(error)
            return None
        return measured

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables of suites and rules, and where the files are."""
        if self.summary is None or self.provenance is None:
            if self._interrupted and is_of_command(self.config):
                terminalreporter.write_line("interrupted before any test had a result: there is nothing to go on with")
            return
        if self._tells_failures:
            self._tell_failures(terminalreporter)
        terminalreporter.section("fltlab")
        for line in self._lines(terminalreporter):
            terminalreporter.write_line(line)

    def _tell_failures(self, reporter: pytest.TerminalReporter) -> None:
        reporter.reportchars = ""
        found = troubles(self.records)
        if found:
            reporter.section("what went wrong" + (f": {len(found)} troubles" if len(found) > 1 else ""))
        width = max(COLUMNS, min(reporter._tw.fullwidth, 120))  # noqa: SLF001 (it has no public name)
        for trouble in found:
            first, *others = told(trouble, self._around, self._shown_directory(), width)
            reporter.write_line(first, red=True, bold=True)
            for line in others:
                reporter.write_line(line)
            reporter.write_line("")

    def _shown_directory(self) -> Path:
        here, directory = self.config.invocation_params.dir, self.run.directory
        return directory.relative_to(here) if directory.is_relative_to(here) else directory

    def _lines(self, reporter: pytest.TerminalReporter) -> Iterator[str]:
        assert self.summary is not None
        assert self.provenance is not None
        for facts in self.provenance.guests.values():
            was = ", ".join(filter(None, [facts.qemu and f"QEMU {facts.qemu}", facts.accelerator]))
            yield f"guest {facts.name}{f' ({was})' if was else ''}{f': {facts.notice}' if facts.notice else ''}"
        from harness.report.table import held_or_failed, not_witnessed  # rich

        yield ""
        width, color = reporter._tw.fullwidth, reporter.hasmarkup  # noqa: SLF001 (it has no public name)
        covered = self._measured.suites if self._measured is not None else {}
        yield from _tables(self.records, self.summary, width, covered, color=color)
        yield from not_witnessed(self.records)
        yield from held_or_failed(self.records)
        yield ""
        if self._changed:
            yield f"not the drivers that earlier results of this run are about: {', '.join(sorted(self._changed))}"
        if self._interrupted:
            how = "ended" if self._ended else "interrupted"
            yield f"{how} after {len(self.records)} tests; to finish: fltlab run --resume {self.run.directory}"
        target = self.run.settings.coverage
        if self._measured is not None and target is not None:
            yield from self._measured.told(target)
        if self._unmeasured:
            yield f"error: {self._unmeasured}"
        yield f"files: {self._shown_directory()}/  (junit.xml, report.html, run.json, results.jsonl)"


def _tables(
    records: list[TestRecord], summary: Summary, width: int, covered: Mapping[str, str], *, color: bool
) -> list[str]:
    """The tables of suites and rules, as lines for pytest's own terminal writer."""
    from rich.console import Console

    from harness.contract import load_proven
    from harness.report.table import tables

    out = StringIO()
    console = Console(file=out, width=width, force_terminal=color, no_color=not color, highlight=False)
    console.print(tables(records, summary, load_proven(), covered))
    return out.getvalue().splitlines()


def record_of(phases: list[pytest.TestReport]) -> TestRecord:
    """The record that the phases of one test add up to: the worst of them is its outcome."""
    facts: dict[str, Any] = phases[-1].__dict__["fltlab"]
    outcomes = {report: outcome for report in phases if (outcome := outcome_of(report))}
    decisive = max(outcomes, key=lambda report: SEVERITY.index(outcomes[report]), default=phases[-1])
    path, _, _ = phases[-1].nodeid.partition("::")
    return TestRecord(
        nodeid=phases[-1].nodeid,
        outcome=outcomes.get(decisive, Outcome.ERROR),
        seconds=round(sum(report.duration for report in phases), 3),
        suite=facts["suite"],
        name=phases[-1].nodeid.removeprefix(f"{path}::"),
        guest=facts["guest"],
        guest_kind=facts["guest_kind"],
        rules=tuple(facts["rules"]),
        stack=tuple(facts["stack"]),
        witnesses=tuple(Witness(**witness) for witness in facts["witnesses"]),
        message=facts["flaky"] if decisive.passed and facts["flaky"] else _message(decisive),
        **_blame(decisive, outcomes.get(decisive, Outcome.ERROR)),
        sections=tuple(_sections(decisive)) if not decisive.passed else (),
        folder=facts["folder"],
        drivers=facts["drivers"],
        schedules=Schedules.from_json(facts["schedules"]) if facts["schedules"] else None,
    )


def worst(codes: set[ExitCode]) -> ExitCode:
    """The exit code of a run in which not everything passed: a failed test says more than a lost guest."""
    for code in (ExitCode.FAILED, ExitCode.HOST, ExitCode.USAGE):
        if code in codes:
            return code
    return ExitCode.FAILED


def _has_ours(session: pytest.Session) -> bool:
    return is_of_command(session.config) or any(map(is_ours, session.items))


def _blame(report: pytest.TestReport, outcome: Outcome) -> dict[str, Any]:
    """Who is to blame for a test that went wrong, and what tests have in common that did for the same reason.

    What a driver did is one cause wherever it shows. An assertion is one for each line that makes it.
    """
    if outcome not in {Outcome.FAILED, Outcome.ERROR}:
        return {}
    fault: dict[str, Any] = report.__dict__.get("fltlab_fault", {})
    if fault:
        blame = Blame.DRIVER if fault["by_driver"] else Blame.ASSERTION if outcome is Outcome.FAILED else Blame.OTHER
        return {"blame": blame, "violated": tuple(fault["violated"]), "cause": fault["cause"]}
    crash = getattr(report.longrepr, "reprcrash", None)
    path = report.__dict__.get("fltlab_path")  # says by itself what is wrong, whichever line asserts it
    where = f" at {Path(crash.path).name}:{crash.lineno}" if crash is not None and not path else ""
    blame = Blame.ASSERTION if outcome is Outcome.FAILED else Blame.OTHER
    return {"blame": blame, "cause": f"{cause_of(_message(report))}{where}"}


def _message(report: pytest.TestReport) -> str:
    fault = report.__dict__.get("fltlab_fault")
    if fault:
        return str(fault["message"])
    if report.__dict__.get("fltlab_path"):
        return str(report.__dict__["fltlab_path"])
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).splitlines()[0] if crash and crash.message else ""


def _sections(report: pytest.TestReport) -> Iterator[Section]:
    if report.longreprtext:
        yield Section(SectionKind.FAILURE, report.longreprtext.strip())
    kinds = {kind.value: kind for kind in SectionKind}
    for title, text in report.sections:
        kind = kinds.get(title, SectionKind.OUTPUT)
        yield Section(kind, text, "" if kind.value == title else title)


def _arguments() -> list[str]:
    """What was typed after `fltlab run` or `pytest`."""
    return sys.argv[2:] if sys.argv[1:2] == ["run"] else sys.argv[1:]
