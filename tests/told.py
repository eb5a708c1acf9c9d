"""What failed, in the last lines of a run: each test with the end of its own account, so that a log's tail will do.

`./fltlab test` reads the same from a file, to run again what may have failed by the load of the machine.
"""

import json
import os
from pathlib import Path

import pytest

FILE = "FLTLAB_FAILED_TESTS"
"""The variable that names the file."""
LINES, COLUMNS = 12, 300


def account(report: pytest.TestReport | pytest.CollectReport) -> list[str]:
    """Why a test failed, in a few lines: where, and what pytest marks with an E."""
    crash = getattr(report.longrepr, "reprcrash", None)
    where = [f"{Path(crash.path).name}:{crash.lineno}"] if crash is not None else []
    lines = report.longreprtext.splitlines()
    marked = [line[1:].strip() for line in lines if line.startswith("E ")] or lines[-LINES:]
    left_out = [f"({len(marked) - LINES} lines left out)"] if len(marked) > LINES else []
    when = [] if report.when == "call" else [f"in its {report.when}"]
    return [" ".join([*when, *where]), *(line[:COLUMNS] for line in marked[:LINES]), *left_out]


def failures(reporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """The tests that failed or could not be run, and their accounts."""
    found: dict[str, list[str]] = {}
    for report in [*reporter.stats.get("failed", []), *reporter.stats.get("error", [])]:
        found.setdefault(report.nodeid, []).extend(account(report))
    return found


def tell(reporter: pytest.TerminalReporter) -> None:
    """Print them, and write them to the file that was asked for."""
    found = failures(reporter)
    if FILE in os.environ:
        Path(os.environ[FILE]).write_text(json.dumps(found), encoding="utf-8")
    if found:
        reporter.section("what failed")
    for name, lines in found.items():
        reporter.write_line(name, red=True)
        for line in lines:
            reporter.write_line(f"    {line}")
