"""How a build reaches its guest: NTLM as default, Basic on request, over HTTPS only the certificate the guest named."""

import contextlib
import datetime as dt
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.errors import GuestError
from harness.guest import LocalGuest
from harness.guest.endpoint import Authentication
from harness.guest.winrm import WinRmSession
from harness.image.windows.build import Endpoint
from harness.image.windows.connect import connector, guest_endpoint
from harness.image.windows.credentials import Credentials
from tests.limits import HANG
from tests.ports import port_without_a_listener

NOBODY = Credentials("Administrator", "not-used")


def self_signed(path: Path) -> str:
    """Write a key and its certificate to one file; return the certificate's SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "guest")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)  # as provision.ps1
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(key.private_bytes(pem, pkcs8, plain) + certificate.public_bytes(pem))
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A port on which one client's handshake is answered, and the digest of the certificate that it sees."""
    digest = self_signed(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG)

        def answer() -> None:
            client, _ = listener.accept()
            # Who has seen the certificate may just hang up.
            with client, contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as tls:
                tls.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1], digest
        thread.join()


def test_the_certificate_that_the_guest_named_is_the_only_one_trusted(https: tuple[int, str], tmp_path: Path) -> None:
    port, digest = https

    endpoint = guest_endpoint(Endpoint(port, NOBODY, digest.upper()), tmp_path)

    assert endpoint.tls
    assert endpoint.certificate is not None
    kept = ssl.PEM_cert_to_DER_cert(endpoint.certificate.read_text())
    assert hashlib.sha256(kept).hexdigest() == digest


def test_a_request_gets_through_to_the_certificate_that_is_trusted(tmp_path: Path) -> None:
    digest = self_signed(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG)

        def answer() -> None:
            for _ in range(2):  # the look at the certificate, and the request
                client, _ = listener.accept()
                with client, contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as tls:
                    asked.extend(filter(None, [tls.recv(12)]))

        thread = threading.Thread(target=answer)
        thread.start()
        endpoint = guest_endpoint(Endpoint(listener.getsockname()[1], NOBODY, digest), tmp_path)
        with pytest.raises(GuestError), WinRmSession(endpoint) as session:
            session.run("ver")
        thread.join()

    assert asked == [b"POST /wsman "]


def test_another_certificate_is_refused_and_not_kept(https: tuple[int, str], tmp_path: Path) -> None:
    port, digest = https

    with pytest.raises(GuestError, match="another certificate") as caught:
        guest_endpoint(Endpoint(port, NOBODY, "0" * 64), tmp_path)

    assert any(digest in line for line in caught.value.details)
    assert not (tmp_path / "winrm.pem").exists()


def test_a_port_where_nobody_answers_is_an_error_of_the_guest(tmp_path: Path) -> None:
    with port_without_a_listener() as port, pytest.raises(GuestError, match="nobody answers HTTPS"):
        guest_endpoint(Endpoint(port, NOBODY, "0" * 64), tmp_path)


@pytest.mark.parametrize(("basic", "expected"), [(False, Authentication.NTLM), (True, Authentication.BASIC)])
def test_basic_is_used_only_where_it_was_asked_for(tmp_path: Path, basic: bool, expected: Authentication) -> None:
    endpoint = guest_endpoint(Endpoint(1, NOBODY, basic=basic), tmp_path)

    assert endpoint.authentication is expected
    assert not endpoint.tls


def test_a_build_s_shell_speaks_ntlm_with_a_real_endpoint(tmp_path: Path) -> None:
    with LocalGuest(tmp_path / "guest", authentication=Authentication.NTLM) as guest:
        there = guest.endpoint
        shell = connector("image", tmp_path)(Endpoint(there.port, Credentials(there.user, there.password)))
        answer = shell.run("echo ready")
        missing = shell.run("no-such-program.exe")
        shell.close()

    assert (answer.exit_code, answer.stdout.strip()) == (0, b"ready")
    assert missing.exit_code != 0


def test_a_wrong_password_is_an_error_of_the_guest(tmp_path: Path) -> None:
    with LocalGuest(tmp_path / "guest", authentication=Authentication.NTLM) as guest:
        wrong = Endpoint(guest.endpoint.port, Credentials(guest.endpoint.user, "Kq7-is-not-it"))

        with pytest.raises(GuestError) as caught:
            connector("image", tmp_path)(wrong).run("echo ready")

    assert "Kq7-is-not-it" not in str(caught.value)
