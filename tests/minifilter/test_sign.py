"""Test signing."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.errors import ConfigurationError, HostError
from harness.minifilter.build import BuiltDriver
from harness.minifilter.sign import sign_image, signing_certificate, verify_signature
from harness.minifilter.toolchain import Toolchain


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
