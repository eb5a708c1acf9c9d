"""SOAP envelopes of WS-Management: what a request asks, and the responses and faults that answer it."""

import re
import uuid
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_DURATION = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$")


class FaultKind(Enum):
    """Faults as Windows answers them: subcode, code of the WSManFault, text."""

    TIMED_OUT = (
        "w:TimedOut",
        2150858793,
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
    )
    SHELL_NOT_FOUND = (
        "w:InvalidSelectors",
        2150858843,
        (
            "The request for the Windows Remote Shell with ShellId {} failed because the shell was not found on the "
            "server."
        ),
    )
    BAD_SELECTOR = (
        "w:InvalidSelectors",
        2150858769,
        (
            "The WS-Management service cannot process the request because the selectors for the resource are not "
            "valid: {}."
        ),
    )
    COMMAND_NOT_FOUND = ("w:InvalidParameter", 2150858844, "There is no command {} in this shell.")
    ENVELOPE_TOO_LARGE = (
        "w:EncodingLimit",
        2150858817,
        "The request packet is larger than the maximum of {} bytes.",
    )
    ACTION_NOT_SUPPORTED = ("a:ActionNotSupported", 2150858775, "The action {} is not supported by the service.")
    BAD_ENVELOPE = ("w:SchemaValidationError", 2150858760, "The request is not a WS-Management envelope: {}.")
    BAD_RESOURCE = ("a:DestinationUnreachable", 2150858752, "There is no resource {} here.")
    TOO_MANY_SHELLS = ("w:QuotaLimit", 2150859173, "The user has used up the quota of {} shells.")
    INTERNAL = ("w:InternalError", 2150858753, "The service failed: {}.")


class Fault(Exception):
    """A fault to answer with."""

    def __init__(self, kind: FaultKind, what: object = "") -> None:
        text: str = kind.value[2]
        super().__init__(text.format(what))
        self.kind = kind


@dataclass
class Message:
    """One request."""

    action: str
    message_id: str
    resource: str
    selectors: dict[str, str]
    options: dict[str, str]
    timeout: float
    body: ET.Element


def parse(data: bytes) -> Message:
    """Read an envelope; a Fault for what is none."""
    try:
        root = ET.fromstring(data)  # noqa: S314 - the client has authenticated; expat expands no entities of it
    except (ET.ParseError, LookupError, ValueError) as error:  # the latter two for encodings that Python lacks
        raise Fault(FaultKind.BAD_ENVELOPE, error) from None
    header, body = root.find(f"{{{ENVELOPE}}}Header"), root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or body is None:
        raise Fault(FaultKind.BAD_ENVELOPE, "it has no Envelope or no Body")
    if header is None:
        header = ET.Element("none")
    return Message(
        action=_text(header, ADDRESSING, "Action"),
        message_id=_text(header, ADDRESSING, "MessageID"),
        resource=_text(header, WSMAN, "ResourceURI"),
        selectors=_named(header, "SelectorSet", "Selector"),
        options=_named(header, "OptionSet", "Option"),
        timeout=_duration(_text(header, WSMAN, "OperationTimeout")),
        body=body,
    )


def _text(parent: ET.Element, namespace: str, name: str) -> str:
    return (parent.findtext(f"{{{namespace}}}{name}") or "").strip()


def _named(header: ET.Element, collection: str, item: str) -> dict[str, str]:
    found = header.iterfind(f"{{{WSMAN}}}{collection}/{{{WSMAN}}}{item}")
    return {element.get("Name", ""): (element.text or "").strip() for element in found}


def _duration(text: str) -> float:
    match = _DURATION.match(text)
    if match is None:
        return 60.0
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def element(name: str, text: object = "", **attributes: str) -> str:
    """An element with escaped text; `name` has its prefix."""
    inside = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{inside}>{escape(str(text))}</{name}>"


def respond(action: str, relates_to: str, body: str) -> bytes:
    """An envelope around `body`, whose prefixes are s, a, w, rsp, x and f."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{ENVELOPE}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}"'
        f' xmlns:rsp="{SHELL}" xmlns:x="{TRANSFER}" xmlns:f="{WSMAN_FAULT}"><s:Header>'
        f"{element('a:Action', action)}{element('a:MessageID', f'uuid:{str(uuid.uuid4()).upper()}')}"
        f"{element('a:To', ANONYMOUS)}{element('a:RelatesTo', relates_to)}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def respond_fault(fault: Fault, relates_to: str, machine: str) -> bytes:
    """An envelope with a fault, as Windows words it."""
    subcode, code, _ = fault.kind.value
    namespace = WSMAN if subcode.startswith("w:") else ADDRESSING
    text = escape(str(fault))
    return respond(
        f"{namespace}/fault",
        relates_to,
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode>"
        f"<s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault Code="{code}" Machine={quoteattr(machine)}><f:Message>{text}</f:Message></f:WSManFault>'
        "</s:Detail></s:Fault>",
    )
