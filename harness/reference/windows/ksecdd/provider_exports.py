"""BCrypt: providers, their properties, random numbers."""

from struct import pack
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import U32, Length, export
from harness.reference.windows.ksecdd.cng_objects import (
    ALGORITHMS,
    CIPHERS,
    DERIVATIONS,
    HASHES,
    HMAC_FLAG,
    MACS,
    PROV_DISPATCH,
    RANDOM,
    REUSABLE_FLAG,
    SIGNATURES,
    Hash,
    Key,
    Provider,
    PublicKey,
)
from harness.reference.windows.ksecdd.object_memory import AES_OBJECT, BCRYPT, HASH_OBJECT

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_MODES = ("CBC", "ECB", "CFB", "GCM", "CCM")
_PREFIX = "ChainingMode"
_SYSTEM_PREFERRED_RNG = 2
_OPERATIONS = ((0x01, CIPHERS), (0x02, (*HASHES, *MACS)), (0x10, SIGNATURES), (0x20, RANDOM), (0x40, DERIVATIONS))
_INTERFACES = {0x01: 1, 0x02: 2, 0x10: 5, 0x20: 6, 0x40: 7}


@export(BCRYPT, "BCryptOpenAlgorithmProvider", max_irql=Irql.PASSIVE)
def bcrypt_open_algorithm_provider(k: "Kernel", handle_pointer: int, name: int, provider: int, flags: U32) -> int:
    if not handle_pointer or not name:
        return int(NtStatus.INVALID_PARAMETER)
    del provider
    algorithm = k.memory.read_wide(name)
    known = next((item for item in ALGORITHMS if item.lower() == algorithm.lower()), None)
    if known is None:
        k.probes.happened((f"BCryptOpenAlgorithmProvider: the reference kernel has no {algorithm}",))
        return int(NtStatus.NOT_FOUND)
    keyed = bool(flags & HMAC_FLAG)
    if keyed and known not in HASHES:
        return int(NtStatus.NOT_SUPPORTED)
    made = Provider(known, keyed, bool(flags & PROV_DISPATCH), reusable=bool(flags & REUSABLE_FLAG))
    k.memory.write_u64(handle_pointer, k.cng.open(k, made))
    return 0


@export(BCRYPT, "BCryptCloseAlgorithmProvider", max_irql=Irql.DISPATCH)
def bcrypt_close_algorithm_provider(k: "Kernel", handle: int, flags: U32) -> int:
    del flags
    if k.cng.get(handle, Provider) is None:
        return int(NtStatus.INVALID_HANDLE)
    k.cng.close(k, handle)
    return 0


@export(BCRYPT, "BCryptGetFipsAlgorithmMode", max_irql=Irql.PASSIVE)
def bcrypt_get_fips_algorithm_mode(k: "Kernel", enabled: int) -> int:
    k.memory.write_u8(enabled, 0)
    return 0


@export(BCRYPT, "BCryptEnumAlgorithms", max_irql=Irql.PASSIVE)
def bcrypt_enum_algorithms(k: "Kernel", operations: U32, count: int, listed: int, flags: U32) -> int:
    """A list in one block, which BCryptFreeBuffer gives back."""
    del flags
    found = [(name, _INTERFACES[bit]) for bit, names in _OPERATIONS if operations & bit for name in names]
    size = 16 * len(found) + sum(2 * len(name) + 2 for name, _ in found)
    where = k.blame.current()
    block = k.pool.allocate(max(size, 16), "Cngb", paged=True, owner=where.driver, allocated_by=where.address)
    text = block + 16 * len(found)
    for index, (name, kind) in enumerate(found):
        data = name.encode("utf-16-le") + b"\0\0"
        k.memory.write(block + 16 * index, pack("<QII", text, kind, 0))
        k.memory.write(text, data)
        text += len(data)
    k.memory.write_u32(count, len(found))
    k.memory.write_u64(listed, block)
    return 0


@export(BCRYPT, "BCryptFreeBuffer", max_irql=Irql.PASSIVE)
def bcrypt_free_buffer(k: "Kernel", buffer: int) -> int:
    if buffer:
        k.pool.free(buffer, None, freed_by=k.blame.current().address)
    return 0


@export(BCRYPT, "BCryptGenRandom", max_irql=Irql.DISPATCH)
def bcrypt_gen_random(k: "Kernel", handle: int, buffer: int, size: Length, flags: U32) -> int:
    """From the guest's own generator: the same seed, the same numbers."""
    if flags & _SYSTEM_PREFERRED_RNG:
        if handle:
            return int(NtStatus.INVALID_PARAMETER)
    else:
        provider = k.cng.get(handle, Provider)
        if provider is None or provider.algorithm not in RANDOM:
            return int(NtStatus.INVALID_HANDLE)
    if size and not buffer:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write(buffer, k.random.randbytes(size))
    return 0


