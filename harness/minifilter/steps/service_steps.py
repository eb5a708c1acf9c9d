"""The script as the user-mode service or client of a driver, on the driver's own communication ports."""

from harness.minifilter.steps.script_step import Named, ScriptStep, line, plain


def connect(port: str, name: str, *, context: bytes | None = None) -> ScriptStep:
    r"""FilterConnectCommunicationPort to `\name`."""
    return line("connect", port, name, context=context)


def disconnect(port: Named) -> ScriptStep:
    """NtClose."""
    return line("disconnect", port)


def send_message(port: Named, *, message: bytes | None = None, room: int | None = None) -> ScriptStep:
    """FilterSendMessage, with room for an answer of so many bytes."""
    return line("send-message", port, message=message, room=room)


def get_message(port: Named, *, timeout: int | None = None) -> ScriptStep:
    """FilterGetMessage; TIMEOUT when none came in so many ms."""
    return line("get-message", port, timeout=timeout)


def reply(port: Named, *, message: bytes | None = None, status: int | None = None) -> ScriptStep:
    """FilterReplyMessage to the last message of `get_message`."""
    return line("reply", port, message=message, status=status)


def answer(
    port: Named,
    *,
    contains: bytes | None = None,
    at: int | None = None,
    message: bytes | None = None,
    status: int | None = None,
    delay: int | None = None,
    max_: int | None = None,
    silent: bool = False,
) -> ScriptStep:
    """How `serve` answers messages that contain these bytes, anywhere or `at` an offset.

    With a `message` (zeros by itself), after `delay` ms, or never (`silent`). At most `max_` of them; the first answer
    that fits counts.
    """
    return line(
        "answer",
        port,
        contains=contains,
        at=at,
        message=message,
        status=status,
        delay=delay,
        max_=max_,
        plain=plain(silent=silent),
    )


def serve(port: Named, *, threads: int | None = None) -> ScriptStep:
    """Threads that take messages and answer them, until the connection ends."""
    return line("serve", port, threads=threads)


def expect_messages(port: Named, *, count: int, timeout: int | None = None) -> ScriptStep:
    """Wait until so many messages were taken."""
    return line("expect-messages", port, count=count, timeout=timeout)
