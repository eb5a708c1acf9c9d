"""How the SSH server of a Windows guest is reached, for large files: with the image's own key, and to that key only.

The guest named its host key on COM1 when the image was built. Where it is not known no key is accepted.
"""

import base64
import binascii
from collections.abc import Mapping

from harness.errors import ConfigurationError
from harness.guest.endpoint import SshEndpoint
from harness.image.windows.credentials import Credentials
from harness.image.windows.recipe import OpenSsh

DRIVES = {"C": "/C:", "V": "/V:"}
"""Where Win32-OpenSSH's SFTP server has the drives."""

_KIND = "ssh-ed25519"


def has_server(facts: Mapping[str, object]) -> bool:
    """Whether an image was built with an SSH server; `facts` are the image's."""
    return facts.get("openssh", OpenSsh.NONE.value) != OpenSsh.NONE.value


def ssh_endpoint(facts: Mapping[str, object], credentials: Credentials, port: int) -> SshEndpoint:
    """The SSH server behind a forwarded port; ConfigurationError says why it is not to be talked to."""
    host_key = str(facts.get("ssh_host_key") or "")
    if not _is_key(host_key):
        raise ConfigurationError(
            "the image does not say which key its SSH server has, and any other is not trusted",
            details=(f"it has {host_key!r}",),
            hint="build the image again: the step openssh-key says why it was not told",
        )
    if not credentials.ssh_key:
        raise ConfigurationError(
            "there is no key for the image's SSH server", hint="build the image again: its keys are nowhere else"
        )
    return SshEndpoint(port, credentials.user, host_key, credentials.ssh_key, DRIVES)


def _is_key(text: str) -> bool:
    """Whether this is `ssh-ed25519 <base64>`, with the kind in the key as before it."""
    kind, _, encoded = text.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return kind == _KIND and len(decoded) == 51 and decoded[4:15] == _KIND.encode()
