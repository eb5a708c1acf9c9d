"""Bytes, sizes, allocation, sparse files, times, attributes, extended attributes and security of a file."""

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.extended_attributes import Ea
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.se.security import ADMINISTRATOR_SUBJECT, Ace, Descriptor
from tests.reference.fs.conftest import Volume, status_of_call


def test_bytes_come_back_and_reads_stop_at_the_end(volume: Volume) -> None:
    stream = volume.make(r"\a").stream
    assert volume.files.write(stream, 3, b"data") == 4

    assert volume.files.read(stream, 0, 100) == b"\0\0\0data"
    assert status_of_call(volume.files.read, stream, 7, 1) == NtStatus.END_OF_FILE


@pytest.mark.parametrize("name", [r"\a", r"\a:s"])
def test_what_is_cut_off_is_zeros_when_the_file_grows_again(volume: Volume, name: str) -> None:
    opened = volume.make(name)
    volume.files.write(opened.stream, 0, b"x" * 100)
    volume.files.set_end_of_file(opened, 10)
    volume.files.set_end_of_file(opened, 20)

    assert volume.files.read(opened.stream, 0, 100) == b"x" * 10 + bytes(10)


def test_a_paging_write_never_extends_a_file(volume: Volume) -> None:
    stream = volume.make(r"\a").stream
    volume.files.write(stream, 0, b"12345")
    volume.files.write(stream, 0, b"x" * 4096, paging=True)

    assert volume.files.size(stream) == 5


