"""Test signing: a certificate of this machine's own, and signatures made with it.

The certificate is made once, below the user's data directory (FLTLAB_HOME overrides it); its key never leaves there
and is readable by its owner only. Windows loads what it signed when test signing is on and the certificate is trusted.

Both have the form of what is known to load: the certificate that of `New-SelfSignedCertificate -Type CodeSigningCert`,
the end of its own chain and no authority; the signature names what it signs (SpcSpOpusInfo), as signtool's does. That
osslsigncode signed without a name has been refused with 0x80070241 (osslsigncode, issue 86).
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
ADDRESS = "https://fltlab.invalid/"
"""Where more is to be read, says a signature; of the names that nobody has (RFC 2606), for fltlab has no page."""
OPUS_INFO = bytes.fromhex("060a2b06010401823702010c")
"""SpcSpOpusInfo, 1.3.6.1.4.1.311.2.1.12, in DER: the name of a program in its signature."""


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
        .add_extension(_usage(), critical=True)
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


def _usage() -> x509.KeyUsage:
    """Signing, and nothing else."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _serves(certificate: x509.Certificate) -> bool:
    """Whether a certificate is good for signing now: not one that has expired, nor one of an fltlab that made CAs."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound:
        return False
    return usage.critical and usage.value == _usage() and certificate.not_valid_after_utc > datetime.now(UTC)


def signing_certificate() -> SigningCertificate:
    """This machine's certificate; made when there is none, or none that serves any more."""
    directory = _directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(directory / "lock"):
            pem = directory / "certificate.pem"
            if not pem.is_file() or not _serves(x509.load_pem_x509_certificate(pem.read_bytes())):
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

    The signature names the driver. Its time is the certificate's: the same image signed again is the same file.
    """
    signed.unlink(missing_ok=True)
    run(
        (
            *(toolchain.signer, "sign", "-h", "sha256", "-ph"),
            *("-n", f"{image.stem} (built by fltlab for tests)", "-i", ADDRESS),
            *("-certs", certificate.pem, "-key", certificate.key, "-time", str(certificate.made)),
            *("-in", image, "-out", signed),
        ),
        f"{image.name} cannot be signed",
    )
    if OPUS_INFO not in signed.read_bytes()[image.stat().st_size :]:
        raise HostError(
            f"{toolchain.signer} signed {image.name} without the name it was given",
            details=("Windows refuses such drivers with 0x80070241",),
            hint="osslsigncode of Debian 12 or later",
        )


def verify_signature(toolchain: Toolchain, certificate: SigningCertificate, image: Path) -> None:
    """Raise ConfigurationError unless `image` carries a signature made with `certificate`."""
    run(
        (toolchain.signer, "verify", "-CAfile", certificate.pem, "-in", image),
        f"the signature of {image.name} is not good",
    )
