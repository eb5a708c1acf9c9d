"""The administrator's password of a Windows image, and a key for its SSH server: random, one per image.

They are in a file that only its owner reads. The password is on the provisioning CD (mode 0600, removed with the build)
and in the guest's answer file until the image is sealed; of the key only the public half leaves the host. They go into
no log, no command line and no marker.
"""

import json
import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from harness.errors import HostError
from harness.host.directories import home, private_directory, write_private
from harness.host.regular import kept_json

_GROUPS = 4
_GROUP_LENGTH = 6


@dataclass(frozen=True)
class Credentials:
    """Who comes in over WinRM, and with which key over SFTP; "" in an image of an fltlab that made none."""

    user: str
    password: str = field(repr=False)
    ssh_key: str = field(default="", repr=False)

    @property
    def authorized_key(self) -> str:
        """The public half of the key, as a line of authorized_keys; "" where there is none."""
        if not self.ssh_key:
            return ""
        key = load_ssh_private_key(self.ssh_key.encode(), None)
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def generate(user: str) -> Credentials:
    """Return new credentials; the password meets Windows' rules of complexity and needs no quoting anywhere."""
    alphabet = string.ascii_letters + string.digits
    while True:
        groups = ["".join(secrets.choice(alphabet) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)]
        password = "-".join(groups)
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(kind(character) for character in password) for kind in kinds):
            return Credentials(user, password, _new_key())


def _new_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def credentials_file(image: str, key: str) -> Path:
    """Return where an image's credentials are kept."""
    return home() / "secrets" / f"{image}-{key[:32]}.json"


def save(credentials: Credentials, path: Path) -> None:
    """Keep credentials, readable by their owner only."""
    private_directory(path.parent)
    path.unlink(missing_ok=True)
    values = {"user": credentials.user, "password": credentials.password, "ssh_key": credentials.ssh_key}
    write_private(path, json.dumps(values).encode() + b"\n")


def load(path: Path) -> Credentials:
    """Read credentials that `save` kept."""
    try:
        values = kept_json(path)
        return Credentials(str(values["user"]), str(values["password"]), str(values.get("ssh_key", "")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(
            f"the credentials in {path} cannot be read: {error}",
            hint="build the image again: its password is nowhere else",
        ) from error
