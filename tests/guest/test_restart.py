"""Restarting a guest: what Windows says while it goes down is not what tells whether it came back."""

from dataclasses import dataclass, field

import pytest

from harness.errors import GuestError
from harness.guest import restart as module
from harness.guest.errors import CommandFailed, ConnectionLost, NoAnswer, WinRmFault
from harness.guest.identity import Identity
from harness.machine.deadlines import Deadline


@dataclass
class Restarting:
    """A guest that answers the command to restart in its own way."""

    answer: GuestError | None = None
    body: None = None
    asked: list[str] = field(default_factory=list)

    def identity(self) -> Identity:
        return Identity("before", 0.0, b"", {})

    def succeed(self, command: str) -> None:
        self.asked.append(command)
        if self.answer is not None:
            raise self.answer

    def disconnect(self) -> None:
        self.asked.append("disconnect")


@pytest.fixture(autouse=True)
def another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    def comes(guest: Restarting, before: str, deadline: Deadline | None) -> Identity:
        assert before == "before"
        return Identity("after", 0.0, b"", {})

    monkeypatch.setattr(module, "wait_for_another_boot", comes)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ConnectionLost("the connection broke"),
        NoAnswer("it stopped answering"),
        WinRmFault("it refused", code=995, subcode="w:InternalError"),
    ],
    ids=["done", "broken", "silent", "fault"],
)
def test_a_guest_that_goes_down_before_it_has_answered_has_restarted(answer: GuestError | None) -> None:
    guest = Restarting(answer)

    assert module.restart(guest).boot_id == "after"  # type: ignore[arg-type]
    assert guest.asked == [module.COMMAND, "disconnect"]


def test_a_guest_that_does_not_let_itself_be_restarted_is_an_error() -> None:
    with pytest.raises(CommandFailed):
        module.restart(Restarting(CommandFailed("Access is denied.(5)")))  # type: ignore[arg-type]
