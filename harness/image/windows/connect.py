"""WinRM to a Windows guest that is being built: NTLM with encrypted messages, or HTTPS with the image's certificate."""

import hashlib
import socket
import ssl
from pathlib import Path

from harness.errors import GuestError
from harness.guest.endpoint import Authentication
from harness.guest.endpoint import Endpoint as GuestEndpoint
from harness.guest.winrm import WinRmSession
from harness.host.ports import LOOPBACK
from harness.image.windows.build import Connect, Endpoint, Shell

HANDSHAKE_SECONDS = 20.0
CERTIFIED = "localhost"
"""The name in the guest's certificate (provision.ps1); an address is not in it."""


def connector(name: str, directory: Path) -> Connect:
    """Return how to reach the guest of a build; `directory` takes the certificate that is to be trusted."""

    def connect(endpoint: Endpoint) -> Shell:
        return _Connection(WinRmSession(guest_endpoint(endpoint, directory), name))

    return connect


def guest_endpoint(endpoint: Endpoint, directory: Path) -> GuestEndpoint:
    """Return an endpoint as a guest takes it. Over HTTPS only the image's own certificate will do, else GuestError."""
    certificate = None
    if endpoint.https_certificate is not None:
        certificate = _pinned(endpoint.port, endpoint.https_certificate, directory)
    return GuestEndpoint(
        port=endpoint.port,
        user=endpoint.credentials.user,
        password=endpoint.credentials.password,
        authentication=Authentication.BASIC if endpoint.basic else Authentication.NTLM,
        host=LOOPBACK if certificate is None else CERTIFIED,
        tls=certificate is not None,
        certificate=certificate,
    )


def _pinned(port: int, digest: str, directory: Path) -> Path:
    """Fetch the certificate that answers, compare it with the one the guest named on COM1, and keep it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is self-signed: its digest is what is checked
    try:
        with (
            socket.create_connection((LOOPBACK, port), timeout=HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain) as tls,
        ):
            found = tls.getpeercert(binary_form=True)
    except OSError as error:
        raise GuestError(f"nobody answers HTTPS on port {port}", details=(str(error),)) from error
    assert found is not None
    if hashlib.sha256(found).hexdigest() != digest.lower():
        raise GuestError(
            "another certificate answers than the one the guest made",
            details=(f"expected SHA-256 {digest}", f"found    SHA-256 {hashlib.sha256(found).hexdigest()}"),
            hint="the port is forwarded to another guest; start the build again",
        )
    path = directory / "winrm.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(found), encoding="ascii")
    return path


class _Connection:
    """A session as a build takes it."""

    def __init__(self, session: WinRmSession) -> None:
        self._session = session

    def run(self, command: str, stdin: bytes = b"", timeout: float | None = None) -> "_Answer":
        result = self._session.run(command, stdin or None, timeout if timeout is not None else 60.0)
        return _Answer(result.exit_code, result.stdout)

    def close(self) -> None:
        self._session.close()


class _Answer:
    """What a command gave."""

    def __init__(self, exit_code: int, stdout: bytes) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
