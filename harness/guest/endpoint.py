"""Where and how a guest's WinRM service is reached, and its SSH server if it has one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Authentication(Enum):
    """How the client proves who it is."""

    BASIC = "basic"
    NTLM = "ntlm"
    """With message encryption where the endpoint is plain HTTP."""


@dataclass(frozen=True)
class Endpoint:
    """One WinRM service. `certificate` is the only one trusted over TLS; without it TLS takes any."""

    port: int
    user: str
    password: str = field(repr=False)
    host: str = "127.0.0.1"
    authentication: Authentication = Authentication.BASIC
    tls: bool = False
    certificate: Path | None = None

    @property
    def url(self) -> str:
        """The URL that requests are posted to."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/wsman"

    def __str__(self) -> str:
        return f"{self.host}:{self.port} (WinRM, {self.authentication.value}, user {self.user})"


@dataclass(frozen=True)
class SshEndpoint:
    """One guest's SSH server, for files only: who may come in, and the one key that it must show.

    `host_key` is a line of known_hosts without its name ("ssh-ed25519 AAAA…"). `drives` says under which directory of
    the server each drive of the guest lies; nothing else of it is touched.
    """

    port: int
    user: str
    host_key: str
    private_key: str = field(repr=False)
    drives: Mapping[str, str]
    host: str = "127.0.0.1"

    def __str__(self) -> str:
        return f"{self.host}:{self.port} (SFTP, user {self.user})"
