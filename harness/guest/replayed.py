"""A guest that is not there: what it answers is what one answered when a conversation was recorded.

Asked again in another order it still answers; asked something new it says so. A command is looked for in the exchanges
of the same test first, in the order they came.
"""

from collections.abc import Sequence

from harness.errors import FltLabError, GuestError
from harness.guest import errors
from harness.guest.command import CommandResult, shorten
from harness.guest.conversation import Exchange, Failure, current_test
from harness.guest.endpoint import Endpoint
from harness.guest.transfer import sent, sha256
from harness.guest.winrm import WinRmSession
from harness.machine.deadlines import Deadlines, Wait

NOWHERE = Endpoint(port=1, user="nobody", password="")


class NotRecorded(GuestError):
    """The host asked something that nobody asked when the conversation was recorded."""


class Conversation:
    """The exchanges with the guests of one name, each to be had once."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._left = list(exchanges)
        self.asked = 0

    @property
    def left(self) -> int:
        """How many were not asked for again."""
        return len(self._left)

    def take(self, test: str, command: str, stdin: str | None) -> Exchange:
        """The exchange that answers a command; NotRecorded if there is none."""
        same = [exchange for exchange in self._left if exchange.command == command]
        if not same:
            raise self._not_recorded(test, command)
        best = max(same, key=lambda exchange: (exchange.test == test, exchange.stdin == stdin))  # the first of equals
        self._left.remove(best)
        self.asked += 1
        return best

    def _not_recorded(self, test: str, command: str) -> NotRecorded:
        recorded = next((exchange.command for exchange in self._left if exchange.test == test), "nothing more")
        return NotRecorded(
            "the host asks what was not asked when this was recorded",
            details=(
                f"asked:    {shorten(command, 160)}",
                f"recorded: {shorten(recorded, 160)}",
                f"after {self.asked} exchanges" + (f", in {test}" if test else ""),
            ),
            hint="another fltlab asks other things: replay it with the one that made it",
        )


class ReplayedSession(WinRmSession):
    """A session that answers from a conversation and has no connection."""

    def __init__(self, conversation: Conversation, name: str, deadlines: Deadlines | None = None) -> None:
        super().__init__(NOWHERE, name, deadlines)
        self._conversation = conversation
        self._time = 0.0

    def run(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        del timeout
        digest = sha256(stdin) if stdin is not None else None
        exchange = self._conversation.take(current_test(), command, digest)
        self._time = exchange.at + exchange.seconds
        if exchange.failure is not None:
            raise _error(exchange.failure)
        if exchange.cut:
            raise NotRecorded("more was printed than a recording keeps", details=(f"command: {shorten(command)}",))
        stdout = exchange.stdout
        # Drivers are signed anew on each machine: what was written as it was sent is so now.
        for (_, before), (_, now) in zip(exchange.sent, sent(stdin or b""), strict=False):
            stdout = stdout.replace(before.encode(), now.encode())
        return CommandResult(command, exchange.exit_code, stdout, exchange.stderr)

    def begin(self, command: str, stdin: bytes | None, timeout: float | Wait) -> str:
        del stdin, timeout
        raise NotRecorded("a recording has no programs in the background", details=(f"command: {shorten(command)}",))

    def another(self) -> "ReplayedSession":
        return ReplayedSession(self._conversation, self.name, self.deadlines)

    def host_time(self) -> float:
        return self._time

    def close(self) -> None:
        """There is nothing to close."""

    def disconnect(self) -> None:
        """There is nothing to disconnect."""


def _error(failure: Failure) -> FltLabError:
    kind: type[GuestError] = getattr(errors, failure.kind, GuestError)
    if kind in (errors.WinRmFault, errors.ShellGone):
        fault = errors.ShellGone if kind is errors.ShellGone else errors.WinRmFault
        return fault(failure.message, code=failure.code, subcode="", details=failure.details)
    return kind(failure.message, details=failure.details)
