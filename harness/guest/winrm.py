"""WinRM with one kept shell: two to four requests a command, where pywinrm's Session needs five and a new connection.

A command is never run twice. If the shell is gone before a command has begun (the guest closed it, or it idled too
long) it is opened again; if the connection breaks after a command was handed over, ConnectionLost says that it may
have run.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Self
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError

import requests
import xmltodict
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from harness.guest.command import CommandResult, shorten
from harness.guest.connections import BreakableAdapter
from harness.guest.conversation import recorder
from harness.guest.endpoint import Authentication, Endpoint
from harness.guest.errors import (
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    CredentialsRefused,
    NoAnswer,
    ShellGone,
    Unreachable,
    WinRmFault,
)
from harness.guest.exchange import Exchanges
from harness.guest.pywinrm import (
    InvalidCredentialsError,
    Protocol,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from harness.machine.deadlines import Deadline, Deadlines, Wait

ENVELOPE = 500 * 1024
"""MaxEnvelopeSizekb of a Windows that nobody has configured."""
STDIN_CHUNK = (ENVELOPE - 8 * 1024) // 4 * 3
OUTPUT_LIMIT = 256 << 20
"""Bytes that one command may print."""
IDLE_SECONDS = 60
"""http.sys drops a connection that was idle for two minutes; one older than this is not used again."""
KEPT_COMMANDS = 20
"""Windows lets a shell have 25 commands at a time; those that have ended count until they are signalled."""

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_SHELL_GONE = frozenset({2150858843, 2150858752, 2150859082, 2150859084})
# UNEXPECTED_SELECTORS, RESOURCE_NOT_FOUND, SHELL_ALREADY_CLOSED, SHELL_INVALID_SHELL_HANDLE (wsmerror.h)


_NO_WINRM = (
    WinRMTransportError,
    WinRMError,
    ParseError,
    ExpatError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
    StopIteration,
)
"""What pywinrm makes of an answer that is none of WinRM."""


class _Protocol(Protocol):
    """pywinrm's protocol, with answers as large as Windows gives them."""

    def build_wsman_header(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        header: dict[str, Any] = super().build_wsman_header(*args, **kwargs)
        header["env:Header"]["w:MaxEnvelopeSize"]["#text"] = str(ENVELOPE)
        return header

    def interrupt_command(self, shell_id: str, command_id: str) -> None:
        """Send a command ctrl-c, which it may act on; `cleanup_command` terminates it."""
        header = self.build_wsman_header(action=f"{SHELL}/Signal", resource_uri=f"{SHELL}/cmd", shell_id=shell_id)
        request = {"env:Envelope": header}
        body = {"@CommandId": command_id, "rsp:Code": f"{SHELL}/signal/ctrl_c"}
        request["env:Envelope"]["env:Body"] = {"rsp:Signal": body}
        self.send_message(xmltodict.unparse(request))


class WinRmSession:
    """A client of one endpoint, for one thread at a time. The connection is made with the first command."""

    def __init__(self, endpoint: Endpoint, name: str = "the guest", deadlines: Deadlines | None = None) -> None:
        self.deadlines = deadlines or Deadlines()
        self._hold = int(self.deadlines.seconds(Wait.WINRM_ANSWER))
        self._grace = int(self.deadlines.seconds(Wait.WINRM_GRACE))
        self.endpoint = endpoint
        self.name = name
        self._protocol: _Protocol | None = None
        self._shell: str | None = None
        self._ended: list[str] = []
        self._used = 0.0
        self.exchanges = Exchanges()
        self._adapter: BreakableAdapter | None = None
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self, command: str, stdin: bytes | None = None, timeout: float | Wait = Wait.GUEST_COMMAND
    ) -> CommandResult:
        """Run a command line in `cmd.exe` and wait for its end.

        `stdin` is given to it as it is and then ended; None leaves its standard input open. Raises CommandTimeout
        after `timeout` seconds, having told the guest to end the command.
        """
        kept = recorder()
        if kept is None:
            return self._run(command, stdin, timeout)
        with kept.exchange(self.name, self.endpoint.password, command, stdin) as answer:
            answer.append(self._run(command, stdin, timeout))
        return answer[0]

    def begin(self, command: str, stdin: bytes | None, timeout: float | Wait) -> str:
        """Begin a command line, give it its standard input, and do not wait for its end: its id."""
        deadline = Deadline(self.deadlines.of(timeout), f"'{shorten(command, 120)}' to begin on {self.name}")
        command_id = self._begin(command, deadline, console=stdin is None)
        for chunk, last in _chunks(stdin):
            self._send(command_id, chunk, deadline, end=last)
        return command_id

    def receive(self, command_id: str, seconds: float) -> tuple[bytes, bytes, int | None]:
        """What a command prints next, waiting for some so long, and its exit code if it has ended."""
        deadline = Deadline(max(1.0, seconds), f"what a command on {self.name} prints")
        try:
            stdout, stderr, code, done = self._call(
                "receive output", deadline, "get_command_output_raw", self._shell, command_id
            )
        except WinRMOperationTimeoutError:
            return b"", b"", None
        return stdout, stderr, code & 0xFFFFFFFF if done else None

    def interrupt(self, command_id: str) -> None:
        """Send a command ctrl-c."""
        deadline = Deadline(self._grace, "the command to be interrupted")
        self._call("interrupt the command", deadline, "interrupt_command", self._shell, command_id)

    def terminate(self, command_id: str) -> None:
        """End a command, whatever it says."""
        self._terminate(command_id)

    def another(self) -> "WinRmSession":
        """A session of its own with the same guest."""
        return WinRmSession(self.endpoint, self.name, self.deadlines)

    def host_time(self) -> float:
        """The host's time when the guest last answered, about: seconds since 1970."""
        return time.time()

    def _run(self, command: str, stdin: bytes | None, timeout: float | Wait) -> CommandResult:
        deadline = Deadline(self.deadlines.of(timeout), f"'{shorten(command, 120)}' on {self.name} at {self.endpoint}")
        command_id = self._begin(command, deadline, console=stdin is None)
        try:
            for chunk, last in _chunks(stdin):
                self._send(command_id, chunk, deadline, end=last)
            result = self._collect(command, command_id, deadline)
        except CommandTimeout:
            self._terminate(command_id)
            raise
        except ShellGone as error:
            self._shell, self._ended = None, []
            raise ConnectionLost(
                f"the shell of {self.name} was closed while a command ran in it",
                details=(f"command: {shorten(command)}", "it may have run, and is not run again", *error.details),
            ) from error
        self._ended.append(command_id)
        return result

    def close(self) -> None:
        """Close the shell and the connection. A guest that does not answer any more is left as it is."""
        if self._protocol is not None and self._shell is not None:
            with contextlib.suppress(Unreachable, ConnectionLost, CredentialsRefused, WinRmFault, CommandTimeout):
                self._call("close the shell", Deadline(self._grace, "the shell to close"), "close_shell", self._shell)
        self.disconnect()

    def disconnect(self) -> None:
        """Drop the connection and forget the shell, without a word to the guest: it is not the same guest any more."""
        if self._protocol is not None:
            self._protocol.transport.close_session()
        self._protocol, self._shell, self._ended = None, None, []

    def now_at(self, endpoint: Endpoint) -> None:
        """Go on with another address or other credentials of the same guest: on a new connection, in the same shell."""
        self._drop_connection()
        self.endpoint = endpoint

    def break_off(self) -> None:
        """End whatever is being asked, and all that will be: the guest has died. From any thread.

        Connections that keys of NTLM belong to are left alone: there an answer that does not come is waited for.
        """
        self._broken = True
        if self._adapter is not None and self.endpoint.authentication is Authentication.BASIC:
            self._adapter.break_all()

    # -- one command

    def _begin(self, command: str, deadline: Deadline, *, console: bool) -> str:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._drop_connection()
        if len(self._ended) >= KEPT_COMMANDS:
            self._clean_up(deadline)
        known = self._shell
        try:
            return self._start(command, deadline, console=console)
        except ShellGone:
            # The guest refused before it ran anything. A shell that was opened for this very command is not retried.
            if known is None:
                raise
            self._shell, self._ended = None, []
            return self._start(command, deadline, console=console)

    def _start(self, command: str, deadline: Deadline, *, console: bool) -> str:
        if self._shell is None:
            self._shell = str(self._call("open a shell", deadline, "open_shell", codepage=65001))
        purpose = f"run '{shorten(command, 120)}'"
        return str(self._call(purpose, deadline, "run_command", self._shell, command, console_mode_stdin=console))

    def _send(self, command_id: str, chunk: bytes, deadline: Deadline, *, end: bool) -> None:
        try:
            self._call("send standard input", deadline, "send_command_input", self._shell, command_id, chunk, end=end)
        except WinRMOperationTimeoutError as error:  # how much of it was taken is not told: never sent again
            raise CommandTimeout(
                f"{deadline.waiting_for} does not read its standard input", details=(f"waited {self._hold} s at most",)
            ) from error

    def _collect(self, command: str, command_id: str, deadline: Deadline) -> CommandResult:
        out, err, exit_code, done = bytearray(), bytearray(), 0, False
        while not done:
            try:
                stdout, stderr, exit_code, done = self._call(
                    "receive output", deadline, "get_command_output_raw", self._shell, command_id
                )
            except WinRMOperationTimeoutError:
                if deadline.expired:
                    raise _late(deadline, bytes(out), bytes(err)) from None
                continue
            out += stdout
            err += stderr
            if len(out) + len(err) > OUTPUT_LIMIT:
                self._terminate(command_id)
                raise CommandFailed(
                    f"a command on {self.name} printed more than {OUTPUT_LIMIT >> 20} MiB",
                    details=(f"command: {shorten(command)}", f"it begins: {bytes(out[:200])!r}"),
                    hint="files of this size go over SFTP or on a CD",
                )
            if not done and deadline.expired:
                raise _late(deadline, bytes(out), bytes(err))
        return CommandResult(command, exit_code & 0xFFFFFFFF, bytes(out), bytes(err))

    def _terminate(self, command_id: str) -> None:
        """Tell the guest to end a command; whether it still can is not ours to wait for."""
        if self._protocol is None or self._shell is None:
            return
        brief = Deadline(self._grace, "the command to be ended")
        with contextlib.suppress(Unreachable, ConnectionLost, WinRmFault, CommandTimeout, WinRMOperationTimeoutError):
            self._call("end the command", brief, "cleanup_command", self._shell, command_id)

    def _clean_up(self, deadline: Deadline) -> None:
        """Let go of the commands that have ended: a new shell costs one request more than signalling one of them."""
        shell, self._shell, self._ended = self._shell, None, []
        if shell is not None:
            with contextlib.suppress(ShellGone):
                self._call("close the shell", deadline, "close_shell", shell, close_session=False)

    # -- one request

    def _call(self, purpose: str, deadline: Deadline, method: str, *arguments: Any, **options: Any) -> Any:
        """Make one request of pywinrm, and turn whatever goes wrong into an error that says what it means."""
        if deadline.expired:
            raise _late(deadline, b"", b"")
        protocol = self._connected()
        wait = max(1, min(self._hold, int(deadline.remaining)))
        protocol.operation_timeout_sec = wait
        protocol.transport.read_timeout_sec = wait + self._grace
        try:
            assert self._adapter is not None
            with self.exchanges.noting(purpose), self._adapter.ending_after(wait + 2 * self._grace):
                self._secure(protocol)
                answer = getattr(protocol, method)(*arguments, **options)
        except WinRMOperationTimeoutError:
            self._used = time.monotonic()
            raise
        except InvalidCredentialsError as error:
            self._drop_connection()
            raise CredentialsRefused(
                f"{self.name} refused the password of user {self.endpoint.user!r}",
                details=(f"tried to {purpose} at {self.endpoint}", "the guest answered HTTP 401"),
                hint="the guest's credentials are in its folder of the run; a fork has its own",
            ) from error
        except WSManFaultError as error:
            raise self._fault(purpose, error) from error
        except requests.exceptions.RequestException as error:
            self._drop_connection()
            raise self._lost(purpose, deadline, error) from error
        except _NO_WINRM as error:
            self._drop_connection()
            raise ConnectionLost(
                f"{self.name} did not answer as WinRM does when asked to {purpose}",
                details=(f"at {self.endpoint}", f"{type(error).__name__}: {error}"),
            ) from error
        self._used = time.monotonic()
        return answer

    def _connected(self) -> _Protocol:
        if self._protocol is None:
            end = self.endpoint
            trusted = str(end.certificate) if end.certificate else "legacy_requests"
            self._protocol = _Protocol(
                end.url,
                transport="ntlm" if end.authentication is Authentication.NTLM else "basic",
                username=end.user,
                password=end.password,
                server_cert_validation="validate" if end.certificate else "ignore",
                ca_trust_path=trusted,
                message_encryption="never",  # until the connection is one of our adapter's: see _secure
                read_timeout_sec=self._hold + self._grace,
                operation_timeout_sec=self._hold,
                proxy=None,
            )
            self._adapter = BreakableAdapter()
            session = self._protocol.transport.build_session()
            session.trust_env = False  # no proxy leads to a guest: the environment would be searched at every request
            for scheme in ("http://", "https://"):
                session.mount(scheme, self._adapter)
            if self._broken and end.authentication is Authentication.BASIC:
                self._adapter.break_all()
        return self._protocol

    def _secure(self, protocol: _Protocol) -> None:
        """Begin the encryption of messages, whose keys belong to a connection: where NTLM goes over plain HTTP."""
        transport = protocol.transport
        plain = self.endpoint.url.lower().startswith("http://")
        if self.endpoint.authentication is Authentication.NTLM and plain and transport.encryption is None:
            transport.setup_encryption(transport.build_session())

    def _drop_connection(self) -> None:
        """End the connection; the shell outlives it, but the keys of NTLM do not."""
        if self._protocol is not None:
            self._protocol.transport.close_session()
            self._protocol = None

    def _fault(self, purpose: str, error: Any) -> WinRmFault:
        told, reason = str(error.wsman_fault_code or 0), str(error.reason or "").strip()
        code = int(told) & 0xFFFFFFFF if told.isdecimal() and len(told) < len(str(1 << 64)) else 0
        subcode = str(error.fault_subcode or error.fault_code or "")
        kind = ShellGone if code in _SHELL_GONE else WinRmFault
        return kind(
            f"{self.name} refused to {purpose}",
            code=code,
            subcode=subcode,
            details=(
                f"at {self.endpoint}",
                f"fault {subcode} {code} (0x{code:08X}): {reason}",
            ),
        )

    def _lost(self, purpose: str, deadline: Deadline, error: requests.exceptions.RequestException) -> Exception:
        where, what = f"at {self.endpoint}", f"last seen: {shorten(_innermost(error))}"
        if _never_connected(error):
            return Unreachable(
                f"{self.name} cannot be reached over WinRM",
                details=(f"tried to {purpose} {where}", what),
                hint="is the guest running, and the port the one that is forwarded to its 5985?",
            )
        if isinstance(error, requests.exceptions.Timeout):
            return NoAnswer(
                f"{self.name} stopped answering WinRM when asked to {purpose}",
                details=(where, f"no answer for {self.answer_seconds(deadline)} s; what was asked may have run", what),
            )
        return ConnectionLost(
            f"the connection to {self.name} broke when it was asked to {purpose}",
            details=(where, "what was asked may have run, and is not run again", what),
        )

    def answer_seconds(self, deadline: Deadline) -> int:
        """How long one answer may take, for messages."""
        return min(self._hold, int(deadline.seconds)) + self._grace


def _chunks(stdin: bytes | None) -> Iterator[tuple[bytes, bool]]:
    if stdin is None:
        return
    starts = range(0, len(stdin), STDIN_CHUNK) or range(1)
    for start in starts:
        yield stdin[start : start + STDIN_CHUNK], start + STDIN_CHUNK >= len(stdin)


def _late(deadline: Deadline, out: bytes, err: bytes) -> CommandTimeout:
    printed = [line for line in (out + err).decode("utf-8", errors="replace").splitlines() if line.strip()][-10:]
    return CommandTimeout(
        f"waited {deadline.seconds:g} s for {deadline.waiting_for}",
        details=(f"it had printed {len(out)} bytes, and {len(err)} of errors", *(f"| {line}" for line in printed)),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        cause = pending.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        further = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        pending += [item for item in further if isinstance(item, BaseException)]


def _never_connected(error: BaseException) -> bool:
    return any(isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in _causes(error))


def _innermost(error: BaseException) -> str:
    deepest: list[BaseException] = [cause for cause in _causes(error) if isinstance(cause, OSError)]
    last = deepest[-1] if deepest else error
    return str(last) or type(last).__name__
