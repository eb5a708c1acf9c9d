"""What the handles of CNG are: providers, hashes, keys; and who made them, so that leaks are told."""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from harness.nt import BugCheck, Irql
from harness.reference.windows.ksecdd.aes import Aes
from harness.reference.windows.ksecdd.modes import cmac
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_HANDLE = Kind("BCrypt handle", "BCryptDestroyKey, BCryptDestroyHash, BCryptCloseAlgorithmProvider")
HASHES = {
    "MD5": (16, 64), "SHA1": (20, 64), "SHA256": (32, 64), "SHA384": (48, 128), "SHA512": (64, 128),
}  # fmt: skip
"""Length of the digest and of the block, in bytes."""
CIPHERS, RANDOM, DERIVATIONS = ("AES", "RC4"), ("RNG", "FIPS186DSARNG"), ("PBKDF2",)
MACS, SIGNATURES = ("AES-CMAC",), ("RSA", "RSA_SIGN")
ALGORITHMS = (*HASHES, *CIPHERS, *RANDOM, *DERIVATIONS, *MACS, *SIGNATURES)
PROV_DISPATCH, HMAC_FLAG, REUSABLE_FLAG = 0x1, 0x8, 0x20
_PSEUDO = {
    0x21: ("MD5", False, ""), 0x31: ("SHA1", False, ""), 0x41: ("SHA256", False, ""), 0x51: ("SHA384", False, ""),
    0x61: ("SHA512", False, ""), 0x71: ("RC4", False, ""), 0x81: ("RNG", False, ""), 0x91: ("MD5", True, ""),
    0xA1: ("SHA1", True, ""), 0xB1: ("SHA256", True, ""), 0xC1: ("SHA384", True, ""), 0xD1: ("SHA512", True, ""),
    0xE1: ("RSA", False, ""), 0x101: ("AES-CMAC", False, ""), 0x1A1: ("AES", False, "CBC"),
    0x1B1: ("AES", False, "ECB"), 0x1C1: ("AES", False, "CFB"), 0x1D1: ("AES", False, "CCM"),
    0x1E1: ("AES", False, "GCM"), 0x331: ("PBKDF2", False, ""),
}  # fmt: skip
"""BCRYPT_*_ALG_HANDLE: providers that need not be opened."""


@dataclass(slots=True)
class Provider:
    """An open algorithm provider."""

    algorithm: str
    keyed: bool = False
    """BCRYPT_ALG_HANDLE_HMAC_FLAG."""
    dispatch: bool = False
    """BCRYPT_PROV_DISPATCH: it may be called at DISPATCH_LEVEL."""
    mode: str = "CBC"
    reusable: bool = False


class Digest(Protocol):
    """hashlib's hashes, hmac's and ours."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def copy(self) -> "Digest": ...


class Cmac:
    """AES-CMAC, as a digest."""

    def __init__(self, key: bytes, data: bytes = b"") -> None:
        self._cipher = Aes(key)
        self._key = key
        self._data = data

    def update(self, data: bytes, /) -> None:
        self._data += data

    def digest(self) -> bytes:
        return cmac(self._cipher, self._data)

    def copy(self) -> "Cmac":
        return Cmac(self._key, self._data)


@dataclass(slots=True)
class Hash:
    """A hash object; `fresh` is its state before any data."""

    provider: Provider
    fresh: Digest
    state: Digest
    reusable: bool
    finished: bool = False


@dataclass(slots=True)
class Key:
    """A symmetric key."""

    provider: Provider
    secret: bytes
    mode: str
    cipher: Aes | None
    vector: bytes = bytes(16)
    segment: int = 1
    """Of CFB, in bytes: MessageBlockLength."""


@dataclass(slots=True)
class PublicKey:
    """An RSA public key."""

    provider: Provider
    modulus: int
    exponent: int
    length: int
    """Of the modulus, in bytes."""


_Kind = TypeVar("_Kind", Provider, Hash, Key, PublicKey)


@dataclass(slots=True)
class CngHandles:
    """The open handles of one kernel: what each is."""

    items: dict[int, object] = field(default_factory=dict)

    def open(self, k: "Executive", item: object) -> int:
        """A handle: a block of memory of its own."""
        handle = k.heap.allocate(0x20)
        self.items[handle] = item
        k.holdings.take(_HANDLE, handle, f"to a {type(item).__name__.lower()}")
        return handle

    def get(self, handle: int, kind: type[_Kind]) -> _Kind | None:
        """What a handle is, if it is of a kind."""
        item: object = self.items.get(handle)
        if handle in _PSEUDO:
            algorithm, keyed, mode = _PSEUDO[handle]
            item = Provider(algorithm, keyed, dispatch=True, mode=mode or "CBC")
        return item if isinstance(item, kind) else None

    def close(self, k: "Executive", handle: int) -> None:
        """Forget a handle."""
        if self.items.pop(handle, None) is not None:
            k.holdings.give_back(_HANDLE, handle)
            k.heap.free(handle)


def make_hash(provider: Provider, secret: bytes) -> Digest:
    """The state of a hash before any data."""
    if provider.algorithm in MACS:
        return Cmac(secret)
    name = provider.algorithm.lower()
    if provider.keyed:
        return cast("Digest", hmac.new(secret, digestmod=name))
    return cast("Digest", hashlib.new(name, usedforsecurity=False))


def digest_length(provider: Provider) -> int:
    """In bytes."""
    return 16 if provider.algorithm in MACS else HASHES[provider.algorithm][0]


def check_irql(k: "Executive", provider: Provider, function: str) -> None:
    """A bug check above PASSIVE_LEVEL, unless the provider was opened with BCRYPT_PROV_DISPATCH."""
    if k.irql >= Irql.DISPATCH and not provider.dispatch:
        text = f"{function} was called at IRQL {k.irql} with a provider that was opened without BCRYPT_PROV_DISPATCH"
        k.verifier.report(None, k.blame.current().driver, text)
        k.bugcheck(BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, k.irql, message=text)
