"""BCrypt: symmetric keys, encryption and decryption."""

from struct import pack, unpack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import U32, Length, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.windows.ksecdd.aes import BLOCK, Aes
from harness.reference.windows.ksecdd.cng_objects import CIPHERS, Key, Provider, PublicKey, check_irql
from harness.reference.windows.ksecdd.modes import cbc, ccm, cfb, ecb, gcm, rc4, same
from harness.reference.windows.ksecdd.object_memory import BCRYPT, key_object

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_BLOCK_PADDING = 1
_KEY_DATA_MAGIC = 0x4D42444B


class AuthenticatedInfo(Structure):
    """BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO."""

    SIZE = 0x58
    size = Field(0x00, "I")
    version = Field(0x04, "I")
    nonce = Field(0x08)
    nonce_size = Field(0x10, "I")
    extra = Field(0x18)
    extra_size = Field(0x20, "I")
    tag = Field(0x28)
    tag_size = Field(0x30, "I")
    flags = Field(0x50, "I")


def _make(k: "Kernel", provider: Provider, secret: bytes, key_pointer: int) -> int:
    if provider.algorithm == "AES":
        if len(secret) not in (16, 24, 32):
            return int(NtStatus.INVALID_PARAMETER)
        key = Key(provider, secret, provider.mode, Aes(secret))
    else:
        if not secret:
            return int(NtStatus.INVALID_PARAMETER)
        key = Key(provider, secret, "", None)
    k.memory.write_u64(key_pointer, k.cng.open(k, key))
    return 0


def _cipher_provider(k: "Kernel", handle: int) -> Provider | None:
    provider = k.cng.get(handle, Provider)
    return provider if provider is not None and provider.algorithm in CIPHERS else None


@export(BCRYPT, "BCryptGenerateSymmetricKey", max_irql=Irql.DISPATCH)
def bcrypt_generate_symmetric_key(
    k: "Kernel", handle: int, key_pointer: int, buffer: int, room: Length, secret: int, size: Length, flags: U32
) -> int:
    provider = _cipher_provider(k, handle)
    if provider is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, provider, "BCryptGenerateSymmetricKey")
    if flags or not key_pointer or not secret:
        return int(NtStatus.INVALID_PARAMETER)
    return key_object(k, buffer, room) or _make(k, provider, k.memory.read(secret, size), key_pointer)


@export(BCRYPT, "BCryptImportKey", max_irql=Irql.PASSIVE)
def bcrypt_import_key(
    k: "Kernel",
    handle: int,
    wrapping: int,
    kind: int,
    key_pointer: int,
    buffer: int,
    room: Length,
    data: int,
    size: Length,
    flags: U32,
) -> int:
    """KeyDataBlob; a key that is wrapped in another is not supported."""
    del flags
    provider = _cipher_provider(k, handle)
    if provider is None:
        return int(NtStatus.INVALID_HANDLE)
    if wrapping or k.memory.read_wide(kind) != "KeyDataBlob":
        return int(NtStatus.NOT_SUPPORTED)
    magic, version, length = unpack("<III", k.memory.read(data, 12)) if size >= 12 else (0, 0, 0)
    if magic != _KEY_DATA_MAGIC or version != 1 or 12 + length > size:
        return int(NtStatus.INVALID_PARAMETER)
    return key_object(k, buffer, room) or _make(k, provider, k.memory.read(data + 12, length), key_pointer)


@export(BCRYPT, "BCryptExportKey", max_irql=Irql.PASSIVE)
def bcrypt_export_key(
    k: "Kernel", handle: int, wrapping: int, kind: int, output: int, room: Length, result: int, flags: U32
) -> int:
    """KeyDataBlob."""
    del flags
    key = k.cng.get(handle, Key)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    if wrapping or k.memory.read_wide(kind) != "KeyDataBlob":
        return int(NtStatus.NOT_SUPPORTED)
    data = pack("<III", _KEY_DATA_MAGIC, 1, len(key.secret)) + key.secret
    k.memory.write_u32(result, len(data))
    if output:
        if room < len(data):
            return int(NtStatus.BUFFER_TOO_SMALL)
        k.memory.write(output, data)
    return 0


@export(BCRYPT, "BCryptDuplicateKey", max_irql=Irql.DISPATCH)
def bcrypt_duplicate_key(k: "Kernel", handle: int, key_pointer: int, buffer: int, room: Length, flags: U32) -> int:
    del flags
    key = k.cng.get(handle, Key)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    wrong = key_object(k, buffer, room)
    if wrong:
        return wrong
    made = Key(key.provider, key.secret, key.mode, key.cipher, key.vector, key.segment)
    k.memory.write_u64(key_pointer, k.cng.open(k, made))
    return 0


@export(BCRYPT, "BCryptDestroyKey", max_irql=Irql.DISPATCH)
def bcrypt_destroy_key(k: "Kernel", handle: int) -> int:
    if k.cng.get(handle, Key) is None and k.cng.get(handle, PublicKey) is None:
        return int(NtStatus.INVALID_HANDLE)
    k.cng.close(k, handle)
    return 0


