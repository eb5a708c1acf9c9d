"""Breaking a driver on purpose turns named tests red, and what is printed says what happened."""

import re
import subprocess
import sys
from pathlib import Path

from harness.errors import ExitCode
from harness.report.journal import read_journal
from harness.report.records import Outcome

ROOT = Path(__file__).resolve().parents[2]
COMPLETES = "return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_COMPLETE);"
PASSES_DOWN = COMPLETES.replace("FLT_PREOP_COMPLETE", "FLT_PREOP_SUCCESS_WITH_CALLBACK")
MUST_FAIL = {
    "test_a_completed_create_goes_no_further_down",
    "test_a_completed_write_leaves_the_file_as_it_was",
    "test_the_filter_that_completes_gets_no_post_of_its_own",
}
ROW = r"^ +\d+\.\d +\d+:\d+.* completion +pre +PASSIVE +SUCCESS_WITH_CALLBACK +-$"


def test_a_completion_driver_that_returns_with_callback_fails_named_tests_with_a_timeline(tmp_path: Path):
    source = (ROOT / "drivers" / "completion" / "completion.c").read_text()
    assert COMPLETES in source
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.c").write_text(source.replace(COMPLETES, PASSES_DOWN))
    (tmp_path / "broken" / "driver.yaml").write_text(
        "name: broken\ndescription: completion, broken on purpose\nsources: [broken.c]\ncommon: true\n"
    )
    command = [sys.executable, "-P", "-m", "harness.cli", "run", "completion", "--guest", "reference-local"]

    ran = subprocess.run(
        [*command, "--drivers", ".", "--replace", "completion=broken", "--out", "run", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )

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
