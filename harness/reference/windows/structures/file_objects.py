"""FILE_OBJECT, and what its pointers lead to."""

from harness.reference.machine.memory.structure import Field, Structure

IO_TYPE_FILE = 5


class FileObjectView(Structure):
    """FILE_OBJECT."""

    SIZE = 0xD8
    type = Field(0x00, "H")
    size = Field(0x02, "H")
    device_object = Field(0x08)
    vpb = Field(0x10)
    fs_context = Field(0x18)
    fs_context2 = Field(0x20)
    section_object_pointer = Field(0x28)
    private_cache_map = Field(0x30)
    final_status = Field(0x38, "I")
    related_file_object = Field(0x40)
    lock_operation = Field(0x48, "B")
    delete_pending = Field(0x49, "B")
    read_access = Field(0x4A, "B")
    write_access = Field(0x4B, "B")
    delete_access = Field(0x4C, "B")
    shared_read = Field(0x4D, "B")
    shared_write = Field(0x4E, "B")
    shared_delete = Field(0x4F, "B")
    flags = Field(0x50, "I")
    file_name = Field(0x58)
    current_byte_offset = Field(0x68, "q")
    waiters = Field(0x70, "I")
    busy = Field(0x74, "I")
    last_lock = Field(0x78)
    lock = Field(0x80)
    event = Field(0x98)
    completion_context = Field(0xB0)
    irp_list_lock = Field(0xB8)
    irp_list = Field(0xC0)
    file_object_extension = Field(0xD0)


class SectionObjectPointers(Structure):
    """SECTION_OBJECT_POINTERS."""

    SIZE = 0x18
    data_section_object = Field(0x00)
    shared_cache_map = Field(0x08)
    image_section_object = Field(0x10)


class CommonFcbHeader(Structure):
    """FSRTL_COMMON_FCB_HEADER."""

    SIZE = 0x30
    node_type_code = Field(0x00, "h")
    node_byte_size = Field(0x02, "h")
    flags = Field(0x04, "B")
    is_fast_io_possible = Field(0x05, "B")
    flags2 = Field(0x06, "B")
    resource = Field(0x08)
    paging_io_resource = Field(0x10)
    allocation_size = Field(0x18, "q")
    file_size = Field(0x20, "q")
    valid_data_length = Field(0x28, "q")


class AdvancedFcbHeader(CommonFcbHeader):
    """FSRTL_ADVANCED_FCB_HEADER."""

    SIZE = 0x70
    fast_mutex = Field(0x30)
    filter_contexts = Field(0x38)
    push_lock = Field(0x48)
    file_context_support_pointer = Field(0x50)
    oplock = Field(0x58)
    ae_push_lock = Field(0x60)
    bypass_io_open_count = Field(0x68, "I")


FSRTL_FLAG_ADVANCED_HEADER = 0x40
FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS = 0x02
