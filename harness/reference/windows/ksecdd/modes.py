"""Modes of operation over AES: ECB, CBC, CFB, GCM (SP 800-38D), CCM (SP 800-38C), and CMAC (SP 800-38B)."""

from hmac import compare_digest

from harness.reference.windows.ksecdd.aes import BLOCK, Aes


def xor(first: bytes, second: bytes) -> bytes:
    """Of the length of the first."""
    length = len(first)
    return (int.from_bytes(first, "big") ^ int.from_bytes(second[:length], "big")).to_bytes(length, "big")


def _blocks(data: bytes, size: int = BLOCK) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def ecb(cipher: Aes, data: bytes, *, encrypt: bool) -> bytes:
    """Whole blocks."""
    one = cipher.encrypt if encrypt else cipher.decrypt
    return b"".join(one(block) for block in _blocks(data))


def cbc(cipher: Aes, data: bytes, vector: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
    """Whole blocks; the output, and the vector to go on with."""
    out: list[bytes] = []
    for block in _blocks(data):
        if encrypt:
            vector = cipher.encrypt(xor(block, vector))
            out.append(vector)
        else:
            out.append(xor(cipher.decrypt(block), vector))
            vector = block
    return b"".join(out), vector


def cfb(cipher: Aes, data: bytes, vector: bytes, segment: int, *, encrypt: bool) -> tuple[bytes, bytes]:
    """Segments of so many bytes; the output, and the vector to go on with."""
    out: list[bytes] = []
    for part in _blocks(data, segment):
        done = xor(part, cipher.encrypt(vector))
        out.append(done)
        vector = (vector + (done if encrypt else part))[-BLOCK:]
    return b"".join(out), vector


def _counted(cipher: Aes, data: bytes, counter: int, bits: int) -> bytes:
    """Counter mode: the last `bits` of the counter block count."""
    mask = (1 << bits) - 1
    out: list[bytes] = []
    for index, block in enumerate(_blocks(data)):
        value = counter & ~mask | (counter + index) & mask
        out.append(xor(block, cipher.encrypt(value.to_bytes(BLOCK, "big"))))
    return b"".join(out)


class _Ghash:
    """Multiplication by the hash key in GF(2^128), four bits at a time."""

    def __init__(self, key: int) -> None:
        table = [0] * 16
        value = key
        for bit in (8, 4, 2, 1):
            table[bit] = value
            value = value >> 1 ^ (0xE1 << 120 if value & 1 else 0)
        for index in range(16):
            low = index & -index
            if index != low:
                table[index] = table[index ^ low] ^ table[low]
        self._table = table
        self._reduction = [self._shift(index) for index in range(16)]

    @staticmethod
    def _shift(value: int) -> int:
        for _ in range(4):
            value = value >> 1 ^ (0xE1 << 120 if value & 1 else 0)
        return value

    def __call__(self, *parts: bytes) -> int:
        """Of parts, each filled up to whole blocks."""
        result = 0
        for part in parts:
            for block in _blocks(part):
                result = self._times(result ^ int.from_bytes(block.ljust(BLOCK, b"\0"), "big"))
        return result

    def _times(self, value: int) -> int:
        product = 0
        for _ in range(32):
            product = product >> 4 ^ self._reduction[product & 15] ^ self._table[value & 15]
            value >>= 4
        return product


def gcm(cipher: Aes, data: bytes, nonce: bytes, extra: bytes, *, encrypt: bool) -> tuple[bytes, bytes]:
    """Output and tag, for a nonce of 12 bytes."""
    start = int.from_bytes(nonce, "big") << 32 | 1
    done = _counted(cipher, data, start + 1, 32)
    secret = done if encrypt else data
    lengths = (8 * len(extra)).to_bytes(8, "big") + (8 * len(secret)).to_bytes(8, "big")
    ghash = _Ghash(int.from_bytes(cipher.encrypt(bytes(BLOCK)), "big"))(extra, secret, lengths)
    return done, xor(ghash.to_bytes(BLOCK, "big"), cipher.encrypt(start.to_bytes(BLOCK, "big")))


def ccm(cipher: Aes, data: bytes, nonce: bytes, extra: bytes, tag_length: int, *, encrypt: bool) -> tuple[bytes, bytes]:
    """Output and tag, for a nonce of 7 to 13 bytes and a tag of 4 to 16."""
    size = 15 - len(nonce)
    start = int.from_bytes(bytes((size - 1,)) + nonce + bytes(size), "big")
    done = _counted(cipher, data, start + 1, 8 * size)
    plain = data if encrypt else done
    flags = (0x40 if extra else 0) | (tag_length - 2) // 2 << 3 | size - 1
    head = bytes((flags,)) + nonce + len(plain).to_bytes(size, "big")
    if extra:
        length = len(extra).to_bytes(2, "big") if len(extra) < 0xFF00 else b"\xff\xfe" + len(extra).to_bytes(4, "big")
        head += length + extra
        head += bytes(-len(head) % BLOCK)
    _, mac = cbc(cipher, head + plain + bytes(-len(plain) % BLOCK), bytes(BLOCK), encrypt=True)
    return done, xor(mac, cipher.encrypt(start.to_bytes(BLOCK, "big")))[:tag_length]


def cmac(cipher: Aes, data: bytes) -> bytes:
    """The 16 bytes that authenticate `data`."""
    key = int.from_bytes(cipher.encrypt(bytes(BLOCK)), "big")
    for step in range(1 if data and len(data) % BLOCK == 0 else 2):
        del step
        key = (key << 1 ^ (0x87 if key >> 127 else 0)) & ((1 << 128) - 1)
    whole = data if data and len(data) % BLOCK == 0 else data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)
    last = xor(whole[-BLOCK:], key.to_bytes(BLOCK, "big"))
    return cbc(cipher, whole[:-BLOCK] + last, bytes(BLOCK), encrypt=True)[1]


def same(first: bytes, second: bytes) -> bool:
    """Whether two tags are the same."""
    return compare_digest(first, second)


def rc4(key: bytes, data: bytes) -> bytes:
    """RC4 from the beginning of its stream."""
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 255
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) & 255
        j = (j + state[i]) & 255
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) & 255])
    return bytes(out)
