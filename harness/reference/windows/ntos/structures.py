"""Structures that drivers hand to exports."""

from harness.reference.machine.memory.structure import Field, Structure

OBJ_INHERIT = 0x02
OBJ_CASE_INSENSITIVE = 0x40
OBJ_OPENIF = 0x80
OBJ_KERNEL_HANDLE = 0x200


class ObjectAttributes(Structure):
    """OBJECT_ATTRIBUTES."""

    SIZE = 0x30
    length = Field(0x00, "I")
    root_directory = Field(0x08)
    object_name = Field(0x10)
    attributes = Field(0x18, "I")
    security_descriptor = Field(0x20)
    security_quality_of_service = Field(0x28)


class ClientId(Structure):
    """CLIENT_ID."""

    SIZE = 0x10
    process = Field(0x00)
    thread = Field(0x08)


class IoStatusBlock(Structure):
    """IO_STATUS_BLOCK."""

    SIZE = 0x10
    status = Field(0x00, "I")
    information = Field(0x08)


class UnicodeString(Structure):
    """UNICODE_STRING and ANSI_STRING; lengths in bytes."""

    SIZE = 0x10
    length = Field(0x00, "H")
    maximum_length = Field(0x02, "H")
    buffer = Field(0x08)
