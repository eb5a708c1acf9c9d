"""Callbacks that only an image linked with /INTEGRITYCHECK may register."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_FORCE_INTEGRITY = 0x0080
"""IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY."""
_NEW_HEADER, _DLL_CHARACTERISTICS = 0x3C, 24 + 70


def is_signed(k: "Executive", routine: int, function: str) -> bool:
    """Whether the image that a routine is in says that its signature must be checked; the log says so if not."""
    image = k.images.at(routine)
    if image is None:
        return False
    header = image.base + k.memory.read_u32(image.base + _NEW_HEADER)
    signed = bool(k.memory.read_u16(header + _DLL_CHARACTERISTICS) & _FORCE_INTEGRITY)
    if not signed:
        k.probes.happened((f"{function} refuses {image.name}: it is not linked with /INTEGRITYCHECK",))
    return signed
