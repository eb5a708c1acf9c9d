"""Bytes that are nearly what they should be."""

import random

EXTREMES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")


def mutated(data: bytes, chosen: random.Random, most: int = 8) -> bytes:
    """Some bytes with a few of them changed, removed, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(chosen.randrange(1, most)):
        at = chosen.randrange(len(changed) + 1)
        match chosen.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chosen.randrange(256)])
            case 1:
                changed[at : at + 4] = chosen.choice(EXTREMES)
            case 2:
                changed[at : at + chosen.randrange(64)] = b""
            case 3:
                changed[at:at] = changed[at : at + chosen.randrange(64)] * chosen.randrange(4)
            case 4:
                changed[at:at] = bytes(chosen.randrange(256) for _ in range(chosen.randrange(16)))
            case _:
                changed = changed[:at] if chosen.random() < 0.2 else changed
    return bytes(changed)
