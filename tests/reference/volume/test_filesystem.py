"""The volume keeps Windows' rules for names, sharing, deletion and sizes over a host directory."""

import errno
import os
from pathlib import Path

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs.errors import VolumeError, status_of
from harness.reference.windows.fs.filesystem import CreateOptions, CreateResult, Disposition, FileSystem, OpenFile
from harness.reference.windows.fs.sharing import Access, Share

READ_WRITE = Access.READ_DATA | Access.WRITE_DATA
ALL = Share.READ | Share.WRITE | Share.DELETE


@pytest.fixture
def volume(tmp_path: Path) -> FileSystem:
    return FileSystem(tmp_path)


def make(volume: FileSystem, name: str, *, access: int = READ_WRITE, share: int = ALL, options: int = 0) -> OpenFile:
    return volume.create(name, access, share, Disposition.OPEN_IF, options)


def refusal(volume: FileSystem, name: str, **changed: int) -> NtStatus:
    asked = {"access": int(READ_WRITE), "share": int(ALL), "disposition": int(Disposition.OPEN), "options": 0} | changed
    with pytest.raises(VolumeError) as caught:
        volume.create(name, **asked)
    return caught.value.status


def test_names_are_found_whatever_their_case(volume: FileSystem) -> None:
    first = make(volume, r"\Report.TXT")
    again = volume.create(r"\REPORT.txt", READ_WRITE, ALL, Disposition.OPEN, 0)
    assert (first.result, again.result) == (CreateResult.CREATED, CreateResult.OPENED)
    assert again.node is first.node


@pytest.mark.parametrize("name", [r"\..\escape", r"\a\..\..\b", r"\wild*card", r"\ends.", r"\stream:x", "\\new\nline"])
def test_names_that_windows_refuses_never_reach_the_host(volume: FileSystem, name: str) -> None:
    assert refusal(volume, name, disposition=Disposition.OPEN_IF) == NtStatus.OBJECT_NAME_INVALID


def test_a_link_of_the_host_is_never_followed(volume: FileSystem, tmp_path: Path) -> None:
    (volume.root / "link").symlink_to(tmp_path.parent)
    assert refusal(volume, r"\link\x") == NtStatus.OBJECT_NAME_INVALID


def test_a_missing_file_and_a_missing_directory_differ(volume: FileSystem) -> None:
    assert refusal(volume, r"\none") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert refusal(volume, r"\none\file") == NtStatus.OBJECT_PATH_NOT_FOUND


def test_create_refuses_what_exists(volume: FileSystem) -> None:
    make(volume, r"\a")
    assert refusal(volume, r"\a", disposition=Disposition.CREATE) == NtStatus.OBJECT_NAME_COLLISION


@pytest.mark.parametrize(
    ("first_share", "second_access", "allowed"),
    [
        (Share.READ, Access.READ_DATA, True),
        (Share.READ, Access.WRITE_DATA, False),
        (0, Access.READ_ATTRIBUTES, True),
        (Share.READ | Share.WRITE, Access.DELETE, False),
    ],
)
def test_share_modes_hold(volume: FileSystem, first_share: int, second_access: int, allowed: bool) -> None:
    make(volume, r"\a", access=Access.READ_DATA, share=first_share)
    if allowed:
        assert volume.create(r"\a", second_access, ALL, Disposition.OPEN, 0)
    else:
        assert refusal(volume, r"\a", access=second_access) == NtStatus.SHARING_VIOLATION


def test_sharing_ends_at_cleanup_not_at_close(volume: FileSystem) -> None:
    alone = make(volume, r"\a", share=0)
    volume.cleanup(alone)
    assert make(volume, r"\a", share=0)


def test_delete_on_close_removes_the_file_at_the_last_cleanup(volume: FileSystem) -> None:
    doomed = make(volume, r"\a", access=READ_WRITE | Access.DELETE, options=CreateOptions.DELETE_ON_CLOSE)
    other = make(volume, r"\a")
    assert not volume.cleanup(doomed)
    assert refusal(volume, r"\a") == NtStatus.DELETE_PENDING
    assert volume.cleanup(other)
    assert refusal(volume, r"\a") == NtStatus.OBJECT_NAME_NOT_FOUND


def test_a_full_directory_is_not_deleted(volume: FileSystem) -> None:
    directory = make(volume, r"\d", options=CreateOptions.DIRECTORY_FILE)
    make(volume, r"\d\a")
    with pytest.raises(VolumeError) as caught:
        volume.set_disposition(directory.node, delete=True)
    assert caught.value.status == NtStatus.DIRECTORY_NOT_EMPTY


def test_bytes_come_back_and_reads_stop_at_the_end(volume: FileSystem) -> None:
    node = make(volume, r"\a").node
    assert volume.write(node, 3, b"data") == 4
    assert volume.read(node, 0, 100) == b"\0\0\0data"
    with pytest.raises(VolumeError) as caught:
        volume.read(node, 7, 1)
    assert caught.value.status == NtStatus.END_OF_FILE


def test_a_paging_write_never_extends_a_file(volume: FileSystem) -> None:
    node = make(volume, r"\a").node
    volume.write(node, 0, b"12345")
    volume.write(node, 0, b"x" * 4096, paging=True)
    assert volume.size(node) == 5


def test_rename_keeps_the_open_file_and_refuses_to_replace_unasked(volume: FileSystem) -> None:
    a, b = make(volume, r"\a"), make(volume, r"\b")
    with pytest.raises(VolumeError) as caught:
        volume.rename(a.node, r"\b", replace=False)
    assert caught.value.status == NtStatus.OBJECT_NAME_COLLISION
    volume.rename(a.node, r"\c", replace=False)
    volume.write(a.node, 0, b"moved")
    assert (volume.root / "c").read_bytes() == b"moved"
    assert b.node.relative == r"\b"


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


def test_allocation_rounds_to_clusters_and_cuts_below_the_end(volume: FileSystem) -> None:
    node = make(volume, r"\a").node
    volume.write(node, 0, b"x" * 5000)
    assert volume.facts(node).allocation_size == 8192
    volume.set_allocation(node, 100)
    assert volume.facts(node).end_of_file == 100
