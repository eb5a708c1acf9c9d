"""Restarting a guest: what Windows says while it goes down is not what tells whether it came back."""

from typing import Any, Self

import pytest

from harness.errors import GuestError
from harness.guest import WINDOWS, Endpoint, Guest, GuestState
from harness.guest import restart as module
from harness.guest.command import CommandResult
from harness.guest.errors import CommandFailed, ConnectionLost, NoAnswer, WinRmFault
from harness.guest.identity import Identity

IDENTITY = b'{"boot_id": "before", "time": 0, "random": "00", "build": "10.0.26100", "caption": "Windows"}'


class Session:
    """A WinRM session of a guest that answers the command to restart with `answer`, or with an exit code."""

    answer: GuestError | int = 0

    def __init__(self, *_: object) -> None:
        self.deadlines = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, command: str, *_: object, **__: object) -> CommandResult:
        if command != module.COMMAND:
            return CommandResult(command, 0, IDENTITY, b"")
        if isinstance(self.answer, GuestError):
            raise self.answer
        return CommandResult(command, self.answer, b"", b"Access is denied.(5)")

    def another(self) -> Self:
        return self

    def disconnect(self) -> None:
        pass


def restarted(monkeypatch: pytest.MonkeyPatch, answer: GuestError | int) -> tuple[Guest, Identity]:
    monkeypatch.setattr(module, "wait_for_another_boot", lambda *_: Identity("after", 0.0, b"", {}))
    monkeypatch.setattr(Session, "answer", answer)
    session: Any = Session()
    guest = Guest("windows", WINDOWS, Endpoint(1, "nobody", ""), session=session)
    return guest, module.restart(guest)


@pytest.mark.parametrize(
    "answer",
    [
        0,
        ConnectionLost("the connection broke"),
        NoAnswer("it stopped answering"),
        WinRmFault("it refused", code=995, subcode="w:InternalError"),
    ],
    ids=["done", "broken", "silent", "fault"],
)
def test_a_guest_that_goes_down_before_it_has_answered_has_restarted(
    monkeypatch: pytest.MonkeyPatch, answer: GuestError | int
) -> None:
    guest, identity = restarted(monkeypatch, answer)

    assert identity.boot_id == "after"
    assert guest.state is GuestState.READY


def test_a_guest_that_does_not_let_itself_be_restarted_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandFailed) as caught:
        restarted(monkeypatch, 5)

    assert any("Access is denied" in line for line in caught.value.details)
