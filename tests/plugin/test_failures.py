"""What `fltlab run` says of what went wrong: a trouble once, short, with the words, the callbacks and the command."""

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.plugin.failures import COLUMNS, LINES, told
from harness.report.records import Blame, Outcome, Section, SectionKind, TestRecord
from harness.report.troubles import troubles

ASSERTION = """
    def test_path(lab):
        create = lab.trace.only(IrpMajor.CREATE)
>       assert create.path == STOPPED
E       AssertionError: assert own.post came, where above.post must come
E         came:      above.pre, own.pre, own.post
E         must come: above.pre, own.pre

suites/one/test_one.py:21: AssertionError
"""
OF_OURS = """suites/one/test_one.py:30: in test_finding
    io = lab.io(
        "open"
    )
IRQL-01 violated: mine waits at DISPATCH_LEVEL
  IRQL-01 says: what it says
  try:  look there"""


def failed(name: str, text: str, **more: object) -> TestRecord:
    return TestRecord(
        f"suites/one/test_one.py::{name}",
        Outcome.FAILED,
        0.1,
        "one",
        name,
        sections=(
            Section(SectionKind.FAILURE, text.strip("\n")),
            Section(SectionKind.AGAIN, f"fltlab run suites/one/test_one.py::{name} --seed 1"),
        ),
        folder=f"tests/{name}",
        **more,  # type: ignore[arg-type]
    )


def test_an_assertion_is_told_by_its_words_its_line_and_its_rule():
    asserted = {"blame": Blame.ASSERTION, "rules": ("PRE-COMP-04",)}
    record = failed("test_path", ASSERTION, message="own.post came", cause="c", **asserted)

    lines = told(troubles([record])[0], {record.nodeid: "  t/us  filter\nCREATE a.txt (IRP)"}, Path("runs/x"))

    assert lines == [
        "FAILED suites/one/test_one.py::test_path",
        "  own.post came, where above.post must come",
        "    came:      above.pre, own.pre, own.post",
        "    must come: above.pre, own.pre",
        "  at suites/one/test_one.py:21: assert create.path == STOPPED",
        "  PRE-COMP-04  The filter that completes an operation does not get its own post",
        "    callback for it.",
        "  t/us  filter",
        "CREATE a.txt (IRP)",
        "  again: fltlab run suites/one/test_one.py::test_path --seed 1",
        "  files: runs/x/tests/test_path/",
    ]


@pytest.mark.parametrize("blame", [Blame.DRIVER, Blame.OTHER])
def test_what_went_wrong_for_another_reason_is_not_told_under_the_rules_of_its_test(blame: Blame):
    record = failed("test_path", OF_OURS, message="a leak", cause="c", blame=blame, rules=("PRE-COMP-04",))

    lines = told(troubles([record])[0], {}, Path("runs/x"))

    assert not any("PRE-COMP-04" in line for line in lines)


def test_an_error_of_fltlabs_own_begins_with_its_message():
    message = "IRQL-01 violated: mine waits at DISPATCH_LEVEL"

    lines = told(troubles([failed("test_finding", OF_OURS, message=message, cause="c")])[0], {}, Path("runs/x"))

    assert lines[1:5] == [
        f"  {message}",
        "    IRQL-01 says: what it says",
        "    try:  look there",
        "  at suites/one/test_one.py:30",
    ]


def test_tests_that_fail_for_one_cause_are_one_trouble():
    same = [failed(f"test_{number}", ASSERTION, cause="one") for number in range(40)]
    found = troubles([*same, failed("test_other", OF_OURS, cause="two")])

    lines = told(found[0], {}, Path("x"))

    assert [len(trouble.tests) for trouble in found] == [40, 1]
    assert any("the same in 39 more: test_1," in line for line in lines)


def test_however_much_there_is_to_say_it_is_short():
    text = "\n".join(["E   " + "word " * 60] * 50)
    record = failed(
        "test_long", text, cause="c", blame=Blame.ASSERTION, rules=("PRE-COMP-01", "PRE-COMP-03", "PRE-COMP-04")
    )
    others = [failed(f"test_{number}", text, cause="c") for number in range(50)]

    lines = told(troubles([record, *others])[0], {record.nodeid: "row\n" * 100}, Path("runs/x"))

    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert lines[-2].startswith("  again:")


@pytest.mark.parametrize(("more", "short"), [((), True), (("-v",), False), (("--tb=long",), False)])
def test_the_run_tells_it_short_unless_more_is_asked_for(
    more: tuple[str, ...],
    short: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "test_one.py").write_text("def test_one():\n    assert 1 + 1 == 3, 'so it is not'\n")
    monkeypatch.chdir(tmp_path)

    assert main(["run", "test_one.py", "-p", "no:cacheprovider", "--import-mode=importlib", *more]) == ExitCode.FAILED

    said = capsys.readouterr().out
    assert "so it is not" in said
    assert ("= what went wrong =" in said) is short
    assert ("= FAILURES =" in said) is not short
