"""IRP and IO_STACK_LOCATION."""

from struct import Struct

from harness.reference.machine.memory.structure import Field, Structure

IO_TYPE_IRP = 6


class Irp(Structure):
    """IRP; its stack locations follow it in memory."""

    SIZE = 0xD0
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    mdl_address = Field(0x08)
    flags = Field(0x10, "I")
    system_buffer = Field(0x18)
    master_irp = Field(0x18)
    irp_count = Field(0x18, "i")
    thread_list_entry = Field(0x20)
    io_status = Field(0x30)
    requestor_mode = Field(0x40, "B")
    pending_returned = Field(0x41, "B")
    stack_count = Field(0x42, "B")
    current_location = Field(0x43, "B")
    cancel = Field(0x44, "B")
    cancel_irql = Field(0x45, "B")
    apc_environment = Field(0x46, "B")
    allocation_flags = Field(0x47, "B")
    user_iosb = Field(0x48)
    user_event = Field(0x50)
    user_apc_routine = Field(0x58)
    user_apc_context = Field(0x60)
    allocation_size = Field(0x58, "q")
    cancel_routine = Field(0x68)
    user_buffer = Field(0x70)
    driver_context = Field(0x78)
    thread = Field(0x98)
    auxiliary_buffer = Field(0xA0)
    list_entry = Field(0xA8)
    current_stack_location = Field(0xB8)
    original_file_object = Field(0xC0)

    STATUS = 0x30
    INFORMATION = 0x38

    IO_STATUS = Struct("<I4xQ")

    @property
    def status(self) -> int:
        return self.memory.read_u32(self.address + self.STATUS)

    @property
    def information(self) -> int:
        return self.memory.read_u64(self.address + self.INFORMATION)

    def set_io_status(self, status: int, information: int) -> None:
        """Store IoStatus."""
        self.memory.pack(self.IO_STATUS, self.address + self.STATUS, status & 0xFFFF_FFFF, information)


class IoStackLocation(Structure):
    """IO_STACK_LOCATION: what one driver of a device stack is asked."""

    SIZE = 0x48
    major_function = Field(0x00, "B")
    minor_function = Field(0x01, "B")
    flags = Field(0x02, "B")
    control = Field(0x03, "B")
    device_object = Field(0x28)
    file_object = Field(0x30)
    completion_routine = Field(0x38)
    context = Field(0x40)

    PARAMETERS = 0x08
    PARAMETERS_SIZE = 0x20


SL_PENDING_RETURNED = 0x01
SL_ERROR_RETURNED = 0x02
SL_INVOKE_ON_CANCEL = 0x20
SL_INVOKE_ON_SUCCESS = 0x40
SL_INVOKE_ON_ERROR = 0x80
"""Bits of IoStackLocation.control."""
