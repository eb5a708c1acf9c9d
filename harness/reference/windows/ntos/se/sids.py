"""Security identifiers."""

_REVISION = 1


def sid_bytes(authority: int, *sub_authorities: int) -> bytes:
    """A SID."""
    head = bytes((_REVISION, len(sub_authorities))) + authority.to_bytes(6, "big")
    return head + b"".join(part.to_bytes(4, "little") for part in sub_authorities)


def sid_text(raw: bytes) -> str:
    """S-1-..."""
    authority = int.from_bytes(raw[2:8], "big")
    parts = [int.from_bytes(raw[at : at + 4], "little") for at in range(8, len(raw), 4)]
    return "-".join(("S", str(raw[0]), str(authority), *(str(part) for part in parts)))