def test_allocation_rounds_to_clusters_and_cuts_below_the_end(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.files.write(opened.stream, 0, b"x" * 5000)
    assert volume.files.facts(opened).allocation_size == 8192
    volume.files.set_allocation(opened, 20000)
    assert volume.files.facts(opened).allocation_size == 20480
    assert volume.files.facts(opened).end_of_file == 5000

    volume.files.set_allocation(opened, 100)
    assert volume.files.facts(opened).end_of_file == 100


def test_a_sparse_file_is_allocated_where_it_was_written(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.files.set_sparse(opened.stream, sparse=True)
    volume.files.resize(opened.stream, 0x40000)
    volume.files.write(opened.stream, 0x10000, b"x" * 0x20000)

    assert volume.files.facts(opened).attributes & 0x200
    assert volume.files.allocated_ranges(opened.stream, 0, 0x40000) == [(0x10000, 0x20000)]
    volume.files.set_zero(opened.stream, 0x10000, 0x20000)
    assert volume.files.allocated_ranges(opened.stream, 0, 0x40000) == [(0x20000, 0x10000)]
    assert volume.files.read(opened.stream, 0x10000, 0x10000) == bytes(0x10000)


def test_a_write_sets_the_times_unless_the_handle_keeps_them(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.clock[0] += 1000
    volume.files.written(opened)
    assert volume.files.facts(opened).last_write_time == volume.clock[0]

    volume.files.set_basic(opened, (0, 0, -1, 0), 0)
    volume.clock[0] += 1000
    volume.files.written(opened)
    assert volume.files.facts(opened).last_write_time == volume.clock[0] - 1000


@pytest.mark.parametrize(
    ("times", "attributes"), [((0, 0, -3, 0), 0), ((0, 0, 0, 0), 0x10)], ids=["a time below -2", "a directory"]
)
def test_basic_information_that_cannot_be_is_refused(volume: Volume, times: tuple, attributes: int) -> None:
    opened = volume.make(r"\a")

    assert status_of_call(volume.files.set_basic, opened, times, attributes) == NtStatus.INVALID_PARAMETER


def test_attributes_of_a_file_without_any_are_normal(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.files.set_basic(opened, (0, 0, 0, 0), 0x80)

    assert volume.files.facts(opened).attributes == 0x80


def test_changes_are_told_by_what_they_change(volume: Volume) -> None:
    opened = volume.make(r"\a")
    assert volume.told() == [("ADDED", "a")]
    volume.files.write(opened.stream, 0, b"data")
    volume.files.written(opened)
    assert volume.told() == []
    volume.clock[0] += 1
    volume.files.written(opened)
    volume.files.report_data_changes(opened)
    assert volume.changes[0].what == 0x18
    assert volume.told() == [("MODIFIED", "a")]
    volume.rename(opened, "b")
    assert volume.told() == [("RENAMED_OLD_NAME", "a"), ("RENAMED_NEW_NAME", "b")]
    volume.mark(opened)
    volume.close(opened)
    assert volume.told() == [("REMOVED", "b")]


# -- extended attributes


def test_extended_attributes_are_merged_by_name(volume: Volume) -> None:
    opened = volume.make(r"\a")
    first = extended_attributes.answer([Ea("one", b"1"), Ea("two", b"22")], 100, single=False)[0]
    volume.files.set_eas(opened, first)
    volume.files.set_eas(opened, extended_attributes.answer([Ea("ONE", b"")], 100, single=False)[0])

    assert extended_attributes.of(opened.inode) == [Ea("TWO", b"22")]
    assert volume.files.facts(opened).ea_size == 14


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", NtStatus.EA_LIST_INCONSISTENT),
        (b"\0\0\0\0\0\x05\0\0ab\0", NtStatus.EA_LIST_INCONSISTENT),
        (b"\0\0\0\0\0\x01\0\0*\0", NtStatus.INVALID_EA_NAME),
        (b"\0\0\0\0\0\0\0\0\0", NtStatus.INVALID_EA_NAME),
        (b"\x03\0\0\0\0\x01\0\0a\0", NtStatus.EA_LIST_INCONSISTENT),
    ],
)
def test_lists_of_extended_attributes_that_cannot_be_are_refused(data: bytes, status: NtStatus) -> None:
    assert status_of_call(extended_attributes.parse, data) == status


# -- security


def deny(mask: int) -> Descriptor:
    return Descriptor(
        security.SYSTEM,
        security.SYSTEM,
        (Ace(1, 0, mask, security.ADMINISTRATORS), Ace(0, 0, 0x1F01FF, security.USERS)),
    )


def test_a_denied_right_is_denied_to_programs_and_not_to_drivers(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.files.set_security(opened, security.DACL_INFORMATION, deny(0x2).pack())

    assert volume.refusal(r"\a", access=0x2, subject=ADMINISTRATOR_SUBJECT) == NtStatus.ACCESS_DENIED
    assert volume.open(r"\a", access=0x1, subject=ADMINISTRATOR_SUBJECT).access == 0x1
    assert volume.open(r"\a", access=0x2)
    everything = volume.open(r"\a", access=0x0200_0000, subject=ADMINISTRATOR_SUBJECT).access
    assert everything & 0x3 == 0x1


def test_a_new_file_inherits_from_its_directory(volume: Volume) -> None:
    directory = volume.directory(r"\d")
    volume.files.set_security(
        directory,
        security.DACL_INFORMATION,
        Descriptor(dacl=(Ace(0, 1, 0x1, security.ADMINISTRATORS), Ace(0, 0, 0x1F01FF, security.EVERYONE))).pack(),
    )
    made = volume.make(r"\d\f", subject=ADMINISTRATOR_SUBJECT)

    assert volume.files.descriptor(made.inode).dacl == (Ace(0, 0x10, 0x1, security.ADMINISTRATORS),)
    assert volume.refusal(r"\d\f", access=0x2, subject=ADMINISTRATOR_SUBJECT) == NtStatus.ACCESS_DENIED


def test_a_descriptor_survives_its_bytes() -> None:
    whole = Descriptor(security.SYSTEM, security.USERS, (Ace(0, 3, 0x1F01FF, security.EVERYONE),), (), 0x1000)

    assert security.unpack(whole.pack()).dacl == whole.dacl
    assert security.unpack(security.selected(whole.pack(), security.OWNER_INFORMATION)).group == b""
    assert status_of_call(security.unpack, b"\1\0\4") == NtStatus.INVALID_SECURITY_DESCR


@pytest.mark.parametrize("name", [r"\a", r"\a:s"])
def test_what_was_never_written_takes_no_room(volume: Volume, name: str) -> None:
    stream = volume.make(name).stream
    volume.files.set_sparse(stream, sparse=True)
    end = 1 << 42
    volume.files.resize(stream, end)
    volume.files.write(stream, end - 100, b"end")
    volume.files.write(stream, 0xFFFF, b"across")

    volume.files.set_zero(stream, 0, end - 99)

    assert volume.files.read(stream, 0xFFFF, 6) == bytes(6)
    assert volume.files.read(stream, end - 101, 1000) == b"\0\0nd" + bytes(97)


def test_a_file_that_is_not_sparse_grows_as_far_as_there_is_room(volume: Volume) -> None:
    stream = volume.make(r"\a").stream

    assert status_of_call(volume.files.resize, stream, 1 << 43) == NtStatus.DISK_FULL
    assert status_of_call(volume.files.write, stream, 1 << 43, b"x") == NtStatus.DISK_FULL
