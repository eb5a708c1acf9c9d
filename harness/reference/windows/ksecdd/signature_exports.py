"""BCrypt: RSA public keys, and the signatures that they verify."""

import hashlib
from struct import unpack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import U32, Length, export
from harness.reference.windows.ksecdd.cng_objects import HASHES, SIGNATURES, Provider, PublicKey
from harness.reference.windows.ksecdd.modes import same, xor
from harness.reference.windows.ksecdd.object_memory import BCRYPT

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_RSA_PUBLIC_MAGIC, _RSA_HEADER = 0x31415352, 24
_PAD_PKCS1, _PAD_PSS = 2, 8
_PREFIXES = {
    "MD5": "3020300c06082a864886f70d020505000410",
    "SHA1": "3021300906052b0e03021a05000414",
    "SHA256": "3031300d060960864801650304020105000420",
    "SHA384": "3041300d060960864801650304020205000430",
    "SHA512": "3051300d060960864801650304020305000440",
}
"""DigestInfo of PKCS #1, before the digest."""


@export(BCRYPT, "BCryptImportKeyPair", max_irql=Irql.PASSIVE)
def bcrypt_import_key_pair(
    k: "Kernel", handle: int, wrapping: int, kind: int, key_pointer: int, data: int, size: Length, flags: U32
) -> int:
    """RSAPUBLICBLOB; private keys are none that a driver here needs, and are not supported."""
    del flags
    provider = k.cng.get(handle, Provider)
    if provider is None or provider.algorithm not in SIGNATURES:
        return int(NtStatus.INVALID_HANDLE)
    if wrapping or k.memory.read_wide(kind) not in ("RSAPUBLICBLOB", "PUBLICBLOB"):
        return int(NtStatus.NOT_SUPPORTED)
    if size < _RSA_HEADER:
        return int(NtStatus.INVALID_PARAMETER)
    magic, _, exponent, modulus, _, _ = unpack("<6I", k.memory.read(data, _RSA_HEADER))
    if magic != _RSA_PUBLIC_MAGIC or _RSA_HEADER + exponent + modulus > size or not exponent or not modulus:
        return int(NtStatus.INVALID_PARAMETER)
    numbers = k.memory.read(data + _RSA_HEADER, exponent + modulus)
    key = PublicKey(
        provider, int.from_bytes(numbers[exponent:], "big"), int.from_bytes(numbers[:exponent], "big"), modulus
    )
    k.memory.write_u64(key_pointer, k.cng.open(k, key))
    return 0


@export(BCRYPT, "BCryptVerifySignature", max_irql=Irql.PASSIVE)
def bcrypt_verify_signature(
    k: "Kernel", handle: int, padding: int, digest: int, size: Length, signature: int, length: Length, flags: U32
) -> int:
    """PKCS #1 and PSS. INVALID_SIGNATURE for one that is not the digest's."""
    key = k.cng.get(handle, PublicKey)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    if not padding or flags not in (_PAD_PKCS1, _PAD_PSS):
        return int(NtStatus.INVALID_PARAMETER)
    algorithm = k.memory.read_wide(k.memory.read_u64(padding)).upper()
    if algorithm not in HASHES or size != HASHES[algorithm][0]:
        return int(NtStatus.INVALID_PARAMETER)
    number = int.from_bytes(k.memory.read(signature, length), "big")
    if length != key.length or number >= key.modulus:
        return int(NtStatus.INVALID_SIGNATURE)
    opened = pow(number, key.exponent, key.modulus)
    value = k.memory.read(digest, size)
    if flags == _PAD_PKCS1:
        info = bytes.fromhex(_PREFIXES[algorithm]) + value
        expected = b"\0\x01" + b"\xff" * (length - len(info) - 3) + b"\0" + info
        good = same(opened.to_bytes(length, "big"), expected)
    else:
        good = _pss(opened, key.modulus.bit_length() - 1, algorithm, value, k.memory.read_u32(padding + 8))
    return 0 if good else int(NtStatus.INVALID_SIGNATURE)


def _pss(opened: int, bits: int, algorithm: str, digest: bytes, salt_length: int) -> bool:
    """EMSA-PSS-VERIFY of RFC 8017."""
    size, length = len(digest), (bits + 7) // 8
    if opened.bit_length() > bits or length < size + salt_length + 2:
        return False
    encoded = opened.to_bytes(length, "big")
    masked, seed = encoded[: length - size - 1], encoded[length - size - 1 : -1]
    mask = b""
    for counter in range(-(-len(masked) // size)):
        mask += hashlib.new(algorithm.lower(), seed + counter.to_bytes(4, "big"), usedforsecurity=False).digest()
    block = int.from_bytes(xor(masked, mask), "big") & ((1 << bits - 8 * (size + 1)) - 1)
    plain = block.to_bytes(len(masked), "big")
    salt = plain[len(plain) - salt_length :]
    rest = plain[: len(plain) - salt_length]
    good = rest == b"\0" * (len(rest) - 1) + b"\x01" and encoded[-1] == 0xBC
    again = hashlib.new(algorithm.lower(), bytes(8) + digest + salt, usedforsecurity=False).digest()
    return good and same(again, seed)
