"""Test signing: a certificate of this machine's own, and signatures made with it.

The certificate is made once, below the user's data directory (FLTLAB_HOME overrides it); its key never leaves there
and is readable by its owner only. Windows loads what it signed when test signing is on and the certificate is trusted.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock

from harness.errors import HostError
from harness.minifilter.toolchain import Toolchain, run

HOME_VARIABLE = "FLTLAB_HOME"
VALID_FOR = timedelta(days=3650)
VALID_BEFORE = timedelta(days=2)  # a guest's clock may lag


@dataclass(frozen=True)
class SigningCertificate:
    """A certificate in PEM and DER, its key, its SHA-256 fingerprint, and when it was made (seconds since 1970)."""

    pem: Path
    key: Path
    der: Path
    fingerprint: str
    made: int


def _directory() -> Path:
    override = os.environ.get(HOME_VARIABLE)
    home = Path(override).expanduser().absolute() if override else Path(platformdirs.user_data_dir("fltlab"))
    return home / "signing"


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place at once, so that nobody reads half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _make(directory: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fltlab test signing (this machine only)")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(directory / "key.pem", private, 0o600)
    _write(directory / "certificate.cer", certificate.public_bytes(serialization.Encoding.DER), 0o644)
    _write(directory / "certificate.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)  # last: complete


def signing_certificate() -> SigningCertificate:
    """This machine's certificate; made when there is none or it has expired."""
    directory = _directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(directory / "lock"):
            pem = directory / "certificate.pem"
            if not pem.is_file() or x509.load_pem_x509_certificate(pem.read_bytes()).not_valid_after_utc < datetime.now(
                UTC
            ):
                _make(directory)
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    except (OSError, ValueError) as error:
        raise HostError(
            f"the test-signing certificate in {directory} cannot be read or made",
            details=(str(error),),
            hint=f"remove that directory to have a new one made, or set {HOME_VARIABLE} to one you can write to",
        ) from error
    return SigningCertificate(
        pem=pem,
        key=directory / "key.pem",
        der=directory / "certificate.cer",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        made=int((certificate.not_valid_before_utc + VALID_BEFORE).timestamp()),
    )


def sign_image(toolchain: Toolchain, certificate: SigningCertificate, image: Path, signed: Path) -> None:
    """Write `signed`, a copy of `image` with an Authenticode signature with page hashes and a right checksum.

    The signing time is the certificate's: the same image signed again is the same file.
    """
    signed.unlink(missing_ok=True)
    run(
        (
            *(toolchain.signer, "sign", "-h", "sha256", "-ph"),
            *("-certs", certificate.pem, "-key", certificate.key, "-time", str(certificate.made)),
            *("-in", image, "-out", signed),
        ),
        f"{image.name} cannot be signed",
    )


def verify_signature(toolchain: Toolchain, certificate: SigningCertificate, image: Path) -> None:
    """Raise ConfigurationError unless `image` carries a signature made with `certificate`."""
    run(
        (toolchain.signer, "verify", "-CAfile", certificate.pem, "-in", image),
        f"the signature of {image.name} is not good",
    )
