"""The session keeps its shell, runs nothing twice, and says what became of a command that it lost sight of."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from harness.guest import Endpoint
from harness.guest.errors import CommandTimeout, ConnectionLost, CredentialsRefused, NoAnswer, ShellGone, Unreachable
from harness.guest.winrm import KEPT_COMMANDS, WinRmSession
from harness.machine.deadlines import Wait
from harness.reference.guestd import shells
from harness.reference.guestd.authentication import Authenticator
from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.http import Connection, Request, Response, Server
from harness.reference.guestd.shells import Command
from harness.reference.guestd.wsman import Service
from tests.limits import HANG, Impatient, until
from tests.ports import port_without_a_listener

PASSWORD = "a password of the test"


@dataclass
class Played:
    """A guest's service in this process: what its commands do is the test's, and so is what breaks."""

    run: Callable[[Command], int] = lambda command: 0
    ran: list[str] = field(default_factory=list)
    connections: Callable[[], list[socket.socket]] = list
    breaks: Callable[[Request], Response | None] = lambda request: None
    service: Service = field(init=False)
    port: int = 0

    def __post_init__(self) -> None:
        self.service = Service(Authenticator(Configuration(PASSWORD, "boot")), "played", self._run)

    def _run(self, command: Command) -> int:
        self.ran.append(command.line)
        return self.run(command)

    def handle(self, request: Request, connection: Connection) -> Response:
        return self.breaks(request) or self.service.handle(request, connection)

    def forget_shells(self) -> None:
        for shell in list(self.service._shells.values()):
            shell.close()
        self.service._shells.clear()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(port=self.port, user="fltlab", password=PASSWORD)


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    with Server("127.0.0.1", 0, played.service.refuse, played.handle) as server:
        played.port = server.port
        played.connections = lambda: list(server._open)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield played
        played.forget_shells()
        server.shutdown()
        thread.join()


@pytest.fixture
def session(played: Played) -> Iterator[WinRmSession]:
    with WinRmSession(played.endpoint, "the played guest", Impatient(only={Wait.WINRM_ANSWER: 3.0})) as session:
        yield session


def until_cancelled(command: Command) -> int:
    command.out("begun\n")
    return len(command.read_all())


def on(action: str, answer: Callable[[], Response | None]) -> Callable[[Request], Response | None]:
    """Something that happens at each request of one kind."""
    return lambda request: answer() if f"shell/{action}<".encode() in request.body else None


def test_many_commands_need_one_shell_at_a_time(played: Played, session: WinRmSession):
    played.run = lambda command: len(played.ran)

    codes = [session.run("count").exit_code for _ in range(2 * KEPT_COMMANDS + 1)]

    assert codes == list(range(1, 2 * KEPT_COMMANDS + 2))
    assert len(played.service._shells) == 1


def test_a_shell_that_is_gone_is_replaced_and_the_command_runs_once(played: Played, session: WinRmSession):
    session.run("first")
    played.forget_shells()

    session.run("second")

    assert played.ran == ["first", "second"]


def test_a_guest_that_forgets_each_shell_at_once_is_not_asked_for_ever(played: Played, session: WinRmSession):
    def forget() -> None:
        played.forget_shells()

    played.breaks = on("Command", forget)

    with pytest.raises(ShellGone):
        session.run("never")
    assert played.ran == []


def test_a_shell_that_is_closed_under_a_command_is_told_and_nothing_runs_again(played: Played, session: WinRmSession):
    def forget() -> None:
        until(lambda: played.ran, "the command")
        played.forget_shells()

    played.run, played.breaks = until_cancelled, on("Receive", forget)

    with pytest.raises(ConnectionLost, match="was closed while a command ran in it") as error:
        session.run("write the disk")

    assert "command: write the disk" in str(error.value)
    assert played.ran == ["write the disk"]


def test_a_command_that_does_not_end_is_ended_and_what_it_printed_is_told(played: Played, session: WinRmSession):
    ended = threading.Event()

    def run(command: Command) -> int:
        try:
            return until_cancelled(command)
        finally:
            ended.set()

    played.run = run

    with pytest.raises(CommandTimeout, match="'never ends' on the played guest") as error:
        session.run("never ends", timeout=2.0)

    assert "| begun" in str(error.value)
    assert ended.wait(HANG)
    played.run = lambda command: 7
    assert session.run("the next").exit_code == 7


def test_a_command_that_does_not_read_its_input_is_told_and_nothing_is_sent_twice(
    played: Played, session: WinRmSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shells, "MAX_INPUT", 1 << 16)
    released = threading.Event()
    played.run = lambda command: int(released.wait(HANG))

    with pytest.raises(CommandTimeout, match="does not read its standard input"):
        session.run("deaf", bytes(1 << 20), timeout=HANG)

    released.set()
    assert played.ran == ["deaf"]


def test_an_answer_that_is_not_winrms_is_told(played: Played, session: WinRmSession):
    played.breaks = lambda request: Response(200, b"<html>a proxy</html>", "text/html")

    with pytest.raises(ConnectionLost, match="did not answer as WinRM does"):
        session.run("hello")


def test_a_connection_that_breaks_while_a_command_runs_is_lost_and_the_command_not_run_again(
    played: Played, session: WinRmSession
):
    begun = threading.Event()

    def run(command: Command) -> int:
        begun.set()
        return until_cancelled(command)

    def broken() -> None:
        assert begun.wait(HANG)
        for connection in played.connections():
            connection.shutdown(socket.SHUT_RDWR)

    played.run, played.breaks = run, on("Receive", broken)

    with pytest.raises(ConnectionLost, match="broke when it was asked to receive output") as error:
        session.run("write the disk")

    assert not isinstance(error.value, NoAnswer)
    assert "is not run again" in str(error.value)
    assert played.ran == ["write the disk"]


def test_a_guest_that_takes_the_connection_and_says_nothing_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(port=silent.getsockname()[1], user="fltlab", password=PASSWORD)
        with (
            WinRmSession(
                endpoint, deadlines=Impatient(only={Wait.WINRM_ANSWER: 1.0, Wait.WINRM_GRACE: 1.0})
            ) as session,
            pytest.raises(NoAnswer, match="stopped answering"),
        ):
            session.run("hello", timeout=0.5)


def test_a_port_that_nobody_listens_on_is_unreachable():
    with (
        port_without_a_listener() as port,
        WinRmSession(Endpoint(port=port, user="u", password=PASSWORD)) as session,
        pytest.raises(Unreachable) as error,
    ):
        session.run("hello")
    assert f"127.0.0.1:{port}" in str(error.value)


def test_no_error_and_no_note_of_a_request_has_the_password(played: Played):
    endpoint = Endpoint(port=played.port, user="fltlab", password="another password")
    with WinRmSession(endpoint) as session, pytest.raises(CredentialsRefused) as error:
        session.run("hello")

    told = f"{error.value} {error.value!r} {session.exchanges!r} {list(session.exchanges)} {endpoint} {endpoint!r}"
    assert "another password" not in told


def test_what_was_asked_is_noted_in_order(played: Played, session: WinRmSession):
    session.run("hello", b"input")

    assert [note.purpose for note in session.exchanges] == [
        "open a shell",
        "run 'hello'",
        "send standard input",
        "receive output",
    ]
    assert {note.outcome for note in session.exchanges} == {"answered"}
