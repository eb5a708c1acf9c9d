"""Creates: names, dispositions, attributes, streams, ids, sharing."""

import errno
import os

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import Reparse, status_of
from harness.reference.windows.fs.inode import FileAttributes
from harness.reference.windows.fs.opens import CreateResult, Disposition
from tests.reference.fs.conftest import Volume, status_of_call

READ, WRITE, DELETE = 0x1, 0x2, 0x10000
HIDDEN, SYSTEM, READONLY, ARCHIVE = 0x2, 0x4, 0x1, 0x20
DIRECTORY_FILE, NON_DIRECTORY, DELETE_ON_CLOSE, BY_ID, REPARSE = 0x1, 0x40, 0x1000, 0x2000, 0x200000


def test_names_are_found_whatever_their_case_and_keep_theirs(volume: Volume) -> None:
    first = volume.make(r"\Report.TXT")
    again = volume.open(r"\REPORT.txt")

    assert again.inode is first.inode
    assert again.path == r"\Report.TXT"


@pytest.mark.parametrize(
    "name",
    [r"\..\escape", r"\a\..\b", r"\wild*card", "\\new\nline", r"\a/b", r"\a:b:c:d", r"\a:", r"\a:b:$NONE", r"\\\a"],
)
def test_names_that_windows_refuses_never_reach_the_host(volume: Volume, name: str) -> None:
    assert volume.refusal(name, disposition=Disposition.OPEN_IF) == NtStatus.OBJECT_NAME_INVALID
    assert list(volume.root.iterdir()) == []


@pytest.mark.parametrize("name", ["ends.", "ends ", "a.b.c", "$odd", "ä", "con"])
def test_names_that_only_win32_refuses_are_names(volume: Volume, name: str) -> None:
    assert volume.make("\\" + name).path == "\\" + name


def test_a_component_is_no_longer_than_255(volume: Volume) -> None:
    assert volume.make("\\" + "a" * 255)
    assert volume.refusal("\\" + "a" * 256, disposition=Disposition.CREATE) == NtStatus.OBJECT_NAME_INVALID


def test_a_link_of_the_host_is_never_followed(volume: Volume) -> None:
    (volume.root / "link").symlink_to(volume.root.parent)

    assert volume.refusal(r"\link\x") == NtStatus.OBJECT_PATH_NOT_FOUND


def test_a_missing_file_and_a_missing_directory_differ(volume: Volume) -> None:
    volume.make(r"\file")

    assert volume.refusal(r"\none") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert volume.refusal(r"\none\file") == NtStatus.OBJECT_PATH_NOT_FOUND
    assert volume.refusal(r"\file\below") == NtStatus.OBJECT_PATH_NOT_FOUND


def test_a_backslash_at_the_end_asks_for_a_directory(volume: Volume) -> None:
    assert volume.refusal("\\f\\", disposition=Disposition.CREATE) == NtStatus.OBJECT_NAME_INVALID
    assert volume.make("\\d\\", options=DIRECTORY_FILE).stream.directory
    assert volume.open("\\d\\").path == r"\d"
    volume.make(r"\f")
    assert volume.refusal("\\f\\") == NtStatus.OBJECT_NAME_INVALID
    assert volume.refusal("\\f\\", options=DIRECTORY_FILE) == NtStatus.NOT_A_DIRECTORY


@pytest.mark.parametrize(
    ("disposition", "there", "result"),
    [
        (Disposition.SUPERSEDE, False, CreateResult.CREATED),
        (Disposition.SUPERSEDE, True, CreateResult.SUPERSEDED),
        (Disposition.OPEN, False, NtStatus.OBJECT_NAME_NOT_FOUND),
        (Disposition.OPEN, True, CreateResult.OPENED),
        (Disposition.CREATE, False, CreateResult.CREATED),
        (Disposition.CREATE, True, NtStatus.OBJECT_NAME_COLLISION),
        (Disposition.OPEN_IF, False, CreateResult.CREATED),
        (Disposition.OPEN_IF, True, CreateResult.OPENED),
        (Disposition.OVERWRITE, False, NtStatus.OBJECT_NAME_NOT_FOUND),
        (Disposition.OVERWRITE, True, CreateResult.OVERWRITTEN),
        (Disposition.OVERWRITE_IF, False, CreateResult.CREATED),
        (Disposition.OVERWRITE_IF, True, CreateResult.OVERWRITTEN),
    ],
)
def test_each_disposition_does_what_it_says(
    volume: Volume, disposition: Disposition, there: bool, result: CreateResult | NtStatus
) -> None:
    if there:
        opened = volume.make(r"\f")
        volume.files.write(opened.stream, 0, b"old")

    if isinstance(result, NtStatus):
        assert volume.refusal(r"\f", disposition=disposition) == result
    else:
        opened = volume.open(r"\f", disposition=disposition)
        assert opened.result == result
        assert volume.files.size(opened.stream) == (3 if result is CreateResult.OPENED else 0)


