"""A conversation that was recorded can be had again without its guest, has no secret in it, and shows damage."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.guest import REFERENCE_LOCAL, Guest, LocalGuest
from harness.guest.command import CommandResult
from harness.guest.conversation import HEADER, VERSION, Recorder, begin, opened, read_recording, recording, seal
from harness.guest.errors import CommandTimeout, NoAnswer, WinRmFault
from harness.guest.replayed import NOWHERE, Conversation, NotRecorded, ReplayedSession

FACTS: dict[str, Any] = {"guests": {"g": "reference-local"}}


def replayed(directory: Path, name: str = "the guest 'g'") -> Guest:
    exchanges = [one for one in read_recording(directory).exchanges if one.guest == name]
    return Guest("g", REFERENCE_LOCAL, NOWHERE, session=ReplayedSession(Conversation(exchanges), name))


def said(directory: Path, *exchanges: tuple[str, bytes | None, CommandResult | Exception], password: str = "") -> Path:
    """A recording of these: command, standard input, and what came of it."""
    recorder = Recorder(directory / "conversation-1.jsonl")
    for command, stdin, outcome in exchanges:
        try:
            with recorder.exchange("the guest 'g'", password, command, stdin) as answer:
                answer.append(given(outcome))
        except Exception as error:
            if error is not outcome:
                raise
    recorder.close()
    seal(directory, "run", FACTS)
    return directory


def given(outcome: CommandResult | Exception) -> CommandResult:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def answer(stdout: bytes, code: int = 0) -> CommandResult:
    return CommandResult("", code, stdout, b"err")


def test_a_guest_answers_again_what_it_answered(guest: LocalGuest, tmp_path: Path):
    directory = tmp_path / "kept"
    with recording(directory / "conversation-1.jsonl"):
        version = guest.run("ver")
        guest.put(b"content", r"C:\fltlab\kept.bin")
        identity = guest.identity()
    seal(directory, "run", FACTS)
    again = replayed(directory, f"the guest {guest.name!r}")

    assert again.run("ver").stdout == version.stdout
    again.put(b"other content, as signed on another machine", r"C:\fltlab\kept.bin")
    assert again.identity() == identity
    assert abs(again.host_time() - identity.time) < 60


def test_no_password_and_nothing_that_went_in_is_in_a_recording(guest: LocalGuest, tmp_path: Path):
    with recording(tmp_path / "conversation-1.jsonl"):
        guest.put(b"a driver of the user's", r"C:\fltlab\theirs.sys")
        guest.run(f"cmd.exe /c echo {guest.endpoint.password}")
    kept = (tmp_path / "conversation-1.jsonl").read_bytes()

    assert guest.endpoint.password.encode() not in kept
    assert b"<secret>" in kept
    assert b"a driver of the user's" not in kept


def test_output_that_is_no_text_is_kept_to_the_byte(tmp_path: Path):
    content = bytes(range(256)) * 5
    guest = replayed(said(tmp_path, ("type x", None, answer(content, 3))))

    result = guest.run("type x")
    assert (result.stdout, result.stderr, result.exit_code) == (content, b"err", 3)


def test_an_error_is_raised_again_with_what_it_said(tmp_path: Path):
    fault = WinRmFault("it refused", code=2150858843, subcode="w:x", details=("why",))
    directory = said(
        tmp_path,
        ("a", None, CommandTimeout("late", details=("| printed",))),
        ("b", None, fault),
        ("c", None, NoAnswer("gone")),
    )
    guest = replayed(directory)

    with pytest.raises(CommandTimeout, match=r"late\n  \| printed"):
        guest.run("a")
    with pytest.raises(WinRmFault) as caught:
        guest.run("b")
    assert caught.value.code == 2150858843
    with pytest.raises(NoAnswer, match="gone"):
        guest.run("c")


def test_the_same_command_is_answered_in_the_order_it_was_and_by_its_test_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recorder = Recorder(tmp_path / "conversation-1.jsonl")
    for test, stdout in (("a.py::one", b"1"), ("a.py::two", b"2"), ("a.py::two", b"3")):
        monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
        with recorder.exchange("the guest 'g'", "", "ask", None) as answered:
            answered.append(answer(stdout))
    recorder.close()
    seal(tmp_path, "run", FACTS)
    guest = replayed(tmp_path)

    assert [guest.run("ask").stdout for _ in range(3)] == [b"2", b"3", b"1"]


def test_what_was_not_asked_then_says_what_was(tmp_path: Path):
    guest = replayed(said(tmp_path, ("fltmc.exe volumes", None, answer(b""))))

    with pytest.raises(NotRecorded) as caught:
        guest.run("fltmc.exe filters")

    assert "asked:    fltmc.exe filters" in str(caught.value)
    assert "after 0 exchanges" in str(caught.value)


def test_a_file_that_did_not_arrive_then_does_not_arrive_now(tmp_path: Path):
    stream = b"3 " + b"a" * 64 + b" C:\\x.bin\nabc"
    guest = replayed(said(tmp_path, (REFERENCE_LOCAL.receive, stream, answer(b"b" * 64 + b"  C:\\x.bin\n"))))

    with pytest.raises(Exception, match="did not arrive as it was sent"):
        guest.put(b"abc", r"C:\x.bin")


# -- one that cannot be used


def test_a_packed_recording_is_one_file_that_is_read_like_its_directory(tmp_path: Path):
    directory = said(tmp_path / "kept", ("ver", None, answer(b"Windows")))
    packed = tmp_path / "kept.tar.xz"

    with opened(packed, tmp_path / "scratch") as unpacked:
        assert read_recording(unpacked) == read_recording(directory)


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-20], lambda text: text.replace("Windows", "Linux  "), lambda _: ""]
)
def test_a_recording_that_was_damaged_is_refused(tmp_path: Path, spoil: Any):
    path = said(tmp_path, ("ver", None, answer(b"Windows"))) / "conversation-1.jsonl"
    path.write_text(spoil(path.read_text()))

    with pytest.raises(ConfigurationError, match=r"is damaged(.|\n)*conversation-1\.jsonl"):
        read_recording(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 1, "what": "run"}'])
def test_a_header_that_cannot_be_read_is_refused(tmp_path: Path, text: str):
    (tmp_path / HEADER).write_text(text)

    with pytest.raises(ConfigurationError, match=rf"is damaged(.|\n)*{HEADER}"):
        read_recording(tmp_path)


def test_a_recording_of_another_version_says_which(tmp_path: Path):
    said(tmp_path, ("ver", None, answer(b"Windows")))
    header = json.loads((tmp_path / HEADER).read_text())
    (tmp_path / HEADER).write_text(json.dumps({**header, "version": VERSION + 1}))

    with pytest.raises(ConfigurationError, match=f"of version {VERSION + 1}, and this fltlab reads version {VERSION}"):
        read_recording(tmp_path)


def test_a_directory_that_is_none_and_a_file_that_is_none_say_so(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="is no recording, or one that was not finished"):
        read_recording(tmp_path)
    (tmp_path / "x.tar.xz").write_bytes(b"no archive")
    with (
        pytest.raises(ConfigurationError, match=r"is damaged(.|\n)*x\.tar\.xz"),
        opened(tmp_path / "x.tar.xz", tmp_path),
    ):
        pass
    with pytest.raises(ConfigurationError, match="there is no recording"), opened(tmp_path / "none", tmp_path):
        pass


def test_a_directory_with_something_in_it_is_not_recorded_into(tmp_path: Path):
    (tmp_path / "theirs").write_text("")

    with pytest.raises(ConfigurationError, match="is not empty"):
        begin(tmp_path)
