"""`disturbed_by("…")`: what Windows itself, or a slow machine, may turn red is tried once more in a fresh guest.

Only on Windows: the reference kernel does the same again. A test that fails twice has failed. One that holds the
second time proves nothing, and is no failure: it ends as flaky, and every report says what the first attempt said.
What a driver did, a bug check or what Driver Verifier reports, is no disturbance and stands.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.plugin.evidence import LAB, WRITER
from harness.plugin.facts import FACTS
from harness.plugin.fixtures import FAILED
from harness.plugin.outcomes import outcome_of
from harness.plugin.postmortem import LEASE
from harness.plugin.run import RUN
from harness.report.records import Outcome
from harness.text import safe_line

MARK = "disturbed_by"
WINDOWS = "windows"  # harness.guest.GuestKind.WINDOWS, whose import is not for every pytest run
FIRST_ATTEMPT = "first-attempt"
"""The folder, below the test's, with what the first attempt left."""
_OF_ONE_ATTEMPT: tuple[pytest.StashKey[Any], ...] = (FAILED, LAB, LEASE, WRITER, FACTS)


@pytest.hookimpl
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that has the mark: once, or twice."""
    mark = item.get_closest_marker(MARK)
    if mark is None or item.parent is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    properties = list(item.user_properties)
    # Only the test itself is taken down between the attempts, whatever comes after it.
    reports = runtestprotocol(item, nextitem=item.parent, log=False)  # type: ignore[arg-type]
    said = _what_may_be_a_disturbance(item, reports)
    if said is not None:
        _forget(item, properties)
        reports = list(_told(runtestprotocol(item, nextitem=item.parent, log=False), said, mark))  # type: ignore[arg-type]
    reports[-1:] = [_rest_of_teardown(item, nextitem) or reports[-1]]
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _rest_of_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> pytest.TestReport | None:
    """Take down what the next test does not need; a report if something went wrong with that."""
    call = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem),  # noqa: SLF001 (pytest has no other way)
        when="teardown",
        reraise=(pytest.exit.Exception, KeyboardInterrupt),
    )
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report if report.failed else None


def _what_may_be_a_disturbance(item: pytest.Item, reports: list[pytest.TestReport]) -> str | None:
    """What an attempt on Windows failed with, if nothing but the test's own assertion did."""
    facts = item.stash.get(FACTS, None)
    failed = [report for report in reports if report.failed]
    if facts is None or facts.guest_kind != WINDOWS or [report.when for report in failed] != ["call"]:
        return None
    fault = failed[0].__dict__.get("fltlab_fault", {})
    if outcome_of(failed[0]) is not Outcome.FAILED or fault.get("by_driver") or item.session.shouldstop:
        return None
    crash = getattr(failed[0].longrepr, "reprcrash", None)
    return safe_line(str(fault.get("message") or getattr(crash, "message", "") or "it failed").splitlines()[0])


def _forget(item: pytest.Item, properties: list[tuple[str, object]]) -> None:
    """Put the test as it was before the attempt, and what the attempt left aside."""
    folder = item.stash[FACTS].folder
    if folder is not None:
        run = item.config.stash[RUN]
        with run.storing():
            _put_aside(run.directory / folder)
    for key in _OF_ONE_ATTEMPT:
        if key in item.stash:
            del item.stash[key]
    item.user_properties[:] = properties
    item._initrequest()  # type: ignore[attr-defined]  # noqa: SLF001 (as pytest itself does)


def _put_aside(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.{FIRST_ATTEMPT}")
    folder.rename(aside)
    folder.mkdir()
    shutil.move(aside, folder / FIRST_ATTEMPT)


def _told(reports: list[pytest.TestReport], said: str, mark: pytest.Mark) -> Iterator[pytest.TestReport]:
    """The reports of the second attempt, with what the first one said."""
    what = safe_line(", ".join(map(str, mark.args)))
    failed = any(report.failed for report in reports)
    for report in reports:
        if failed and report.failed:
            report.sections.append((FIRST_ATTEMPT, f"failed too: {said}"))
        elif not failed:
            report.__dict__["fltlab"]["flaky"] = f"passed on a fresh guest; failed before, perhaps for {what}: {said}"
        yield report
