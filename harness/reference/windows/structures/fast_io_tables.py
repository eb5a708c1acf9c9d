"""FAST_IO_DISPATCH, FS_FILTER_CALLBACKS and FS_FILTER_CALLBACK_DATA."""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory


class FastIoDispatch(Structure):
    """FAST_IO_DISPATCH."""

    SIZE = 0xE0
    size_of_fast_io_dispatch = Field(0x00, "I")
    fast_io_check_if_possible = Field(0x08)
    fast_io_read = Field(0x10)
    fast_io_write = Field(0x18)
    fast_io_query_basic_info = Field(0x20)
    fast_io_query_standard_info = Field(0x28)
    fast_io_lock = Field(0x30)
    fast_io_unlock_single = Field(0x38)
    fast_io_unlock_all = Field(0x40)
    fast_io_unlock_all_by_key = Field(0x48)
    fast_io_device_control = Field(0x50)
    acquire_file_for_nt_create_section = Field(0x58)
    release_file_for_nt_create_section = Field(0x60)
    fast_io_detach_device = Field(0x68)
    fast_io_query_network_open_info = Field(0x70)
    acquire_for_mod_write = Field(0x78)
    mdl_read = Field(0x80)
    mdl_read_complete = Field(0x88)
    prepare_mdl_write = Field(0x90)
    mdl_write_complete = Field(0x98)
    fast_io_read_compressed = Field(0xA0)
    fast_io_write_compressed = Field(0xA8)
    mdl_read_complete_compressed = Field(0xB0)
    mdl_write_complete_compressed = Field(0xB8)
    fast_io_query_open = Field(0xC0)
    release_for_mod_write = Field(0xC8)
    acquire_for_cc_flush = Field(0xD0)
    release_for_cc_flush = Field(0xD8)

    @staticmethod
    def routine(memory: "Memory", table: int, field: Field) -> int:
        """A routine of a driver's table; 0 where there is no table, it ends before, or has none."""
        if not table or memory.read_u32(table) < field.offset + 8:
            return 0
        return memory.read_u64(table + field.offset)


class FsFilterCallbacks(Structure):
    """FS_FILTER_CALLBACKS: pairs of pre and post routines."""

    SIZE = 0x78
    size_of_fs_filter_callbacks = Field(0x00, "I")
    pre_acquire_for_section_synchronization = Field(0x08)
    post_acquire_for_section_synchronization = Field(0x10)
    pre_release_for_section_synchronization = Field(0x18)
    post_release_for_section_synchronization = Field(0x20)
    pre_acquire_for_cc_flush = Field(0x28)
    post_acquire_for_cc_flush = Field(0x30)
    pre_release_for_cc_flush = Field(0x38)
    post_release_for_cc_flush = Field(0x40)
    pre_acquire_for_modified_page_writer = Field(0x48)
    post_acquire_for_modified_page_writer = Field(0x50)
    pre_release_for_modified_page_writer = Field(0x58)
    post_release_for_modified_page_writer = Field(0x60)
    pre_query_open = Field(0x68)
    post_query_open = Field(0x70)


class FsFilterCallbackData(Structure):
    """FS_FILTER_CALLBACK_DATA."""

    SIZE = 0x40
    size_of_fs_filter_callback_data = Field(0x00, "I")
    operation = Field(0x04, "B")
    device_object = Field(0x08)
    file_object = Field(0x10)
    parameters = Field(0x18)
