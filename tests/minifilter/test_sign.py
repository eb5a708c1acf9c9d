"""Test signing."""

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from harness.errors import ConfigurationError, HostError
from harness.minifilter.build import BuiltDriver
from harness.minifilter.sign import ADDRESS, OPUS_INFO, sign_image, signing_certificate, verify_signature
from harness.minifilter.toolchain import Toolchain, find_toolchain, run


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_certificate_is_made_once_and_its_key_is_private(home: Path):
    first = signing_certificate()
    second = signing_certificate()

    assert first == second
    assert first.key.is_relative_to(home)
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.key.parent.stat().st_mode) == 0o700
    certificate = x509.load_der_x509_certificate(first.der.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CODE_SIGNING]


def test_the_certificate_is_the_end_of_its_chain_and_only_signs():
    certificate = x509.load_pem_x509_certificate(signing_certificate().pem.read_bytes())

    names = {extension.oid for extension in certificate.extensions}
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert ExtensionOID.BASIC_CONSTRAINTS not in names
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert certificate.issuer == certificate.subject


def test_a_certificate_of_an_older_fltlab_is_made_anew():
    old = signing_certificate()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=30))
    authority = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    old.pem.write_bytes(authority.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    new = signing_certificate()

    assert new.fingerprint != old.fingerprint
    assert x509.load_pem_x509_certificate(new.pem.read_bytes()).subject != name


def test_a_damaged_certificate_is_an_error_that_says_what_to_do():
    certificate = signing_certificate()
    certificate.pem.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")

    with pytest.raises(HostError, match=r"cannot be read or made(.|\n)*remove that directory"):
        signing_certificate()


def test_a_home_that_cannot_be_written_is_an_error(home: Path):
    home.write_text("a file where a directory should be")

    with pytest.raises(HostError, match="FLTLAB_HOME"):
        signing_certificate()


def test_a_signature_is_good_until_a_byte_changes(built: dict[str, BuiltDriver], toolchain: Toolchain, tmp_path: Path):
    certificate = signing_certificate()
    unsigned = built["fastio"].sys.parent / "unsigned" / "fastio.sys"
    signed = tmp_path / "fastio.sys"

    sign_image(toolchain, certificate, unsigned, signed)
    verify_signature(toolchain, certificate, signed)

    content = bytearray(signed.read_bytes())
    content[0x1000] ^= 1
    signed.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"signature of fastio\.sys is not good"):
        verify_signature(toolchain, certificate, signed)


def test_a_signature_names_its_driver_and_has_hashes_of_its_pages(
    built: dict[str, BuiltDriver], toolchain: Toolchain, tmp_path: Path
):
    unsigned = built["fastio"].sys.parent / "unsigned" / "fastio.sys"
    signed = tmp_path / "fastio.sys"
    sign_image(toolchain, signing_certificate(), unsigned, signed)

    shown = run((toolchain.signer, "verify", "-CAfile", signing_certificate().pem, "-in", signed), "not good")

    assert "Text description: fastio (built by fltlab for tests)" in shown
    assert f"URL description: {ADDRESS}" in shown
    assert "Page hash algorithm  : SHA256" in shown
    assert OPUS_INFO in signed.read_bytes()
    assert OPUS_INFO not in unsigned.read_bytes()


def test_two_signings_are_the_same_to_the_byte(built: dict[str, BuiltDriver], toolchain: Toolchain, tmp_path: Path):
    certificate = signing_certificate()
    unsigned = built["fastio"].sys.parent / "unsigned" / "fastio.sys"
    first, second = tmp_path / "first", tmp_path / "second"
    for signed in (first, second):
        sign_image(toolchain, certificate, unsigned, signed)

    assert first.read_bytes() == second.read_bytes()


def test_a_signer_that_leaves_the_name_out_is_found_out(
    built: dict[str, BuiltDriver], toolchain: Toolchain, tmp_path: Path
):
    forgetful = script(tmp_path / "osslsigncode", 'for word; do last=$word; done; cp "$0" "$last"')

    unsigned = built["fastio"].sys.parent / "unsigned" / "fastio.sys"

    with pytest.raises(HostError, match="without the name it was given"):
        sign_image(replace(toolchain, signer=forgetful), signing_certificate(), unsigned, tmp_path / "signed.sys")


def test_a_signer_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = (
        "[ $1 = sign ] && echo ' [ -h {sha1} ] [ -n <desc> ] [ -i <url> ] [ -ph ]' || echo 'osslsigncode 1.7.1, using:'"
    )
    script(tmp_path / "osslsigncode", old)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(
        HostError, match=r"too old: osslsigncode 1\.7\.1\n.*cannot sign with -time,(.|\n)*2\.5 or later"
    ):
        find_toolchain.__wrapped__()


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_signature_by_another_machine_is_not_good(
    built: dict[str, BuiltDriver], toolchain: Toolchain, home: Path, monkeypatch: pytest.MonkeyPatch
):
    ours = signing_certificate()
    monkeypatch.setenv("FLTLAB_HOME", str(home) + "-other")
    signed = home / "fastio.sys"
    unsigned = built["fastio"].sys.parent / "unsigned" / "fastio.sys"
    sign_image(toolchain, signing_certificate(), unsigned, signed)

    with pytest.raises(ConfigurationError, match="is not good"):
        verify_signature(toolchain, ours, signed)
