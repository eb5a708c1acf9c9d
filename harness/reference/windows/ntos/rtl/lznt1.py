"""LZNT1 (MS-XCA 2.5): chunks of up to 4,096 bytes, each stored or as literals and back references."""

CHUNK = 4096
_COMPRESSED, _SIGNATURE, _SIZE = 0x8000, 0x3000, 0x0FFF
_LEAST = 3
"""Bytes in the shortest back reference."""


class BadCompressionError(ValueError):
    """The compressed bytes are not what LZNT1 makes."""


def compress(data: bytes) -> bytes:
    """All chunks of some bytes, with the two zeros that end them where there is something."""
    return b"".join(_compress_chunk(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK))


def _compress_chunk(chunk: bytes) -> bytes:
    packed = _pack(chunk)
    if len(packed) < len(chunk):
        return (_COMPRESSED | _SIGNATURE | len(packed) - 1).to_bytes(2, "little") + packed
    return (_SIGNATURE | len(chunk) - 1).to_bytes(2, "little") + chunk


def _pack(chunk: bytes) -> bytes:
    out, at = bytearray(), 0
    seen: dict[bytes, int] = {}
    while at < len(chunk):
        flags, group = 0, bytearray()
        for bit in range(8):
            if at >= len(chunk):
                break
            shift = _length_bits(at)
            key = chunk[at : at + _LEAST]
            found = seen.get(key) if len(key) == _LEAST else None
            length = _match(chunk, found, at, (1 << shift) - 1 + _LEAST) if found is not None else 1
            if found is not None:
                flags |= 1 << bit
                group += ((at - found - 1) << shift | length - _LEAST).to_bytes(2, "little")
            else:
                group.append(chunk[at])
            for step in range(at, at + length):
                seen[chunk[step : step + _LEAST]] = step
            at += length
        out.append(flags)
        out += group
    return bytes(out)


def _length_bits(at: int) -> int:
    """How many bits of a back reference are its length: the fewer, the farther it may point back."""
    bits = 12
    while bits > 4 and at > 1 << 16 - bits:
        bits -= 1
    return bits


def _match(chunk: bytes, source: int, at: int, most: int) -> int:
    length = _LEAST
    while length < most and at + length < len(chunk) and chunk[source + length] == chunk[at + length]:
        length += 1
    return length


def decompress(data: bytes, most: int) -> bytes:
    """What the chunks were made of, at most so many bytes. Raises BadCompressionError."""
    out, at = bytearray(), 0
    while at + 2 <= len(data) and len(out) < most:
        header = int.from_bytes(data[at : at + 2], "little")
        if header == 0:
            break
        if header & 0x7000 != _SIGNATURE:
            raise BadCompressionError
        size = (header & _SIZE) + 1
        body = data[at + 2 : at + 2 + size]
        if len(body) < size:
            raise BadCompressionError
        if len(out) % CHUNK:  # only the last chunk may be short: what follows begins at a chunk's place
            out += bytes(CHUNK - len(out) % CHUNK)
        out += _unpack(body) if header & _COMPRESSED else body
        at += 2 + size
    return bytes(out[:most])


def _unpack(body: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(body):
        flags = body[at]
        at += 1
        for bit in range(8):
            if at >= len(body):
                break
            if not flags >> bit & 1:
                out.append(body[at])
                at += 1
                continue
            if at + 2 > len(body):
                raise BadCompressionError
            token = int.from_bytes(body[at : at + 2], "little")
            at += 2
            shift = _length_bits(len(out))
            back, length = (token >> shift) + 1, (token & (1 << shift) - 1) + _LEAST
            if back > len(out) or len(out) + length > CHUNK:
                raise BadCompressionError
            for _ in range(length):
                out.append(out[-back])
    return bytes(out)
