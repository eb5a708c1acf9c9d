"""MDL."""

from harness.reference.machine.memory.structure import Field, Structure


class MdlView(Structure):
    """MDL; the page frame numbers follow it."""

    SIZE = 0x30
    next = Field(0x00)
    size = Field(0x08, "h")
    mdl_flags = Field(0x0A, "h")
    process = Field(0x10)
    mapped_system_va = Field(0x18)
    start_va = Field(0x20)
    byte_count = Field(0x28, "I")
    byte_offset = Field(0x2C, "I")
