"""WS-Management: Identify, and the shell resource with Create, Command, Send, Receive, Signal and Delete."""

import base64
import binascii
import threading
import time
from collections.abc import Callable
from xml.etree import ElementTree as ET

from harness.reference.guestd.authentication import Authenticator, NotEncrypted, decrypt, encrypt
from harness.reference.guestd.complaints import complain
from harness.reference.guestd.http import Connection, Request, Response
from harness.reference.guestd.shells import Command, Shell
from harness.reference.guestd.soap import (
    IDENTITY,
    SHELL,
    TRANSFER,
    Fault,
    FaultKind,
    Message,
    element,
    parse,
    respond,
    respond_fault,
)

MAX_ENVELOPE = 512 * 1024
MAX_SHELLS = 100
ASKS_WHAT_THIS_IS = "wsmanidentify"
"""The header of who asks what this is, which everybody may."""
MAX_TIMEOUT = 300.0
"""Seconds that an answer is held back at most, whatever the client asks for."""
RESOURCE = f"{SHELL}/cmd"
STATE = f"{SHELL}/CommandState"


class Service:
    """Serves requests. `run` runs a command line as a `Command`."""

    def __init__(self, authenticator: Authenticator, hostname: str, run: Callable[[Command], int]) -> None:
        self._authenticator = authenticator
        self._hostname = hostname
        self._run = run
        self._shells: dict[str, Shell] = {}
        self._lock = threading.Lock()
        self._actions: dict[str, Callable[[Message], str]] = {
            f"{TRANSFER}/Create": self._create,
            f"{TRANSFER}/Delete": self._delete,
            f"{SHELL}/Command": self._command,
            f"{SHELL}/Send": self._send,
            f"{SHELL}/Receive": self._receive,
            f"{SHELL}/Signal": self._signal,
        }

    def refuse(self, head: Request, connection: Connection) -> Response | None:
        """The answer to a request that is none of ours, or of who has not proved who they are: its body is not read."""
        if not head.path.lower().startswith("/wsman"):
            return Response(404, content_type="text/plain")
        if head.method != "POST":
            return Response(405, content_type="text/plain")
        return None if ASKS_WHAT_THIS_IS in head.headers else self._authenticator.check(head, connection)

    def handle(self, request: Request, connection: Connection) -> Response:
        """Answer one HTTP request that `refuse` has let in."""
        if ASKS_WHAT_THIS_IS in request.headers:
            return (
                Response(200, self._identify()) if IDENTITY.encode() in request.body else self._authenticator.refuse()
            )
        if not request.body:
            return Response(200)  # the last leg of a handshake
        try:
            data = decrypt(request, connection)
        except NotEncrypted:
            return Response(400, content_type="text/plain")
        return encrypt(self._answer(data), request, connection)

    def _answer(self, data: bytes) -> Response:
        message_id = ""
        try:
            message = _read(data)
            message_id = message.message_id
            if not message.action and message.body.find(f"{{{IDENTITY}}}Identify") is not None:
                return Response(200, self._identify())
            body = self._action(message)(message)
            return Response(200, respond(f"{message.action}Response", message_id, body))
        except Fault as fault:
            return Response(500, respond_fault(fault, message_id, self._hostname))
        except Exception as error:  # noqa: BLE001 - the client gets a fault, the console the traceback
            complain()
            internal = Fault(FaultKind.INTERNAL, type(error).__name__)
            return Response(500, respond_fault(internal, message_id, self._hostname))

    def _action(self, message: Message) -> Callable[[Message], str]:
        action = self._actions.get(message.action)
        if action is None:
            raise Fault(FaultKind.ACTION_NOT_SUPPORTED, message.action)
        if message.resource.lower() != RESOURCE:
            raise Fault(FaultKind.BAD_RESOURCE, message.resource)
        return action

    def _identify(self) -> bytes:
        inside = (
            element("wsmid:ProtocolVersion", "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd")
            + element("wsmid:ProductVendor", "fltlab")
            + element("wsmid:ProductVersion", "fltlab reference guest")
        )
        return respond("", "", f'<wsmid:IdentifyResponse xmlns:wsmid="{IDENTITY}">{inside}</wsmid:IdentifyResponse>')

    # -- the shell resource

    def _create(self, message: Message) -> str:
        shell = Shell()
        wanted = message.body.find(f"{{{SHELL}}}Shell")
        if wanted is not None:
            shell.directory = (wanted.findtext(f"{{{SHELL}}}WorkingDirectory") or "").strip() or shell.directory
            for variable in wanted.iter(f"{{{SHELL}}}Variable"):
                shell.environment[variable.get("Name", "").upper()] = variable.text or ""
        with self._lock:
            if len(self._shells) >= MAX_SHELLS:
                self._forget_one()
            self._shells[shell.id] = shell
        return (
            "<x:ResourceCreated><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address>"
            f"<a:ReferenceParameters>{element('w:ResourceURI', RESOURCE)}<w:SelectorSet>"
            f"{element('w:Selector', shell.id, Name='ShellId')}</w:SelectorSet></a:ReferenceParameters>"
            f"</x:ResourceCreated><rsp:Shell>{element('rsp:ShellId', shell.id)}{element('rsp:ResourceUri', RESOURCE)}"
            f"{element('rsp:State', 'Connected')}{element('rsp:InputStreams', 'stdin')}"
            f"{element('rsp:OutputStreams', 'stdout stderr')}</rsp:Shell>"
        )

    def _forget_one(self) -> None:
        """Make room: the shell that was used longest ago is one that a client has left behind."""
        unused = [shell for shell in self._shells.values() if not shell.at_work]
        if not unused:
            raise Fault(FaultKind.TOO_MANY_SHELLS, MAX_SHELLS)
        del self._shells[min(unused, key=lambda shell: shell.used).id]

    def _shell(self, message: Message) -> Shell:
        name = message.selectors.get("ShellId")
        if name is None:
            raise Fault(FaultKind.BAD_SELECTOR, ", ".join(message.selectors) or "there is no ShellId")
        shell = self._shells.get(name.upper())
        if shell is None:
            raise Fault(FaultKind.SHELL_NOT_FOUND, name)
        shell.used = time.monotonic()
        return shell

    def _delete(self, message: Message) -> str:
        shell = self._shell(message)
        with self._lock:
            self._shells.pop(shell.id, None)
        shell.close()
        return ""

    def _command(self, message: Message) -> str:
        shell = self._shell(message)
        asked = message.body.find(f"{{{SHELL}}}CommandLine")
        if asked is None:
            raise Fault(FaultKind.BAD_ENVELOPE, "Command has no CommandLine")
        words = [asked.findtext(f"{{{SHELL}}}Command") or ""]
        words += [argument.text or "" for argument in asked.iterfind(f"{{{SHELL}}}Arguments")]
        command = Command(" ".join(word for word in words if word), shell, self._run)
        shell.add(command)
        command.start()
        return f"<rsp:CommandResponse>{element('rsp:CommandId', command.id)}</rsp:CommandResponse>"

    def _of(self, shell: Shell, identifier: str | None) -> Command:
        command = shell.commands.get((identifier or "").upper())
        if command is None:
            raise Fault(FaultKind.COMMAND_NOT_FOUND, identifier)
        return command

    def _send(self, message: Message) -> str:
        shell = self._shell(message)
        for stream in message.body.iter(f"{{{SHELL}}}Stream"):
            if stream.get("Name") != "stdin":
                raise Fault(FaultKind.BAD_SELECTOR, f"stream {stream.get('Name')}")
            try:
                data = base64.b64decode(stream.text or "", validate=False)
            except binascii.Error as error:
                raise Fault(FaultKind.BAD_ENVELOPE, error) from None
            ended = (stream.get("End") or "").lower() in ("true", "1")
            command = self._of(shell, stream.get("CommandId"))
            if not command.feed(data, end=ended, timeout=min(message.timeout, MAX_TIMEOUT)):
                raise Fault(FaultKind.TIMED_OUT)
        return "<rsp:SendResponse/>"

    def _receive(self, message: Message) -> str:
        shell = self._shell(message)
        wanted = message.body.find(f".//{{{SHELL}}}DesiredStream")
        command = self._of(shell, wanted.get("CommandId") if wanted is not None else None)
        drained = command.drain(min(message.timeout, MAX_TIMEOUT))
        if drained is None:
            raise Fault(FaultKind.TIMED_OUT)
        taken, done = drained
        streams = "".join(
            element("rsp:Stream", base64.b64encode(data).decode(), Name=name, CommandId=command.id)
            for name, data in taken.items()
            if data
        )
        if not done:
            state = f'<rsp:CommandState CommandId="{command.id}" State="{STATE}/Running"/>'
        else:
            streams += "".join(
                f'<rsp:Stream Name="{name}" CommandId="{command.id}" End="true"></rsp:Stream>' for name in taken
            )
            state = (
                f'<rsp:CommandState CommandId="{command.id}" State="{STATE}/Done">'
                f"{element('rsp:ExitCode', command.exit_code)}</rsp:CommandState>"
            )
        return f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"

    def _signal(self, message: Message) -> str:
        shell = self._shell(message)
        signal: ET.Element | None = message.body.find(f"{{{SHELL}}}Signal")
        command = self._of(shell, signal.get("CommandId") if signal is not None else None)
        code = (signal.findtext(f"{{{SHELL}}}Code") or "").lower() if signal is not None else ""
        command.cancel(forced=code.endswith("terminate"))
        if command.in_background:
            command.await_end(min(message.timeout, MAX_TIMEOUT))
        if code.endswith("terminate"):
            shell.commands.pop(command.id, None)
        return "<rsp:SignalResponse/>"


def _read(data: bytes) -> Message:
    if len(data) > MAX_ENVELOPE:
        raise Fault(FaultKind.ENVELOPE_TOO_LARGE, MAX_ENVELOPE)
    return parse(data)