@pytest.mark.parametrize("disposition", [Disposition.OVERWRITE, Disposition.OVERWRITE_IF])
@pytest.mark.parametrize("attributes", [HIDDEN, SYSTEM, READONLY, HIDDEN | SYSTEM])
def test_an_overwrite_has_to_know_what_it_overwrites(volume: Volume, disposition: int, attributes: int) -> None:
    volume.close(volume.make(r"\f", attributes=attributes))

    assert volume.refusal(r"\f", access=READ, disposition=disposition) == NtStatus.ACCESS_DENIED
    if not attributes & READONLY:
        opened = volume.open(r"\f", access=READ, disposition=disposition, attributes=attributes)
        assert volume.files.facts(opened).attributes == attributes | ARCHIVE


def test_an_overwrite_adds_attributes_and_a_supersede_replaces_them(volume: Volume) -> None:
    volume.close(volume.make(r"\f"))

    opened = volume.open(r"\f", disposition=Disposition.OVERWRITE, attributes=READONLY)
    assert volume.files.facts(opened).attributes == READONLY | ARCHIVE
    volume.close(opened)
    opened = volume.open(r"\f", access=READ, disposition=Disposition.SUPERSEDE)
    assert volume.files.facts(opened).attributes == ARCHIVE
    volume.close(opened)
    opened = volume.open(r"\f", access=READ, disposition=Disposition.SUPERSEDE, attributes=READONLY)
    assert volume.files.facts(opened).attributes == READONLY | ARCHIVE


def test_a_read_only_file_is_neither_written_nor_deleted(volume: Volume) -> None:
    maker = volume.make(r"\f", attributes=READONLY)
    volume.files.write(maker.stream, 0, b"by its maker")

    assert volume.refusal(r"\f", access=WRITE) == NtStatus.ACCESS_DENIED
    assert volume.refusal(r"\f", access=DELETE, options=DELETE_ON_CLOSE) == NtStatus.CANNOT_DELETE
    assert status_of_call(volume.mark, volume.open(r"\f", access=DELETE)) == NtStatus.CANNOT_DELETE
    volume.mark(volume.open(r"\f", access=DELETE), ignore_read_only=True)


def test_a_directory_is_what_it_is(volume: Volume) -> None:
    volume.directory(r"\d")
    volume.make(r"\f")

    assert volume.refusal(r"\d", options=NON_DIRECTORY) == NtStatus.FILE_IS_A_DIRECTORY
    assert volume.refusal(r"\f", options=DIRECTORY_FILE) == NtStatus.NOT_A_DIRECTORY
    assert volume.refusal(r"\d", disposition=Disposition.OVERWRITE) == NtStatus.OBJECT_NAME_COLLISION
    assert volume.refusal("\\", options=NON_DIRECTORY) == NtStatus.FILE_IS_A_DIRECTORY
    assert volume.refusal("\\", disposition=Disposition.CREATE, options=DIRECTORY_FILE) == NtStatus.ACCESS_DENIED


def test_nothing_is_made_in_a_directory_that_is_going(volume: Volume) -> None:
    directory = volume.directory(r"\d")
    volume.mark(directory)

    assert volume.refusal(r"\d\f", disposition=Disposition.CREATE) == NtStatus.DELETE_PENDING
    assert volume.refusal(r"\d") == NtStatus.DELETE_PENDING


@pytest.mark.parametrize(
    ("first", "share", "second", "allowed"),
    [
        (READ, 1, READ, True),
        (READ, 1, WRITE, False),
        (READ, 0, 0x80, True),
        (READ, 3, DELETE, False),
        (READ, 7, DELETE, True),
        (0x80, 0, WRITE, True),
    ],
)
def test_share_modes_hold(volume: Volume, first: int, share: int, second: int, allowed: bool) -> None:
    volume.make(r"\a", access=first, share=share)

    if allowed:
        assert volume.open(r"\a", access=second)
    else:
        assert volume.refusal(r"\a", access=second) == NtStatus.SHARING_VIOLATION


def test_sharing_ends_at_cleanup_not_at_close(volume: Volume) -> None:
    alone = volume.make(r"\a", share=0)
    volume.cleanup(alone)

    assert volume.open(r"\a", share=0)


