"""AES (FIPS 197) for whole blocks. Guests have nothing but the standard library: this is ours.

The tables are made from the field, GF(2^8) with x^8 + x^4 + x^3 + x + 1; a round is four look-ups a column.
"""

from functools import cache
from struct import Struct

BLOCK = 16
_WORDS = Struct(">4I")


def _double(value: int) -> int:
    return (value << 1 ^ (0x11B if value & 0x80 else 0)) & 0xFF


def _times(value: int, factor: int) -> int:
    result = 0
    while factor:
        if factor & 1:
            result ^= value
        value, factor = _double(value), factor >> 1
    return result


@cache
def _substitution() -> tuple[bytes, bytes]:
    """The S-box and its inverse: the multiplicative inverse, then an affine map."""
    box, p, q = bytearray(256), 1, 1
    while True:
        p ^= _double(p)  # p runs through the field as powers of 3, q through the inverses
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        word = q | q << 8
        box[p] = (q ^ word >> 7 ^ word >> 6 ^ word >> 5 ^ word >> 4) & 0xFF ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    inverse = bytearray(256)
    for index, value in enumerate(box):
        inverse[value] = index
    return bytes(box), bytes(inverse)


@cache
def _tables(*, decrypt: bool) -> tuple[tuple[int, ...], ...]:
    """Substitution and column mixing in one, for each of the four rows."""
    box = _substitution()[decrypt]
    factors = (14, 9, 13, 11) if decrypt else (2, 1, 1, 3)
    first = [int.from_bytes(bytes(_times(value, factor) for factor in factors), "big") for value in box]
    return tuple(tuple((word >> 8 * row | word << 32 - 8 * row) & 0xFFFF_FFFF for word in first) for row in range(4))


class Aes:
    """A key of 16, 24 or 32 bytes; ValueError for any other."""

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 24, 32):
            raise ValueError(f"an AES key has 16, 24 or 32 bytes, not {len(key)}")
        self.key = key
        self._encryption = _expand(key)
        self._decryption = _invert(self._encryption)

    def encrypt(self, block: bytes) -> bytes:
        """One block."""
        return _crypt(block, self._encryption, decrypt=False)

    def decrypt(self, block: bytes) -> bytes:
        """One block."""
        return _crypt(block, self._decryption, decrypt=True)


def _expand(key: bytes) -> list[tuple[int, ...]]:
    box = _substitution()[0]
    count = len(key) // 4
    words = [int.from_bytes(key[at : at + 4], "big") for at in range(0, len(key), 4)]
    constant = 1
    for index in range(count, 4 * (count + 7)):
        word = words[-1]
        if index % count == 0:
            rotated = (word << 8 | word >> 24) & 0xFFFF_FFFF
            word = int.from_bytes(rotated.to_bytes(4, "big").translate(box), "big") ^ constant << 24
            constant = _double(constant)
        elif count > 6 and index % count == 4:
            word = int.from_bytes(word.to_bytes(4, "big").translate(box), "big")
        words.append(words[index - count] ^ word)
    return [tuple(words[at : at + 4]) for at in range(0, len(words), 4)]


def _invert(keys: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The round keys of the equivalent inverse cipher: backwards, with the columns of the inner ones mixed."""
    box = _substitution()[0]
    t0, t1, t2, t3 = _tables(decrypt=True)
    inner = [
        tuple(
            t0[box[word >> 24]] ^ t1[box[word >> 16 & 255]] ^ t2[box[word >> 8 & 255]] ^ t3[box[word & 255]]
            for word in words
        )
        for words in reversed(keys[1:-1])
    ]
    return [keys[-1], *inner, keys[0]]


def _crypt(block: bytes, keys: list[tuple[int, ...]], *, decrypt: bool) -> bytes:
    t0, t1, t2, t3 = _tables(decrypt=decrypt)
    box = _substitution()[decrypt]
    k0, k1, k2, k3 = keys[0]
    a, b, c, d = _WORDS.unpack(block)
    a, b, c, d = a ^ k0, b ^ k1, c ^ k2, d ^ k3
    for k0, k1, k2, k3 in keys[1:-1]:
        if decrypt:  # rows are shifted the other way
            b, d = d, b
        e = t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255]
        f = t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255]
        g = t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255]
        h = t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255]
        if decrypt:
            f, h = h, f
        a, b, c, d = e ^ k0, f ^ k1, g ^ k2, h ^ k3
    rows = block_rows((a, d, c, b) if decrypt else (a, b, c, d)).translate(box)
    k0, k1, k2, k3 = keys[-1]
    e, f, g, h = _WORDS.unpack(rows)
    if decrypt:
        f, h = h, f
    return _WORDS.pack(e ^ k0, f ^ k1, g ^ k2, h ^ k3)


def block_rows(words: tuple[int, int, int, int]) -> bytes:
    """The state after the shift of its rows."""
    data = _WORDS.pack(*words)
    return bytes(data[(5 * index) % 16] for index in range(16))
