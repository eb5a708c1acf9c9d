r"""`lab.service(port)` and `lab.beside(script)`: programs beside the I/O of a test.

A service is played by a second fltprobe: it is connected to a communication port of the driver under test, and answers
its messages by rules. It begins with the next `lab.io`, and ends with the test, or earlier where the test wants so.
"""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from harness.errors import TestError
from harness.guest.background import BackgroundProgram, ProgramUnderTest
from harness.guest.probe import PROGRAM
from harness.minifilter.probe import PortMessage, ProbeResult, parse_probe
from harness.nt import nt_success

if TYPE_CHECKING:
    from collections.abc import Sequence

Start = Callable[[ProgramUnderTest], BackgroundProgram]

PATIENCE_MS = 3_600_000
"""The deadline of the steps of a service: it waits as long as the test lasts."""
_PORT = "port"
_numbers = count(1)


class Beside:
    """A script that fltprobe runs in a process of its own, beside `lab.io`."""

    def __init__(self, start: Start, script: str) -> None:
        self._start = start
        self._script = script
        self._program: BackgroundProgram | None = None
        self._result: ProbeResult | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started, and is not known to have ended."""
        return self._program is not None and self._result is None

    def start(self) -> None:
        """Start it, unless it was."""
        if self._program is None:
            self._program = self._start(ProgramUnderTest(PROGRAM, self._script.encode()))

    def result(self) -> ProbeResult:
        """Wait for its end; the results of its steps."""
        if self._result is None:
            self.start()
            assert self._program is not None
            ended = self._program.wait()
            self._result = parse_probe(ended.output)
            if self._result.error:
                raise TestError(f"the script beside the I/O stopped: {self._result.error}")
        return self._result

    def kill(self) -> None:
        """Terminate its process as it is; it has no result."""
        if self._program is not None:
            self._program.kill()
        self._program, self._result = None, ProbeResult(0, 0, (), {}, 1, None)


class Answer:
    """The messages that an answer is for; its methods say what the service does with them."""

    def __init__(self, add: "Callable[[Sequence[str]], None]", match: "Sequence[str]") -> None:
        self._add = add
        self._match = match

    def reply(self, data: bytes = b"", *, status: int = 0, delay: int = 0) -> None:
        """Answer with these bytes and this NTSTATUS, `delay` milliseconds later."""
        words = [f"data={data.hex()}"] if data else []
        words += [f"status=0x{int(status):X}"] if status else []
        words += [f"delay={delay}"] if delay else []
        self._add([*self._match, *words])

    def stay_silent(self) -> None:
        """Never answer."""
        self._add([*self._match, "silent"])


class PlayedService:
    """The user-mode service of a driver, played: what it answers is said before it begins."""

    def __init__(self, start: Start, signal: Callable[[str], None], name: str, context: bytes, threads: int) -> None:
        self._start = start
        self._signal = signal
        self._name = name
        self._context = context
        self._threads = threads
        self._answers: list[str] = []
        self._number = next(_numbers)
        self._beside: Beside | None = None

    def when(self, contains: bytes | str = b"", *, at: int | None = None, max: int | None = None) -> Answer:  # noqa: A002
        """Begin an answer to messages that have these bytes (text is UTF-16), anywhere or at an offset; `max` of them.

        The first one that fits counts. A message that none fits is answered with zeros.
        """
        wanted = contains.encode("utf-16-le") if isinstance(contains, str) else contains
        words = [f"contains={wanted.hex()}"] if wanted else []
        words += [f"at={at}"] if at is not None else []
        words += [f"max={max}"] if max is not None else []
        return Answer(self._add, words)

    def otherwise(self) -> Answer:
        """Begin an answer to all other messages."""
        return self.when()

    @property
    def is_running(self) -> bool:
        """Whether it is connected."""
        return self._beside is not None and self._beside.is_running

    @property
    def script(self) -> str:
        """The script of its fltprobe."""
        context = f" context={self._context.hex()}" if self._context else ""
        return "\n".join(
            [
                f"deadline {PATIENCE_MS}",
                f'connect {_PORT} "{self._name}"{context}',
                *(f"answer {_PORT} {answer}".rstrip() for answer in self._answers),
                f"serve {_PORT} threads={self._threads}",
                f"signal {self.ready}",
                f"await {self._stop}",
                f"disconnect {_PORT}",
                "",
            ]
        )

    @property
    def ready(self) -> str:
        """The event that it sets when it serves."""
        return f"fltlab-ready-{self._number}"

    @property
    def _stop(self) -> str:
        return f"fltlab-stop-{self._number}"

    def start(self) -> None:
        """Begin to serve, unless it does."""
        if self._beside is None:
            self._beside = Beside(self._start, self.script)
            self._beside.start()

    def stop(self) -> tuple[PortMessage, ...]:
        """Disconnect and end; the messages that it took. TestError if it could not connect."""
        if self._beside is None:
            return ()
        if self._beside.is_running:
            self._signal(self._stop)
        result = self._beside.result()
        connected = result.all("connect")
        if connected and not nt_success(connected[0].status):
            raise TestError(f"the service could not connect to {self._name}: {connected[0]}")
        return result.ports.get(_PORT, ())

    @property
    def messages(self) -> tuple[PortMessage, ...]:
        """The messages that it took, in their order; it ends with this question."""
        return self.stop()

    def kill(self) -> None:
        """Terminate its process as it is: the death of a service."""
        if self._beside is not None:
            self._beside.kill()

    def _add(self, words: "Sequence[str]") -> None:
        if self._beside is not None:
            raise TestError("the service runs already: its answers are said before the first lab.io")
        self._answers.append(" ".join(words))
