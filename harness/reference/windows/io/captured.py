"""What a caller hands over by pointers, captured: security descriptors, absolute or self-relative."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory

_HEAD = 20
_SELF_RELATIVE = 0x8000
_SACL_PRESENT, _DACL_PRESENT = 0x0010, 0x0004


def read_descriptor(memory: "Memory", address: int) -> bytes:
    """A security descriptor of either form as a self-relative one; nothing for a NULL pointer."""
    if not address:
        return b""
    control = memory.read_u16(address + 2)
    if control & _SELF_RELATIVE:
        parts = [memory.read_u32(address + 4 + 4 * index) for index in range(4)]
        places = [address + offset if offset else 0 for offset in parts]
    else:
        places = [memory.read_u64(address + 8 + 8 * index) for index in range(4)]
    body, offsets = bytearray(), []
    for index, place in enumerate(places):
        present = index < 2 or control & (_SACL_PRESENT if index == 2 else _DACL_PRESENT)
        if not place or not present:
            offsets.append(0)
            continue
        length = 8 + 4 * memory.read_u8(place + 1) if index < 2 else memory.read_u16(place + 2)
        offsets.append(_HEAD + len(body))
        body += memory.read(place, length)
        body += bytes(-len(body) % 4)
    head = memory.read(address, 2) + (control | _SELF_RELATIVE).to_bytes(2, "little")
    return head + b"".join(offset.to_bytes(4, "little") for offset in offsets) + bytes(body)
