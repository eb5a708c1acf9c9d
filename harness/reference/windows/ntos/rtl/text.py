"""Text as Windows encodes and folds it, and counted strings of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


EINVAL, ERANGE = 22, 34
_CODE_PAGE = "cp1252"


def upcase(text: str) -> str:
    """Upper case, one character for one."""
    return "".join(character.upper() if len(character.upper()) == 1 else character for character in text)


def downcase(text: str) -> str:
    """Lower case, one character for one."""
    return "".join(character.lower() if len(character.lower()) == 1 else character for character in text)


def to_ansi(text: str) -> bytes:
    return text.encode(_CODE_PAGE, "replace")


def from_ansi(data: bytes) -> str:
    return data.decode(_CODE_PAGE, "replace")


def encode(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def allocate_buffer(k: "Executive", size: int) -> int:
    where = k.blame.current()
    return k.pool.allocate(size, "Strg", paged=True, owner=where.driver, allocated_by=where.address)


def set_string(k: "Executive", target: int, buffer: int, length: int, maximum: int) -> None:
    k.memory.write_unicode_string(target, buffer, length, maximum)


def copy_safely(k: "Executive", target: int, room: int, data: bytes, unit: int) -> int:
    """The _s functions: an errno_t, and an empty string where the source does not fit."""
    if not target or not room:
        return EINVAL
    if len(data) + unit > room * unit:
        k.memory.write(target, bytes(unit))
        return ERANGE
    k.memory.write(target, data + bytes(unit))
    return 0