@export(BCRYPT, "BCryptEncrypt", max_irql=Irql.DISPATCH)
def bcrypt_encrypt(
    k: "Kernel",
    handle: int,
    data: int,
    size: Length,
    padding: int,
    vector: int,
    vector_size: Length,
    output: int,
    room: Length,
    result: int,
    flags: U32,
) -> int:
    """Without an output buffer the size that it needs."""
    key = k.cng.get(handle, Key)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, key.provider, "BCryptEncrypt")
    padded = bool(flags & _BLOCK_PADDING) and key.mode in ("CBC", "ECB")
    whole = size + BLOCK - size % BLOCK if padded else size
    k.memory.write_u32(result, whole)
    if whole % _unit(key):
        return int(NtStatus.INVALID_BUFFER_SIZE)
    if not output:
        return 0
    if room < whole:
        return int(NtStatus.BUFFER_TOO_SMALL)
    plain = k.memory.read(data, size)
    if padded:
        plain += bytes((whole - size,)) * (whole - size)
    status, done = _run(k, key, plain, padding, (vector, vector_size), encrypt=True)
    if not status:
        k.memory.write(output, done)
    return status


@export(BCRYPT, "BCryptDecrypt", max_irql=Irql.DISPATCH)
def bcrypt_decrypt(
    k: "Kernel",
    handle: int,
    data: int,
    size: Length,
    padding: int,
    vector: int,
    vector_size: Length,
    output: int,
    room: Length,
    result: int,
    flags: U32,
) -> int:
    """With block padding the output is shorter than the input; UNSUCCESSFUL if there is no padding at its end."""
    key = k.cng.get(handle, Key)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    check_irql(k, key.provider, "BCryptDecrypt")
    padded = bool(flags & _BLOCK_PADDING) and key.mode in ("CBC", "ECB")
    k.memory.write_u32(result, size)
    if size % (BLOCK if padded else _unit(key)) or (padded and not size):
        return int(NtStatus.INVALID_BUFFER_SIZE)
    if not output:
        return 0
    if not padded and room < size:
        return int(NtStatus.BUFFER_TOO_SMALL)
    status, done = _run(k, key, k.memory.read(data, size), padding, (vector, vector_size), encrypt=False)
    if status:
        return status
    if padded:
        count = done[-1]
        if not 1 <= count <= BLOCK or done[-count:] != bytes((count,)) * count:
            return int(NtStatus.UNSUCCESSFUL)
        done = done[:-count]
        k.memory.write_u32(result, len(done))
        if room < len(done):
            return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(output, done)
    return 0


def _unit(key: Key) -> int:
    """What input must be a multiple of."""
    return {"CBC": BLOCK, "ECB": BLOCK, "CFB": key.segment}.get(key.mode, 1)


def _run(
    k: "Kernel", key: Key, data: bytes, padding: int, vector: tuple[int, int], *, encrypt: bool
) -> tuple[int, bytes]:
    """(NTSTATUS, output). The caller's vector becomes the one to go on with."""
    if key.cipher is None:
        return 0, rc4(key.secret, data)
    if key.mode == "ECB":
        return 0, ecb(key.cipher, data, encrypt=encrypt)
    if key.mode in ("GCM", "CCM"):
        return _authenticated(k, key, key.cipher, data, padding, encrypt=encrypt)
    at, size = vector
    if at and size != BLOCK:
        return int(NtStatus.INVALID_PARAMETER), b""
    start = k.memory.read(at, BLOCK) if at else key.vector
    if key.mode == "CBC":
        done, following = cbc(key.cipher, data, start, encrypt=encrypt)
    else:
        done, following = cfb(key.cipher, data, start, key.segment, encrypt=encrypt)
    if at:
        k.memory.write(at, following)
    return 0, done


def _authenticated(
    k: "Kernel", key: Key, cipher: Aes, data: bytes, padding: int, *, encrypt: bool
) -> tuple[int, bytes]:
    if not padding:
        return int(NtStatus.INVALID_PARAMETER), b""
    info = AuthenticatedInfo(k.memory, padding)
    sizes = range(12, 17) if key.mode == "GCM" else range(4, 17, 2)
    nonces = (12,) if key.mode == "GCM" else range(7, 14)
    if info.size != AuthenticatedInfo.SIZE or info.version != 1:
        return int(NtStatus.INVALID_PARAMETER), b""
    if info.flags:
        k.probes.happened(("BCrypt: the reference kernel has no chained calls of authenticated modes",))
        return int(NtStatus.NOT_SUPPORTED), b""
    if info.tag_size not in sizes or info.nonce_size not in nonces or not info.tag:
        return int(NtStatus.INVALID_PARAMETER), b""
    nonce = k.memory.read(info.nonce, info.nonce_size)
    extra = k.memory.read(info.extra, info.extra_size) if info.extra_size else b""
    if key.mode == "GCM":
        done, tag = gcm(cipher, data, nonce, extra, encrypt=encrypt)
    else:
        done, tag = ccm(cipher, data, nonce, extra, info.tag_size, encrypt=encrypt)
    tag = tag[: info.tag_size]
    if encrypt:
        k.memory.write(info.tag, tag)
    elif not same(tag, k.memory.read(info.tag, info.tag_size)):
        return int(NtStatus.AUTH_TAG_MISMATCH), b""
    return 0, done
