"""Where and how a guest's WinRM service is reached."""

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
