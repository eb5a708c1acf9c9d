"""`fltlab shell`: steps one by one, each with what it did; what was typed becomes a test that runs."""

import io
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ExitCode
from harness.fleet.session import Session, completions
from harness.fleet.settings import LOCAL_GUEST, Settings

STACK = "observer@above, completion"


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return main(["shell", "--stack", STACK])


def test_a_session_is_typed_gone_back_in_and_saved_as_a_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    code = typed(
        monkeypatch,
        r"open f V:\a.txt access=rw disposition=create",
        "rread f length=5",
        "rule completion major=write do=complete status=0xC0000022",
        "write f text=hello",
        "write f text=again",
        "undo",
        "script",
        "exec echo from the guest",
        "seed nine",
        "seed 9",
        "save test_typed.py",
    )

    said = capsys.readouterr().out
    assert code == ExitCode.PASSED
    assert "CREATE a.txt (IRP)" in said
    assert "there is no step 'rread'; did you mean 'read'?" in said
    assert said.count("WRITE a.txt, 5 bytes at 0 (IRP)") == 3  # the first, the second, and the first under seed 9
    assert "forgotten: write f text=again" in said
    assert "  3 write f text=hello\n" in said
    assert "from the guest" in said
    assert "seed takes a number" in said
    assert main(["run", "test_typed.py", "--guest", LOCAL_GUEST, "--seed", "9", "-p", "no:cacheprovider"]) == 0
    assert "NtStatus.ACCESS_DENIED" in (tmp_path / "test_typed.py").read_text()


def test_a_step_that_is_refused_is_not_kept_and_one_that_waits_is(tmp_path: Path):
    with Session(Settings((LOCAL_GUEST,)), "pending", tmp_path) as session:
        session.do(r"open f V:\a.txt access=rw disposition=create options=overlapped")
        refused = session.do("rule pending major=read do=no-such-thing")
        session.do("rule pending major=write do=pend mechanism=queue hold=yes")
        waits = session.do("write f length=512 async=w")

    assert refused.step is None
    assert refused.wrong is not None
    assert waits.step is not None
    assert [line.split()[0] for line in session.lines] == ["open", "rule", "write"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("clo", ["close", "close-section"]),
        ("open f V:\\a acc", ["access="]),
        ("lock f sh", ["shared"]),
        ("rule com", ["completion"]),
        ("spawn one rea", ["read"]),
        ("nonsense x", []),
    ],
)
def test_a_half_typed_step_is_completed_from_the_grammar(line: str, words: list[str], tmp_path: Path):
    with Session(Settings((LOCAL_GUEST,)), STACK, tmp_path) as session:
        assert [*completions(session, line, line.rfind(" ") + 1)] == words


@pytest.mark.parametrize(
    ("words", "said"), [(("--guest", "nosuch"), "no guest called"), (("--stack", "nosuch"), "no driver")]
)
def test_what_is_not_there_is_told_before_the_first_step(
    words: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    assert main(["shell", *words]) == ExitCode.USAGE

    assert said in capsys.readouterr().err
