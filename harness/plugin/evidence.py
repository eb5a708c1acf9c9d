"""What is kept of a test, and what is shown when it fails: its raw trace, its rules, how to run it again."""

import itertools
import shlex
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from harness.errors import DriverError, TestError
from harness.minifilter.timeline import render
from harness.minifilter.trace import Operation
from harness.minifilter.tracing import IoRun, TraceWriter, Unanswered
from harness.plugin.comparison import EXPECTED, PathExpectation, where_they_part
from harness.plugin.facts import FACTS, ItemFacts
from harness.plugin.run import RUN, Run
from harness.plugin.schedules import FILE, TOLD
from harness.report.records import SectionKind
from harness.shipped import SHIPPED
from harness.wire.trace import FILE_NAME, Header, Mark, Minifilter, Record, append, write_trace

if TYPE_CHECKING:
    from harness.fleet.lab import Lab

LAB: "pytest.StashKey[Lab]" = pytest.StashKey()
AROUND = "fltlab_around"
"""On the report of a test that failed: the timeline of the operation that is wrong."""
WRITER = pytest.StashKey[TraceWriter]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the trace of every test; of one that failed also what is wrong with it, and say how to run it again."""
    report = yield
    facts = item.stash.get(FACTS, None)
    if facts is None or call.when == "setup":
        return report
    lab, run = item.stash.get(LAB, None), item.config.stash[RUN]
    scripts = lab.scripts if lab else []
    with run.storing():
        if call.when == "call" and (scripts or report.failed):
            _keep(run, item, facts, scripts)
        error = call.excinfo.value if call.excinfo is not None else None
        path = _missed(item, error)
        if path is not None:
            report.__dict__["fltlab_path"] = where_they_part(path.came, path.must)
        if report.failed and lab is not None and lab.history:
            report.__dict__[AROUND] = "\n".join(_around(item, lab.history[-1], error, path))
        if report.failed and facts.folder and (run.directory / facts.folder / FILE_NAME).exists():
            marks = _marks(item, facts, lab.history if lab else [], error, path)
            append(run.directory / facts.folder / FILE_NAME, marks)
    if report.failed:
        report.sections += list(_sections(run, item, facts, lab.history if lab else [], told=report.longreprtext))
    report.__dict__["fltlab"]["folder"] = facts.folder
    return report


def _keep(run: Run, item: pytest.Item, facts: ItemFacts, scripts: list[IoRun | Unanswered]) -> None:
    folder = run.test_folder(item.nodeid)
    facts.folder = str(folder.relative_to(run.directory))
    seed = None if facts.guest_kind == "windows" else run.settings.seed
    writer = item.stash[WRITER] = TraceWriter()
    header = Header(item.nodeid, facts.guest, facts.guest_kind, seed)
    write_trace(folder / FILE_NAME, header, _records(item, run, writer, scripts))


def _records(item: pytest.Item, run: Run, writer: TraceWriter, scripts: list[IoRun | Unanswered]) -> Iterator[Record]:
    from harness.plugin.scenes import stack_of

    plan, services = stack_of(item, run.settings), _services(item)
    for entry in plan.entries:
        options = plan.options.get(entry.label)
        given = {key: value for key, value in asdict(options).items() if value is not None} if options else {}
        service = services.get(entry.label, entry.service)
        yield Minifilter(entry.label, plan.driver_of(entry), str(entry.altitude), service, given)
    for number, io in enumerate(scripts, start=1):
        yield from writer.records(number, io)


def _missed(item: pytest.Item, error: BaseException | None) -> PathExpectation | None:
    """The path that an assertion asked for in vain, if that is what ended the test."""
    path = item.config.stash.get(EXPECTED, None)
    if path is None or not isinstance(error, AssertionError) or where_they_part(path.came, path.must) not in str(error):
        return None
    return path


def _around(item: pytest.Item, io: IoRun, error: BaseException | None, path: PathExpectation | None) -> Iterator[str]:
    """The timeline of the operation that is wrong: asserted of, reported by the kernel, or else the last one."""
    operations = io.trace.operations
    wrong = operations[-1:]
    if path is not None:
        wrong = [path.came.operation]
    elif isinstance(error, TestError) and isinstance(error.about, Operation):
        wrong = [error.about]
    elif isinstance(error, DriverError):
        labels = {service: label for label, service in _services(item).items()}
        label = labels.get(str(error.findings[0].get("driver")) if error.findings else "", "")
        wrong = [one for one in operations if any(event.filter == label for event in one.events)][-1:] or wrong
    if wrong:
        yield from render(wrong, brief=True)


def _marks(
    item: pytest.Item,
    facts: ItemFacts,
    history: list[IoRun],
    error: BaseException | None,
    path: PathExpectation | None,
) -> Iterator[Mark]:
    """What is wrong, as far as it has a place in the trace."""
    writer = item.stash[WRITER]
    if path is not None:
        yield _path_mark(facts, writer, path)
    if isinstance(error, TestError) and isinstance(error.about, Operation):
        numbers = writer.numbers_of(error.about.events[-1])
        yield Mark("failed", error.message, facts.rules[0] if len(facts.rules) == 1 else "", "", *numbers)
    if isinstance(error, DriverError) and error.findings:
        labels = {service: label for label, service in _services(item).items()}
        events = history[-1].trace.events if history else ()
        for finding in error.findings:
            driver = str(finding.get("driver") or "")
            operation, callback = writer.last_of(labels.get(driver, ""), events)
            text = str(finding.get("text") or "")
            yield Mark("violated", text, str(finding.get("rule") or ""), driver, operation, callback)


def _path_mark(facts: ItemFacts, writer: TraceWriter, expected: PathExpectation) -> Mark:
    """The callback at which an operation left the path that the test asserts, or the last before what did not come."""
    came, must = expected.came, expected.must
    alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(came, must, strict=False)))
    events = came.events or came.operation.events
    operation, callback = writer.numbers_of(events[min(alike, len(events) - 1)])
    rule = facts.rules[0] if len(facts.rules) == 1 else ""
    text = where_they_part(came, must)
    return Mark("failed", text, rule, "", operation, callback, tuple(came), must)


def _services(item: pytest.Item) -> dict[str, str]:
    scene = getattr(item, "funcargs", {}).get("fltlab_scene")
    return {one.entry.label: one.entry.service for one in scene.minifilters} if scene is not None else {}


def _sections(
    run: Run, item: pytest.Item, facts: ItemFacts, history: list[IoRun], *, told: str
) -> Iterable[tuple[str, str]]:
    """What is printed below a failure; `told` says something already."""
    scene = getattr(item, "funcargs", {}).get("fltlab_scene")
    if scene is not None and "+0x" in told:
        from harness.fleet.places import places

        found = places(told, scene)
        if found:
            yield SectionKind.WHERE.value, "\n".join(found)
    from harness.contract import load_catalogue

    catalogue = load_catalogue()
    rules = [catalogue[rule] for rule in facts.rules if rule in catalogue and catalogue[rule].statement not in told]
    if rules:
        said = (f"{rule.id}  {rule.statement}\n  source: {rule.source}" for rule in rules)
        yield SectionKind.DOCUMENTATION.value, "\n".join(said)
    if TOLD in item.stash:
        yield SectionKind.SCHEDULE.value, "\n".join(item.stash[TOLD].lines)
    if history:
        yield SectionKind.TIMELINE.value, str(history[-1].trace)
    yield SectionKind.AGAIN.value, shlex.join(_again(run, item, facts))


def _place(item: pytest.Item) -> str:
    """The test, as `fltlab run` finds it: fltlab's own by their names, those of a user's tree by their whole path."""
    file, separator, test = item.nodeid.partition("::")
    ours = item.path == SHIPPED / file
    return item.nodeid if ours else f"{item.path}{separator}{test}"


def _again(run: Run, item: pytest.Item, facts: ItemFacts) -> Iterable[str]:
    """The command that runs this test once more, in whatever directory it is given."""
    yield from ("fltlab", "run", _place(item))
    if facts.guest:
        yield from ("--guest", facts.guest)
    told = item.stash.get(TOLD, None)
    yield from ("--seed", str(told.seed if told is not None and told.seed is not None else run.settings.seed))
    if told is not None and told.content and facts.folder:
        file = run.directory / facts.folder / FILE
        file.write_text(told.content, encoding="utf-8")
        yield from ("--schedule", str(file.absolute()))
    for mutant in run.settings.mutants:
        yield from ("--mutant", mutant)
    for name, driver in run.settings.replacements.items():
        yield from ("--replace", f"{name}={driver}")
    for directory in run.settings.drivers:
        yield from ("--drivers", str(directory))
