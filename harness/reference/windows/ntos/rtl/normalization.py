"""Normal forms of Unicode text: RtlNormalizeString, RtlIsNormalizedString."""

from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import I32, NTOSKRNL, U32, export
from harness.reference.windows.ntos.rtl.text import encode

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_FORMS: dict[int, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {1: "NFC", 2: "NFD", 5: "NFKC", 6: "NFKD"}
_NO_UNICODE_TRANSLATION = 0xC0000717
_MOST = 0x10_0000


def _source(k: "Kernel", source: int, length: int) -> tuple[int, str]:
    """(NTSTATUS, text): of a length in characters, or with the NUL that ends it for -1."""
    if not source or not -1 <= length <= _MOST:
        return int(NtStatus.INVALID_PARAMETER), ""
    raw = k.memory.read(source, 2 * length) if length >= 0 else encode(k.memory.read_wide(source) + "\0")
    try:
        return 0, raw.decode("utf-16-le")
    except UnicodeDecodeError:
        return _NO_UNICODE_TRANSLATION, ""


@export(NTOSKRNL, "RtlNormalizeString", max_irql=Irql.PASSIVE)
def rtl_normalize_string(k: "Kernel", form: U32, source: int, length: I32, target: int, room_at: int) -> int:
    """The length that is needed without a room, and with one that is too small (BUFFER_TOO_SMALL)."""
    if form not in _FORMS:
        return int(NtStatus.INVALID_PARAMETER)
    status, text = _source(k, source, length)
    if status:
        return status
    room = k.memory.read_u32(room_at)
    data = encode(normalize(_FORMS[form], text))
    k.memory.write_u32(room_at, len(data) // 2)
    if not room:
        return 0
    if 2 * room < len(data):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(target, data)
    return 0


@export(NTOSKRNL, "RtlIsNormalizedString", max_irql=Irql.PASSIVE)
def rtl_is_normalized_string(k: "Kernel", form: U32, source: int, length: I32, answer: int) -> int:
    if form not in _FORMS:
        return int(NtStatus.INVALID_PARAMETER)
    status, text = _source(k, source, length)
    if not status:
        k.memory.write_u8(answer, int(normalize(_FORMS[form], text) == text))
    return status
