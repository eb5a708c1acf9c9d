"""Who may come in: Basic, and Negotiate (NTLM) with message encryption where pyspnego is installed.

Reference guests have no pyspnego; the daemon as a local process has, so that the client's encrypted path is proved.
"""

import base64
import binascii
import contextlib
import hmac
import importlib.util
import os
import re
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.reference.guestd.configuration import Configuration
from harness.reference.guestd.http import Connection, Request, Response

HAS_NTLM = importlib.util.find_spec("spnego") is not None
"""It is loaded with the first client that wants it: that takes as long as all the rest of the daemon."""
ENCRYPTED = "multipart/encrypted"
_PART = re.compile(rb"Length=(\d+)")
_BOUNDARY = b"--Encrypted Boundary"
_ACCOUNTS_LOCK = threading.Lock()


class NotEncrypted(Exception):
    """A message that should be encrypted is not, or not readable."""


class Authenticator:
    """Checks requests against the guest's user and password, which change when the guest is forked."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def refuse(self) -> Response:
        """The answer to a request without valid credentials."""
        offers = [("WWW-Authenticate", "Negotiate")] if HAS_NTLM else []
        return Response(401, headers=[*offers, ("WWW-Authenticate", 'Basic realm="WSMAN"')])

    def check(self, request: Request, connection: Connection) -> Response | None:
        """None if the request may be served, else what to answer. Of the request only the head is looked at."""
        refusal = self._check(request, connection)
        connection.is_known = connection.is_known or refusal is None
        return refusal

    def _check(self, request: Request, connection: Connection) -> Response | None:
        if isinstance(connection.authentication, _Negotiation) and connection.authentication.complete:
            return None
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return None if self._is_known(value, connection) or self._basic(value, connection) else self.refuse()
        if scheme.lower() in ("negotiate", "ntlm") and HAS_NTLM:
            return self._negotiate(value, connection, scheme)
        return self.refuse()

    def _is_known(self, value: str, connection: Connection) -> bool:
        """Whether a connection has come in with this before: the command that changes the password ends in peace."""
        known = connection.authentication
        return isinstance(known, _Basic) and hmac.compare_digest(known.value.encode(), value.encode())

    def _basic(self, value: str, connection: Connection) -> bool:
        try:
            user, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        right_user = hmac.compare_digest(user.casefold().encode(), self._configuration.user.casefold().encode())
        right_password = hmac.compare_digest(password.encode(), self._configuration.password.encode())
        if not (colon and right_user and right_password):
            return False
        connection.authentication = _Basic(value)
        return True

    def _negotiate(self, value: str, connection: Connection, scheme: str) -> Response | None:
        negotiation = connection.authentication
        if not isinstance(negotiation, _Negotiation):
            negotiation = connection.authentication = _Negotiation(self._configuration)
        try:
            token = negotiation.step(base64.b64decode(value))
        except Exception:  # noqa: BLE001 - whatever a client sends as a token ends in a refusal, never in a dead thread
            connection.authentication = None
            return self.refuse()
        if negotiation.complete:
            return None
        return Response(401, headers=[("WWW-Authenticate", f"{scheme} {base64.b64encode(token or b'').decode()}")])


@dataclass(frozen=True)
class _Basic:
    """What a connection has come in with."""

    value: str


class _Negotiation:
    """One NTLM handshake, and the keys it ends with."""

    def __init__(self, configuration: Configuration) -> None:
        import spnego

        self._configuration = configuration
        with _accounts(configuration):
            self._context: Any = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)

    @property
    def complete(self) -> bool:
        """Whether the client has proved who it is."""
        return bool(self._context.complete)

    def step(self, token: bytes) -> bytes | None:
        """Take the client's token, and return the next one for it."""
        with _accounts(self._configuration):
            answer: bytes | None = self._context.step(token)
            return answer

    def unwrap(self, body: bytes) -> bytes:
        """The plain envelope of a multipart/encrypted body."""
        match = _PART.search(body)
        start = body.find(b"application/octet-stream\r\n")
        end = body.rfind(_BOUNDARY)
        if match is None or start < 0 or end < 0:
            raise NotEncrypted
        payload = body[start + len(b"application/octet-stream\r\n") : end]
        try:
            (size,) = struct.unpack_from("<I", payload)
            plain: bytes = self._context.unwrap_winrm(payload[4 : 4 + size], payload[4 + size :])
        except Exception as error:  # whatever was sent instead of a sealed message
            raise NotEncrypted from error
        if len(plain) != int(match[1]):
            raise NotEncrypted
        return plain

    def wrap(self, plain: bytes) -> bytes:
        """A multipart/encrypted body."""
        sealed = self._context.wrap_winrm(plain)
        payload = struct.pack("<I", len(sealed.header)) + sealed.header + sealed.data
        head = (
            "--Encrypted Boundary\r\n"
            "\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
            "\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
            f"Length={len(plain) + sealed.padding_length}\r\n"
            "--Encrypted Boundary\r\n"
            "\tContent-Type: application/octet-stream\r\n"
        )
        body: bytes = head.encode() + payload + b"--Encrypted Boundary--\r\n"
        return body


@contextlib.contextmanager
def _accounts(configuration: Configuration) -> Iterator[None]:
    """The file, named by an environment variable, from which pyspnego takes the accounts of its NTLM server."""
    with _ACCOUNTS_LOCK, tempfile.NamedTemporaryFile("w", encoding="utf-8") as accounts:
        accounts.write(f":{configuration.user}:{configuration.password}\n")
        accounts.flush()
        os.environ["NTLM_USER_FILE"] = accounts.name
        try:
            yield
        finally:
            del os.environ["NTLM_USER_FILE"]


def decrypt(request: Request, connection: Connection) -> bytes:
    """The envelope of a request, deciphered where its connection has keys."""
    if request.headers.get("content-type", "").startswith(ENCRYPTED):
        if not isinstance(connection.authentication, _Negotiation):
            raise NotEncrypted
        return connection.authentication.unwrap(request.body)
    return request.body


def encrypt(response: Response, request: Request, connection: Connection) -> Response:
    """The response, enciphered if the request was."""
    if not request.headers.get("content-type", "").startswith(ENCRYPTED):
        return response
    if not isinstance(connection.authentication, _Negotiation):
        return response
    kind = f'{ENCRYPTED};protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
    return Response(response.status, connection.authentication.wrap(response.body), kind, response.headers)
