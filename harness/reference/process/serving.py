"""Answering requests, one line each, and going on from a point in copies of the process, so that it comes again."""

import os
from typing import TYPE_CHECKING, TextIO

from harness.nt import NtStatus
from harness.reference.process.copies import in_a_copy
from harness.reference.process.stops import fault
from harness.wire import kernel as wire
from harness.wire.codec import MalformedMessageError
from harness.wire.schedule import GoBack, KeepPoint

if TYPE_CHECKING:
    from harness.reference.process.host import Host


def serve(host: "Host", requests: TextIO, answers: TextIO) -> str:
    """Answer requests until there are no more, or one asks for the end; of a copy, to go back: that is returned."""
    while line := requests.readline():
        number, request = 0, None
        try:
            number, request = wire.opened_request(line)
            if isinstance(request, GoBack) and host.is_copy:
                return line
            answer = host.answer(request)
        except MalformedMessageError as error:
            answer = wire.Refused(int(NtStatus.INVALID_PARAMETER), f"this is no request: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            answer = fault(error)
        _send(answers, number, answer)
        if isinstance(request, wire.Shutdown):
            break
        kept = isinstance(request, KeepPoint) and isinstance(answer, wire.Done)
        if kept and not _go_on_in_copies(host, requests, answers):
            break
    return ""


def _go_on_in_copies(host: "Host", requests: TextIO, answers: TextIO) -> bool:
    """Let copies of this process speak in its place, each until it is gone back here; whether this one goes on then.

    A copy that dies takes this process with it: that is what became of the kernel.
    """
    back: tuple[int, GoBack] | None = None

    def go_on() -> str:
        host.is_copy = True
        if back is not None:
            _send(answers, back[0], host.went_back(back[1]))
        return serve(host, requests, answers)

    while back is None or back[1].keep:
        copied = in_a_copy(lambda write: write(go_on().encode()))
        if copied.exit_code:
            os._exit(copied.exit_code if copied.exit_code > 0 else 128 - copied.exit_code)
        if not copied.written:
            return False
        number, request = wire.opened_request(copied.written.decode())
        assert isinstance(request, GoBack)
        back = number, request
    _send(answers, back[0], host.went_back(back[1]))
    return True


def _send(answers: TextIO, number: int, answer: wire.Answer) -> None:
    answers.write(wire.envelope(number, answer))
    answers.flush()
