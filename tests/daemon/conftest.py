"""One guest daemon for the tests of this folder, and raw WS-Management requests to it."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import requests

from harness.guest import LocalGuest
from tests.limits import HANG

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RESOURCE = f"{SHELL}/cmd"
CREATE = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
PATIENCE = f"PT{HANG:.0f}S"
"""How long the daemon may hold an answer back, in an envelope."""


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGuest]:
    """A local guest whose daemon answers; its kernel is not the tests' business."""
    with LocalGuest(tmp_path_factory.mktemp("daemon")) as guest:
        yield guest


@dataclass
class Answer:
    """What came back for one envelope."""

    status: int
    text: str

    @property
    def fault(self) -> int:
        """The code of its WSManFault; 0 if it has none."""
        found = re.search(r'WSManFault Code="(\d+)"', self.text)
        return int(found.group(1)) if found else 0

    @property
    def subcode(self) -> str:
        found = re.search(r"<s:Subcode><s:Value>([^<]*)<", self.text)
        return found.group(1) if found else ""

    def find(self, name: str) -> str:
        found = ET.fromstring(self.text).find(f".//{{{SHELL}}}{name}")
        assert found is not None, self.text
        return found.text or ""


class Raw:
    """Posts envelopes as they are given."""

    def __init__(self, guest: LocalGuest) -> None:
        self.endpoint = guest.endpoint
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (guest.endpoint.user, guest.endpoint.password)

    def post(self, body: str | bytes, headers: dict[str, str] | None = None) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        sent = {"Content-Type": "application/soap+xml;charset=UTF-8", **(headers or {})}
        answer = self.session.post(self.endpoint.url, data=data, headers=sent, timeout=HANG)
        return Answer(answer.status_code, answer.text)

    def ask(
        self,
        action: str,
        body: str = "",
        *,
        shell: str | None = None,
        resource: str = RESOURCE,
        selectors: dict[str, str] | None = None,
        timeout: str = PATIENCE,
    ) -> Answer:
        chosen = {"ShellId": shell} if shell else selectors or {}
        inside = "".join(f'<w:Selector Name="{name}">{value}</w:Selector>' for name, value in chosen.items())
        return self.post(
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
            ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
            f' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="{SHELL}"><s:Header>'
            f"<a:Action>{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>"
            f"<w:ResourceURI>{resource}</w:ResourceURI><w:OperationTimeout>{timeout}</w:OperationTimeout>"
            f"<w:SelectorSet>{inside}</w:SelectorSet></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )

    def open_shell(self) -> str:
        return self.ask(CREATE, "<rsp:Shell><rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>").find(
            "ShellId"
        )

    def start(self, shell: str, command: str) -> str:
        line = f"<rsp:CommandLine><rsp:Command>{command}</rsp:Command></rsp:CommandLine>"
        return self.ask(f"{SHELL}/Command", line, shell=shell).find("CommandId")

    def receive(self, shell: str, command: str, timeout: str = PATIENCE) -> Answer:
        wanted = (
            f'<rsp:Receive><rsp:DesiredStream CommandId="{command}">stdout stderr</rsp:DesiredStream></rsp:Receive>'
        )
        return self.ask(f"{SHELL}/Receive", wanted, shell=shell, timeout=timeout)

    def signal(self, shell: str, command: str, code: str) -> Answer:
        body = f'<rsp:Signal CommandId="{command}"><rsp:Code>{SHELL}/signal/{code}</rsp:Code></rsp:Signal>'
        return self.ask(f"{SHELL}/Signal", body, shell=shell)


@pytest.fixture
def raw(daemon: LocalGuest) -> Raw:
    return Raw(daemon)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "guest"
