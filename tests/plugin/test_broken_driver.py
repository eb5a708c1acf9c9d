"""Breaking a driver on purpose turns named tests red, and what is printed says what happened."""

import re
import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.minifilter.events import Phase
from harness.report.journal import read_journal
from harness.report.records import Blame, Outcome
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import read_trace

ROOT = Path(__file__).resolve().parents[2]
COMPLETES = "return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE);"
PASSES_DOWN = COMPLETES.replace("FLT_PREOP_COMPLETE", "FLT_PREOP_SUCCESS_WITH_CALLBACK")
MUST_FAIL = {
    "test_a_completed_create_goes_no_further_down",
    "test_a_completed_write_leaves_the_file_as_it_was",
    "test_the_filter_that_completes_gets_no_post_of_its_own",
}
MUTANT = "completing-filter-gets-its-post"
PLACE = r"^fltlab-passthrough\+0x[0-9a-f]+  GuardPreCreate \[guard\.c:{}\]$"
ROW = r"^ +\d+\.\d +\d+:\d+.* completion +pre +PASSIVE +SUCCESS_WITH_CALLBACK +-$"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`fltlab run` on a local guest, with the drivers below a folder; what it leaves is in `run` there."""
    command = [sys.executable, "-P", "-m", "harness.cli", "run", *options, "--guest", "reference-local"]
    more = ["--drivers", ".", "--out", "run", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *more], cwd=folder, text=True, capture_output=True, check=False)


def guard_with(folder: Path, line: str) -> int:
    """Put the example driver into a folder, with one more line in its callback; the number of that line."""
    example = ROOT / "docs" / "examples" / "guard"
    before = "    ACCESS_MASK Wanted"
    source = (example / "guard.c").read_text()
    number = source[: source.index(before)].count("\n") + 2
    first, rest = source[source.index(before) :].split("\n", 1)
    (folder / "guard.c").write_text(f"{source[: source.index(before)]}{first}\n{line}\n{rest}")
    (folder / "driver.yaml").write_text((example / "driver.yaml").read_text())
    return number


def test_a_driver_of_ones_own_that_leaks_is_found_when_it_is_unloaded(tmp_path: Path):
    line = guard_with(tmp_path, "    ExAllocatePoolWithTag(NonPagedPoolNx, 100, 'kaeL');")

    ran = run(tmp_path, str(ROOT / "suites/workload/test_unload.py"), "--replace", "passthrough=guard")

    assert ran.returncode == ExitCode.FAILED, ran.stdout + ran.stderr
    assert "leak at unload: a 100-byte nonpaged pool block, tag 'Leak'" in ran.stdout
    assert "passed" not in ran.stdout.splitlines()[-1]
    assert re.search(rf"^ *fltlab-guard\+0x[0-9a-f]+  GuardPreCreate \[guard\.c:{line}\]$", ran.stdout, re.MULTILINE)


def test_a_driver_of_ones_own_that_faults_is_told_by_function_line_and_operation(tmp_path: Path):
    line = guard_with(tmp_path, "    *(volatile int *)16 = 1;")

    ran = run(tmp_path, str(ROOT / "suites/workload/test_unload.py"), "--replace", "passthrough=guard")

    assert ran.returncode == ExitCode.FAILED, ran.stdout + ran.stderr
    assert "bug check SYSTEM_SERVICE_EXCEPTION (0x3B) in driver fltlab-guard" in ran.stdout
    assert re.search(rf"^ *fltlab-guard\+0x[0-9a-f]+  GuardPreCreate \[guard\.c:{line}\]$", ran.stdout, re.MULTILINE)
    assert re.search(r"^ *\d+ \d+ 0x[0-9a-f]+ CREATE .*fltlab-guard@\S+: pre$", ran.stdout, re.MULTILINE)
    (record,) = read_journal(tmp_path / "run")
    trace = read_trace(tmp_path / "run" / str(record.folder) / TRACE)
    assert record.blame is Blame.DRIVER
    assert trace.ios[0].error.startswith("bug check SYSTEM_SERVICE_EXCEPTION")
    assert [(mark.verdict, mark.driver) for mark in trace.marks] == [("bugcheck", "fltlab-guard")]
    assert any(note.source == "kernel" for note in trace.notes)


def test_a_completion_driver_that_returns_with_callback_fails_named_tests_with_a_timeline(tmp_path: Path):
    source = (ROOT / "drivers" / "completion" / "completion.c").read_text()
    assert COMPLETES in source
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.c").write_text(source.replace(COMPLETES, PASSES_DOWN))
    (tmp_path / "broken" / "driver.yaml").write_text(
        "name: broken\ndescription: completion, broken on purpose\nsources: [broken.c]\ncommon: true\n"
    )

    ran = run(tmp_path, "completion", "--replace", "completion=broken")

    records = {record.name: record for record in read_journal(tmp_path / "run")}
    assert ran.returncode == ExitCode.FAILED, ran.stdout + ran.stderr
    assert {name for name in MUST_FAIL if records[name].outcome is not Outcome.FAILED} == set()
    assert Outcome.ERROR not in {record.outcome for record in records.values()}
    shown = records["test_a_completed_create_goes_no_further_down"].details
    assert "PRE-COMP-01  Returning FLT_PREOP_COMPLETE stops the operation at this filter" in shown
    assert "callback timeline" in shown
    assert "CREATE secret.txt (IRP)" in shown
    assert re.search(ROW, shown, re.MULTILINE), shown
    assert "--replace completion=broken" in shown


def test_a_path_that_was_not_taken_is_marked_in_the_trace_where_the_two_part(tmp_path: Path):
    test = ROOT / "suites/completion/test_completion.py"

    run(tmp_path, f"{test}::test_the_filter_that_completes_gets_no_post_of_its_own", "--mutant", MUTANT)

    (record,) = read_journal(tmp_path / "run")
    trace = read_trace(tmp_path / "run" / str(record.folder) / TRACE)
    (mark,) = trace.marks
    (callback,) = (item for item in trace.callbacks if item.id == mark.callback)
    assert record.message == "completion.post came, where above.post must come"
    assert (record.blame, record.cause) == (Blame.ASSERTION, record.message)
    assert (callback.filter, callback.phase, callback.operation) == ("completion", Phase.POST, mark.operation)
    assert mark.must == ("above.pre", "completion.pre", "above.post")
    assert mark.came == ("above.pre", "completion.pre", "completion.post", "above.post")


def test_a_callback_that_is_missing_is_marked_at_the_last_one_of_its_operation(tmp_path: Path):
    test = ROOT / "suites/pending/test_pending.py::test_cleanup_may_be_pended"

    run(tmp_path, str(test), "--mutant", "with-callback-post-skipped")

    (record,) = read_journal(tmp_path / "run")
    trace = read_trace(tmp_path / "run" / str(record.folder) / TRACE)
    (mark,) = trace.marks
    of_it = [item.id for item in trace.callbacks if item.operation == mark.operation]
    assert (mark.verdict, mark.text) == ("failed", record.message)
    assert mark.callback == max(of_it)


def test_what_the_kernel_found_is_marked_at_the_drivers_last_callback(tmp_path: Path):
    test = ROOT / "suites/pending/test_obligations.py"

    run(
        tmp_path, f"{test}::test_an_operation_its_requester_waits_for_comes_back", "--replace", "pending=forgets-pended"
    )

    (record,) = read_journal(tmp_path / "run")
    trace = read_trace(tmp_path / "run" / str(record.folder) / TRACE)
    marked = [item for item in trace.callbacks if item.id == trace.marks[0].callback]
    assert (record.blame, record.violated) == (Blame.DRIVER, ("PRE-PEND-02",))
    assert record.cause == "fltlab-pending: PRE-PEND-02"
    assert (trace.marks[0].verdict, trace.marks[0].rule) == ("violated", "PRE-PEND-02")
    assert [item.filter for item in marked] == ["pending"]
