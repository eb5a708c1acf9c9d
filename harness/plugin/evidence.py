"""What is kept of a test, and what is shown when it fails: its rules, the callback timeline, how to run it again."""

import json
import shlex
from collections.abc import Generator, Iterable
from dataclasses import asdict

import pytest

from harness.minifilter.timeline import blocks, first_count
from harness.plugin.facts import FACTS, ItemFacts
from harness.plugin.lab import IoRun, Lab
from harness.plugin.run import RUN, Run
from harness.report.compare import SCENE
from harness.report.timeline import HEADING, TimelineOperation, TimelineRow, write_timeline

LAB = pytest.StashKey[Lab]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the timeline of every test; of one that failed (with --keep-io of all) also its I/O and the answers."""
    report = yield
    facts = item.stash.get(FACTS, None)
    if facts is None or call.when != "call":
        return report
    lab, run = item.stash.get(LAB, None), item.config.stash[RUN]
    history = lab.history if lab else []
    if history or report.failed:
        with run.storing():
            _keep(run, item, facts, history, io=report.failed or run.settings.keep_io)
    if report.failed:
        report.sections += list(_sections(run, item, facts, history, told=report.longreprtext))
    report.__dict__["fltlab"]["folder"] = facts.folder
    return report


def _keep(run: Run, item: pytest.Item, facts: ItemFacts, history: list[IoRun], *, io: bool) -> None:
    folder = run.test_folder(item.nodeid)
    facts.folder = str(folder.relative_to(run.directory))
    write_timeline(folder, [operation for io in history for operation in _operations(io)])
    if not io or not history:
        return
    from harness.plugin.stack import stack_of

    plan = stack_of(item, run.settings)
    options = {label: asdict(given) for label, given in plan.options.items()}
    scene = {"stack": [f"{plan.driver_of(entry)}@{entry.label}#{entry.altitude}" for entry in plan.entries]}
    (folder / SCENE).write_text(json.dumps({**scene, "options": options}, indent=1) + "\n", encoding="utf-8")
    for number, done in enumerate(history, start=1):
        (folder / f"io-{number}.script").write_text(done.script, encoding="utf-8")
        (folder / f"io-{number}.json").write_text(done.answer, encoding="utf-8")
        (folder / f"io-{number}.timeline.txt").write_text(str(done.trace), encoding="utf-8")


def _operations(io: IoRun) -> Iterable[TimelineOperation]:
    operations, printed = io.trace.operations, io.trace.printed
    start = first_count(operations, printed)
    for block in blocks(operations, printed):
        lines = block.rows(start, io.result.frequency)
        yield TimelineOperation(
            title=block.title,
            rows=tuple(
                TimelineRow(
                    row.microseconds,
                    row.thread,
                    row.filter,
                    row.callback,
                    row.irql,
                    row.returned,
                    row.io_status,
                    row.text,
                )
                for row in lines
            ),
        )
    for note in printed.notes:
        yield TimelineOperation(title=note, rows=())


def _sections(
    run: Run, item: pytest.Item, facts: ItemFacts, history: list[IoRun], *, told: str
) -> Iterable[tuple[str, str]]:
    """What is printed below a failure; `told` says something already."""
    scene = getattr(item, "funcargs", {}).get("fltlab_scene")
    if scene is not None and "+0x" in told:
        from harness.plugin.places import places

        found = places(told, scene)
        if found:
            yield "where that is", "\n".join(found)
    from harness.contract import load_catalogue

    catalogue = load_catalogue()
    rules = [catalogue[rule] for rule in facts.rules if rule in catalogue and catalogue[rule].statement not in told]
    if rules:
        said = (f"{rule.id}  {rule.statement}\n  source: {rule.source}" for rule in rules)
        yield "what the documentation says", "\n".join(said)
    if history:
        yield HEADING, str(history[-1].trace)
    yield "again", shlex.join(_again(run, item, facts))


def _again(run: Run, item: pytest.Item, facts: ItemFacts) -> Iterable[str]:
    """The command that runs this test once more."""
    yield from ("fltlab", "run", item.nodeid)
    if facts.guest:
        yield from ("--guest", facts.guest)
    yield from ("--seed", str(run.settings.seed))
    for mutant in run.settings.mutants:
        yield from ("--mutant", mutant)
    for name, driver in run.settings.replacements.items():
        yield from ("--replace", f"{name}={driver}")
    for directory in run.settings.drivers:
        yield from ("--drivers", str(directory))