# -- properties


def _text(value: str) -> bytes:
    return value.encode("utf-16-le") + b"\0\0"


def _value(item: Provider | Hash | Key | PublicKey, name: str) -> bytes | None:
    """A property's value; None if the object has no such property."""
    provider = item if isinstance(item, Provider) else item.provider
    algorithm = provider.algorithm
    if name == "AlgorithmName":
        return _text(algorithm)
    if algorithm in HASHES or algorithm in MACS:
        length, block = (16, 16) if algorithm in MACS else HASHES[algorithm]
        return {
            "HashDigestLength": pack("<I", length),
            "HashBlockLength": pack("<I", block),
            "ObjectLength": pack("<I", HASH_OBJECT),
            "IsKeyedHash": pack("<I", provider.keyed or algorithm in MACS),
            "IsReusableHash": pack("<I", 1),
        }.get(name)
    if algorithm == "AES":
        mode = item.mode if isinstance(item, Provider | Key) else provider.mode
        values = {
            "ChainingMode": _text(_PREFIX + mode),
            "BlockLength": pack("<I", 16),
            "BlockSizeList": pack("<I", 16),
            "KeyLengths": pack("<III", 128, 256, 64),
            "KeyObjectLength": pack("<I", AES_OBJECT),
            "ObjectLength": pack("<I", AES_OBJECT),
        }
        if mode in ("GCM", "CCM"):
            values["AuthTagLength"] = pack("<III", 12, 16, 1) if mode == "GCM" else pack("<III", 4, 16, 2)
        if isinstance(item, Key):
            values["KeyLength"] = values["KeyStrength"] = pack("<I", 8 * len(item.secret))
            values["MessageBlockLength"] = pack("<I", item.segment)
        return values.get(name)
    if isinstance(item, PublicKey):
        bits = 8 * item.length
        return {
            "KeyLength": pack("<I", bits),
            "KeyStrength": pack("<I", bits),
            "SignatureLength": pack("<I", item.length),
        }.get(name)
    return {"ObjectLength": pack("<I", HASH_OBJECT)}.get(name)


def any_object(k: "Kernel", handle: int) -> Provider | Hash | Key | PublicKey | None:
    """What a handle is, whatever it is."""
    return (
        k.cng.get(handle, Provider) or k.cng.get(handle, Hash) or k.cng.get(handle, Key) or k.cng.get(handle, PublicKey)
    )


@export(BCRYPT, "BCryptGetProperty", max_irql=Irql.DISPATCH)
def bcrypt_get_property(k: "Kernel", handle: int, name: int, output: int, room: Length, result: int, flags: U32) -> int:
    item = any_object(k, handle)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    if not name or not result or flags:
        return int(NtStatus.INVALID_PARAMETER)
    value = _value(item, k.memory.read_wide(name))
    if value is None:
        return int(NtStatus.NOT_SUPPORTED)
    k.memory.write_u32(result, len(value))
    if output:
        if room < len(value):
            return int(NtStatus.BUFFER_TOO_SMALL)
        k.memory.write(output, value)
    return 0


@export(BCRYPT, "BCryptSetProperty", max_irql=Irql.DISPATCH)
def bcrypt_set_property(k: "Kernel", handle: int, name: int, data: int, size: Length, flags: U32) -> int:
    """ChainingMode of a provider or a key, IV and MessageBlockLength of a key."""
    del flags
    item = any_object(k, handle)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    wanted = k.memory.read_wide(name)
    provider = item if isinstance(item, Provider) else item.provider
    if wanted == _PREFIX and provider.algorithm == "AES" and isinstance(item, Provider | Key):
        mode = k.memory.read_wide(data).removeprefix(_PREFIX)
        if mode not in _MODES:
            return int(NtStatus.NOT_SUPPORTED)
        item.mode = mode
        return 0
    if isinstance(item, Key) and wanted == "IV":
        if size != 16:
            return int(NtStatus.INVALID_PARAMETER)
        item.vector = k.memory.read(data, 16)
        return 0
    if isinstance(item, Key) and wanted == "MessageBlockLength":
        value = k.memory.read_u32(data) if size == 4 else 0
        if value not in (1, 16):
            return int(NtStatus.INVALID_PARAMETER)
        item.segment = value
        return 0
    return int(NtStatus.NOT_SUPPORTED)
