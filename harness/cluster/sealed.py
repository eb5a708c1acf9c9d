"""Secrets that a run's workers need, sealed: passwords of images, keys to their SSH servers.

In the store they are ciphertext (AES-256-GCM), under a key that is made for one run and reaches the workers over the
scheduler's link only, which is TLS where it leaves the machine (connection.py). The key shows itself nowhere: it is no
part of a task, and its representation has none of it. A sealed secret says what it belongs to, and cannot be put in the
place of another.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness.errors import HostError

_NONCE = 12


@dataclass(frozen=True)
class RunKey:
    """The key of one run. Only what sends it to workers may ask for its `secret`."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "RunKey":
        """A random one."""
        return cls(AESGCM.generate_key(bit_length=256))

    def seal(self, belongs_to: str, secrets: Mapping[str, str]) -> bytes:
        """Secrets by name, for nobody to read who has not the key."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.secret).encrypt(nonce, json.dumps(dict(secrets)).encode(), belongs_to.encode())

    def open(self, belongs_to: str, sealed: bytes) -> dict[str, str]:
        """What was sealed; HostError if it was sealed with another key, for something else, or was changed."""
        try:
            text = AESGCM(self.secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], belongs_to.encode())
        except (InvalidTag, ValueError) as error:
            raise HostError(
                f"the secrets of {belongs_to} in the store are not those that this run has put there",
                hint="run it again; and see who can write to the store",
            ) from error
        return {str(name): str(value) for name, value in json.loads(text).items()}

    def to_text(self) -> str:
        """The key as text, to be sent over the scheduler's link and nowhere else."""
        return base64.b64encode(self.secret).decode()

    @classmethod
    def from_text(cls, text: str) -> "RunKey":
        """The key that `to_text` gave."""
        return cls(base64.b64decode(text))
