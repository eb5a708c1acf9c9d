"""BCrypt: hashes, message authentication, key derivation."""

import hashlib
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import U32, Length, export
from harness.reference.windows.ksecdd.cng_objects import (
    HASHES,
    MACS,
    REUSABLE_FLAG,
    Hash,
    Provider,
    check_irql,
    digest_length,
    make_hash,
)
from harness.reference.windows.ksecdd.object_memory import BCRYPT, hash_object

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _hash_provider(k: "Kernel", handle: int) -> Provider | None:
    provider = k.cng.get(handle, Provider)
    return provider if provider is not None and provider.algorithm in (*HASHES, *MACS) else None


@export(BCRYPT, "BCryptCreateHash", max_irql=Irql.DISPATCH)
def bcrypt_create_hash(
    k: "Kernel", handle: int, hash_pointer: int, buffer: int, room: Length, secret: int, size: Length, flags: U32
) -> int:
    provider = _hash_provider(k, handle)
    if provider is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, provider, "BCryptCreateHash")
    wrong = hash_object(k, buffer, room)
    if wrong:
        return wrong
    if provider.algorithm in MACS and size not in (16, 24, 32):
        return int(NtStatus.INVALID_PARAMETER)
    state = make_hash(provider, k.memory.read(secret, size) if secret else b"")
    reusable = bool(flags & REUSABLE_FLAG) or provider.reusable
    k.memory.write_u64(hash_pointer, k.cng.open(k, Hash(provider, state, state.copy(), reusable)))
    return 0


@export(BCRYPT, "BCryptHashData", max_irql=Irql.DISPATCH)
def bcrypt_hash_data(k: "Kernel", handle: int, data: int, size: Length, flags: U32) -> int:
    item = k.cng.get(handle, Hash)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, item.provider, "BCryptHashData")
    if flags or item.finished or (size and not data):
        return int(NtStatus.INVALID_PARAMETER)
    item.state.update(k.memory.read(data, size))
    return 0


@export(BCRYPT, "BCryptFinishHash", max_irql=Irql.DISPATCH)
def bcrypt_finish_hash(k: "Kernel", handle: int, output: int, size: Length, flags: U32) -> int:
    item = k.cng.get(handle, Hash)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, item.provider, "BCryptFinishHash")
    if flags or item.finished or size != digest_length(item.provider):
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(output, item.state.digest())
    item.finished = not item.reusable
    item.state = item.fresh.copy()
    return 0


@export(BCRYPT, "BCryptDuplicateHash", max_irql=Irql.DISPATCH)
def bcrypt_duplicate_hash(k: "Kernel", handle: int, hash_pointer: int, buffer: int, room: Length, flags: U32) -> int:
    del flags
    item = k.cng.get(handle, Hash)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    wrong = hash_object(k, buffer, room)
    if wrong:
        return wrong
    made = Hash(item.provider, item.fresh.copy(), item.state.copy(), item.reusable, item.finished)
    k.memory.write_u64(hash_pointer, k.cng.open(k, made))
    return 0


@export(BCRYPT, "BCryptDestroyHash", max_irql=Irql.DISPATCH)
def bcrypt_destroy_hash(k: "Kernel", handle: int) -> int:
    if k.cng.get(handle, Hash) is None:
        return int(NtStatus.INVALID_HANDLE)
    k.cng.close(k, handle)
    return 0


@export(BCRYPT, "BCryptHash", max_irql=Irql.DISPATCH)
def bcrypt_hash(
    k: "Kernel", handle: int, secret: int, secret_size: Length, data: int, size: Length, output: int, room: Length
) -> int:
    """All of it in one call."""
    provider = _hash_provider(k, handle)
    if provider is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, provider, "BCryptHash")
    if room != digest_length(provider):
        return int(NtStatus.INVALID_PARAMETER)
    state = make_hash(provider, k.memory.read(secret, secret_size) if secret else b"")
    state.update(k.memory.read(data, size))
    k.memory.write(output, state.digest())
    return 0


@export(BCRYPT, "BCryptDeriveKeyPBKDF2", max_irql=Irql.PASSIVE)
def bcrypt_derive_key_pbkdf2(
    k: "Kernel",
    handle: int,
    password: int,
    password_size: Length,
    salt: int,
    salt_size: Length,
    iterations: int,
    output: int,
    size: Length,
    flags: U32,
) -> int:
    """The provider is that of a hash that was opened for HMAC."""
    provider = k.cng.get(handle, Provider)
    if provider is None:
        return int(NtStatus.INVALID_HANDLE)
    if not provider.keyed or not iterations or not output or not size or flags:
        return int(NtStatus.INVALID_PARAMETER)
    words = k.memory.read(password, password_size), k.memory.read(salt, salt_size)
    k.memory.write(output, hashlib.pbkdf2_hmac(provider.algorithm.lower(), *words, iterations, size))
    return 0


@export(BCRYPT, "BCryptDeriveKeyCapi", max_irql=Irql.PASSIVE)
def bcrypt_derive_key_capi(k: "Kernel", handle: int, target: int, output: int, size: Length, flags: U32) -> int:
    """CryptDeriveKey: the digest; and twice it, each over a padded copy, for an AES key that is longer."""
    item = k.cng.get(handle, Hash)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    if flags or not output or not size or size > 2 * digest_length(item.provider) or item.finished:
        return int(NtStatus.INVALID_PARAMETER)
    key = item.state.digest()
    item.finished = not item.reusable
    provider = k.cng.get(target, Provider) if target else None
    if size > len(key) or (provider is not None and provider.algorithm == "AES"):
        padded = key.ljust(64, b"\0")
        halves = []
        for value in (0x36, 0x5C):
            state = make_hash(Provider(item.provider.algorithm), b"")
            state.update(bytes(byte ^ value for byte in padded))
            halves.append(state.digest())
        key = b"".join(halves)
    k.memory.write(output, key[:size])
    return 0
