"""How a test ended: a failure is the driver's or the contract's, an error the host's, the guest's or ours."""

from collections.abc import Generator
from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from harness.errors import DriverError, ExitCode, FltLabError
from harness.report.cause import cause_of
from harness.report.records import Outcome

ERROR_STATUS = ("error", "E", "ERROR")
FAILED_STATUS = ("failed", "F", "FAILED")
FLAKY_STATUS = ("flaky", "f", "FLAKY")
NOT_WITNESSED_STATUS = ("not witnessed", "w", "NOT WITNESSED")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the report whose fault an exception was."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if report.failed and isinstance(error, FltLabError):
        report.__dict__["fltlab_fault"] = {
            "is_failure": error.is_failure,
            "exit_code": int(error.exit_code),
            "message": error.message,
            "violated": list(error.rules) if isinstance(error, DriverError) else [],
            "by_driver": isinstance(error, DriverError),
            "cause": _cause(error),
            "ends_run": bool(item.session.shouldstop),
        }
        if not item.config.getoption("fulltrace"):
            report.longrepr = _shown(item, call, error)
    return report


def outcome_of(report: pytest.TestReport) -> Outcome | None:
    """What one phase of a test says about its outcome; None if it says nothing (a passed setup or teardown)."""
    if report.failed:
        return Outcome.FAILED if _is_failure(report) else Outcome.ERROR
    if report.skipped:
        return Outcome.SKIPPED
    if report.when != "call":
        return None
    if _facts(report).get("flaky"):
        return Outcome.FLAKY
    unseen = any(not witness["seen"] for witness in _facts(report).get("witnesses", ()))
    return Outcome.NOT_WITNESSED if unseen else Outcome.PASSED


def exit_code_of(report: pytest.TestReport) -> ExitCode:
    """The exit code that a report by itself asks for."""
    if not report.failed:
        return ExitCode.PASSED
    fault = report.__dict__.get("fltlab_fault")
    if fault:
        return ExitCode(fault["exit_code"])
    return ExitCode.FAILED if report.when == "call" else ExitCode.HOST


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Show an error of the host as an error also when it came in the middle of a test, and what was not witnessed."""
    if not isinstance(report, pytest.TestReport) or "fltlab" not in report.__dict__:
        return None
    match outcome_of(report):
        case Outcome.ERROR:
            return ERROR_STATUS
        case Outcome.FAILED:
            return FAILED_STATUS
        case Outcome.FLAKY:
            return FLAKY_STATUS
        case Outcome.NOT_WITNESSED:
            return NOT_WITNESSED_STATUS
        case _:
            return None


def _shown(item: pytest.Item, call: pytest.CallInfo[None], error: FltLabError) -> ReprExceptionInfo:
    """What pytest shows of an error of ours: the line of the test and the message.

    The frames below the test are the harness, of no help to a reader; --full-trace shows them.
    """
    text = str(error)
    file, line = item.location[0], (item.location[1] or 0) + 1
    entries = [entry for entry in (call.excinfo.traceback if call.excinfo else ()) if entry.path == item.path]
    if entries:
        line = entries[-1].lineno + 1
        text = f"{file}:{line}: in {entries[-1].name}\n    {str(entries[-1].statement).strip()}\n{text}"
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback([ReprEntryNative([text + "\n"])], None, style="native"),
        reprcrash=ReprFileLocation(file, line, error.message),
    )


def _cause(error: FltLabError) -> str:
    """What an error has in common with the same one elsewhere: what the kernel found is one by driver and rule."""
    first = error.findings[0] if isinstance(error, DriverError) and error.findings else {}
    if first.get("rule"):
        return f"{first.get('driver')}: {first['rule']}"
    return cause_of(error.message)


def _is_failure(report: pytest.TestReport) -> bool:
    fault = report.__dict__.get("fltlab_fault")
    return bool(fault["is_failure"]) if fault else report.when == "call"


def _facts(report: pytest.TestReport) -> dict[str, Any]:
    facts: dict[str, Any] = report.__dict__.get("fltlab", {})
    return facts
