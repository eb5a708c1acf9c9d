"""What a user's own driver prints with DbgPrint is in the timeline of a failed test, where it was printed."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import TestRecord
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import read_trace

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "guard"
REFUSES = "    return FLT_PREOP_COMPLETE;\n"
PRINTS_INSTEAD = (
    '    DbgPrint("guard: lets %wZ by <b>\\n", &FltObjects->FileObject->FileName);\n'
    "    return FLT_PREOP_SUCCESS_NO_CALLBACK;\n"
)
STARTS = "        Status = FltStartFiltering(Guard);\n"
ENTERED = "    UNREFERENCED_PARAMETER(RegistryPath);\n"
TEST = "test_a_secret_file_cannot_be_opened_for_reading[plan.secret]"

Change = Callable[..., TestRecord]


@pytest.fixture
def run(tmp_path: Path) -> Change:
    """Change the example's source, run its first test, and return what came of it."""

    def run_changed(*changes: tuple[str, str]) -> TestRecord:
        shutil.copytree(EXAMPLE, tmp_path / "guard", ignore=shutil.ignore_patterns("__pycache__"))
        source = (tmp_path / "guard" / "guard.c").read_text()
        for old, new in changes:
            assert source.count(old) == 1
            source = source.replace(old, new)
        (tmp_path / "guard" / "guard.c").write_text(source)
        command = [sys.executable, "-P", "-m", "harness.cli", "run", f"guard/test_guard.py::{TEST}"]
        ran = subprocess.run(
            [*command, "--guest", "reference-local", "--drivers", ".", "--out", "run", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            text=True,
            capture_output=True,
            check=False,
        )
        assert ran.returncode == ExitCode.FAILED, ran.stdout + ran.stderr
        (record,) = read_journal(tmp_path / "run")
        return record

    return run_changed


def test_timeline_of_a_failed_test_shows_what_was_printed_and_where(run: Change, tmp_path: Path):
    loaded = ENTERED + '    DbgPrint("guard: loaded\\n");\n'
    record = run((REFUSES, PRINTS_INSTEAD), (ENTERED, loaded))

    assert record.folder is not None
    folder = tmp_path / "run" / record.folder
    lines = [line.strip() for line in record.details.splitlines()]
    (before,) = (at for at, line in enumerate(lines) if line.startswith("printed before the test's own I/O"))
    (loading,) = (at for at, line in enumerate(lines) if line.endswith("DbgPrint  guard: loaded"))
    create = next(at for at, line in enumerate(lines) if line == "CREATE plan.secret (IRP)")
    assert before < loading < create
    seen_by_filters = [line for line in lines[create + 1 :] if not line.endswith("seen by the kernel")]
    above, printed, below = seen_by_filters[:3]
    assert re.match(r"[0-9.]+ +\d+:\d+ +above +pre ", above)
    assert re.fullmatch(r"[0-9.]+ +\d+:\d+ +DbgPrint  guard: lets \\plan\.secret by <b>", printed)
    assert re.match(r"[0-9.]+ +\d+:\d+ +below +pre ", below)
    trace = read_trace(folder / TRACE)
    (loaded_with,) = (item for item in trace.prints if item.text == "guard: loaded\n")
    (told,) = (item for item in trace.prints if "lets" in item.text)
    named = {operation.id: operation.name for operation in trace.operations}
    assert (loaded_with.before, told.before) == (True, False)
    assert named[told.operation] == "plan.secret"


def test_driver_that_does_not_load_is_reported_with_what_it_printed(run: Change):
    gives_up = '        DbgPrint("guard: no policy\\n");\n        Status = STATUS_NOT_SUPPORTED;\n'
    record = run((STARTS, gives_up))

    assert "guard (fltlab-guard) could not be loaded" in record.message
    assert "| DbgPrint: guard: no policy" in record.details
