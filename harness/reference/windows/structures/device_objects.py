"""DRIVER_OBJECT, DEVICE_OBJECT and what belongs to them."""

from harness.reference.machine.memory.structure import Field, Structure

IO_TYPE_DEVICE = 3
IO_TYPE_DRIVER = 4
IO_TYPE_VPB = 10
IO_TYPE_DEVICE_OBJECT_EXTENSION = 13
MAJOR_FUNCTIONS = 28


class DriverObject(Structure):
    """DRIVER_OBJECT."""

    SIZE = 0x150
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    device_object = Field(0x08)
    flags = Field(0x10, "I")
    driver_start = Field(0x18)
    driver_size = Field(0x20, "I")
    driver_section = Field(0x28)
    driver_extension = Field(0x30)
    driver_name = Field(0x38)
    hardware_database = Field(0x48)
    fast_io_dispatch = Field(0x50)
    driver_init = Field(0x58)
    driver_start_io = Field(0x60)
    driver_unload = Field(0x68)
    major_function = Field(0x70)
    NAME = 0x38
    MAJOR_FUNCTION = 0x70


class DriverExtension(Structure):
    """DRIVER_EXTENSION; what follows ServiceKeyName is not documented, and the offsets of it are ours."""

    SIZE = 0x60
    driver_object = Field(0x00)
    add_device = Field(0x08)
    count = Field(0x10, "I")
    service_key_name = Field(0x18)
    FS_FILTER_CALLBACKS = 0x30
    CLIENT_EXTENSIONS = 0x38


class DeviceObject(Structure):
    """DEVICE_OBJECT. It is aligned to 16 bytes, so that its size is 8 more than its members'."""

    SIZE = 0x150
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    reference_count = Field(0x04, "i")
    driver_object = Field(0x08)
    next_device = Field(0x10)
    attached_device = Field(0x18)
    current_irp = Field(0x20)
    timer = Field(0x28)
    flags = Field(0x30, "I")
    characteristics = Field(0x34, "I")
    vpb = Field(0x38)
    device_extension = Field(0x40)
    device_type = Field(0x48, "I")
    stack_size = Field(0x4C, "B")
    alignment_requirement = Field(0x98, "I")
    security_descriptor = Field(0x110)
    device_lock = Field(0x118)
    sector_size = Field(0x130, "H")
    device_object_extension = Field(0x138)


class DeviceObjectExtension(Structure):
    """DEVOBJ_EXTENSION."""

    SIZE = 0x70
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    device_object = Field(0x08)
    extension_flags = Field(0x20, "I")
    attached_to = Field(0x30)
    vpb = Field(0x48)


class Vpb(Structure):
    """VPB: the volume parameter block that ties a mounted file system's device to the storage device."""

    SIZE = 0x60
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    flags = Field(0x04, "H")
    volume_label_length = Field(0x06, "H")
    device_object = Field(0x08)
    real_device = Field(0x10)
    serial_number = Field(0x18, "I")
    reference_count = Field(0x1C, "I")
    volume_label = Field(0x20)
    LABEL = 0x20


VPB_MOUNTED, VPB_LOCKED, VPB_PERSISTENT, VPB_REMOVE_PENDING = 0x1, 0x2, 0x4, 0x8