def test_streams_have_bytes_and_sharing_of_their_own(volume: Volume) -> None:
    whole = volume.make(r"\f", share=0)
    stream = volume.make(r"\f:note")
    volume.files.write(stream.stream, 0, b"aside")

    assert volume.files.size(whole.stream) == 0
    assert volume.open(r"\F:NOTE:$data").stream is stream.stream
    assert stream.path == r"\f:note"
    assert volume.refusal(r"\f::$DATA", access=READ) == NtStatus.SHARING_VIOLATION
    assert volume.refusal(r"\f:other") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert (volume.root / "f").read_bytes() == b""


def test_a_stream_of_a_file_that_is_not_there_makes_the_file(volume: Volume) -> None:
    volume.make(r"\new:s")

    assert volume.open(r"\new").inode.streams.keys() == {"", "S"}


def test_the_data_of_a_directory_is_its_index(volume: Volume) -> None:
    volume.directory(r"\d")

    assert volume.refusal(r"\d::$DATA") == NtStatus.FILE_IS_A_DIRECTORY
    assert volume.refusal(r"\d::$DATA", options=DIRECTORY_FILE) == NtStatus.NOT_A_DIRECTORY
    assert volume.open(r"\d:$I30:$INDEX_ALLOCATION").stream.directory
    assert not volume.make(r"\d:s").stream.directory


def test_a_file_is_opened_by_its_id_whatever_it_is_called(volume: Volume) -> None:
    opened = volume.make(r"\f")
    name = opened.inode.reference.to_bytes(8, "little").decode("utf-16-le", "surrogatepass")
    volume.rename(opened, "g")

    assert volume.open(name, options=BY_ID).inode is opened.inode
    assert volume.open("\\" + name, options=BY_ID).path == r"\g"


def test_the_id_of_a_deleted_file_is_nobodys(volume: Volume) -> None:
    opened = volume.make(r"\f")
    old = opened.inode.reference
    volume.mark(opened)
    volume.close(opened)
    new = volume.make(r"\f")

    assert new.inode.number == old & 0xFFFF_FFFF_FFFF
    assert new.inode.reference != old
    name = old.to_bytes(8, "little").decode("utf-16-le", "surrogatepass")
    assert volume.refusal(name, options=BY_ID) == NtStatus.INVALID_PARAMETER


def test_a_name_may_be_relative_to_a_directory(volume: Volume) -> None:
    directory = volume.directory(r"\d")
    made = volume.make(r"a", related=directory)

    assert made.path == r"\d\a"
    assert volume.open("", related=directory).inode is directory.inode
    assert volume.open(":s", related=made, disposition=Disposition.CREATE).path == r"\d\a:s"
    assert volume.refusal(r"\d\a", related=directory) == NtStatus.INVALID_PARAMETER
    assert volume.refusal(r"x", related=made) == NtStatus.INVALID_PARAMETER


def test_the_directory_of_a_target_is_opened_and_whether_it_exists_is_told(volume: Volume) -> None:
    volume.directory(r"\d")
    volume.make(r"\d\a")

    assert volume.open(r"\d\a", target_directory=True).result == CreateResult.EXISTS
    there = volume.open(r"\d\b", target_directory=True)
    assert (there.result, there.path) == (CreateResult.DOES_NOT_EXIST, r"\d")
    assert volume.refusal(r"\none\b", target_directory=True) == NtStatus.OBJECT_PATH_NOT_FOUND


def test_a_reparse_point_stops_a_create_and_says_what_was_left(volume: Volume) -> None:
    directory = volume.directory(r"\d")
    directory.inode.reparse = b"\x03\0\0\xa0" + bytes(20)

    with pytest.raises(Reparse) as caught:
        volume.open(r"\d\below\file")
    assert (caught.value.tag, caught.value.remaining) == (0xA000_0003, r"\below\file")
    with pytest.raises(Reparse):
        volume.open(r"\d")
    opened = volume.open(r"\d", options=REPARSE)
    assert volume.files.facts(opened).attributes & FileAttributes.REPARSE_POINT


def test_the_files_of_the_volume_itself_are_nobodys(volume: Volume) -> None:
    assert volume.refusal(r"\$Mft") == NtStatus.ACCESS_DENIED


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.EIO, NtStatus.IO_DEVICE_ERROR),
        (errno.ENOSPC, NtStatus.DISK_FULL),
        (errno.EROFS, NtStatus.MEDIA_WRITE_PROTECTED),
        (errno.EXDEV, NtStatus.UNEXPECTED_IO_ERROR),
    ],
)
def test_host_errors_become_what_a_disk_would_have_caused(number: int, status: NtStatus) -> None:
    assert status_of(OSError(number, os.strerror(number))) == status
