"""Sparse files keep their holes and have one name, whatever the file system did with them."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HostError
from harness.host import disk, fingerprint
from harness.host.disk import copy_sparse, free_mib, require_room, used_bytes, why_not_written

MIB = 1 << 20


@pytest.fixture
def sparse(tmp_path):
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 64 * MIB)
    with path.open("r+b") as file:
        file.seek(5 * MIB)
        file.write(b"here")
        file.seek(40 * MIB + 123)
        file.write(b"there")
    return path


def test_a_copy_has_the_same_content_and_the_same_holes(sparse, tmp_path):
    copy_sparse(sparse, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == sparse.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= sparse.stat().st_blocks + 256
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def test_a_file_of_nothing_but_a_hole_is_copied(tmp_path):
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", MIB)
    copy_sparse(tmp_path / "hole", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == bytes(MIB)


def test_the_name_of_a_file_does_not_depend_on_its_holes(sparse, tmp_path):
    full = tmp_path / "full"
    full.write_bytes(sparse.read_bytes())
    assert fingerprint.of_sparse_file(full) == fingerprint.of_sparse_file(sparse)


@settings(max_examples=30)
@given(offset=st.integers(0, MIB - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_changes_the_name(tmp_path_factory, offset, bit):
    path = tmp_path_factory.mktemp("flip") / "file"
    content = bytearray(MIB)
    content[1000:1004] = b"data"
    path.write_bytes(content)
    before = fingerprint.of_sparse_file(path)
    content[offset] ^= 1 << bit
    path.write_bytes(content)
    assert fingerprint.of_sparse_file(path) != before


def test_the_size_is_part_of_the_name(sparse):
    before = fingerprint.of_sparse_file(sparse)
    os.truncate(sparse, 65 * MIB)
    assert fingerprint.of_sparse_file(sparse) != before


def test_holes_take_no_room(sparse, tmp_path):
    assert used_bytes(tmp_path) < MIB


def test_room_is_looked_for_where_the_directory_will_be(tmp_path):
    assert free_mib(tmp_path / "not" / "yet") == free_mib(tmp_path)


def test_too_little_room_says_how_much_there_is_and_what_to_do(tmp_path):
    with pytest.raises(HostError, match="MiB are needed") as caught:
        require_room(tmp_path, 1 << 40, "hold the ocean")
    assert "FLTLAB_HOME" in (caught.value.hint or "")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP])
def test_a_copy_is_read_and_written_where_the_kernel_copies_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"begin")
        file.seek(1 << 20)
        file.write(b"end")

    copy_sparse(source, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("number", "files", "said", "remedy"),
    [
        (errno.ENOSPC, None, "MiB left", "make room"),
        (errno.EDQUOT, 100_000, "MiB left", "make room"),
        (errno.ENOSPC, 3, "takes 3 more files, however small (inodes)", "remove files"),
        (errno.EACCES, 100_000, "Permission denied", "can be written"),
        (errno.EROFS, 100_000, "Read-only file system", "can be written"),
        (errno.EIO, 3, "Input/output error", "can be written"),
    ],
)
def test_what_keeps_a_file_from_being_written_is_told_by_what_it_is(tmp_path, monkeypatch, number, files, said, remedy):
    monkeypatch.setattr(disk, "free_files", lambda _: files)

    details, to_do = why_not_written(OSError(number, os.strerror(number)), tmp_path)

    assert said in " ".join(details)
    assert remedy in to_do
    assert ("room" in to_do) == (remedy == "make room")


def test_files_are_looked_at_before_anything_large_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_files", lambda _: 63)
    with pytest.raises(HostError, match=r"63 more files, however small \(inodes\)(.|\n)*FLTLAB_HOME"):
        require_room(tmp_path, 0, "make a template")
    monkeypatch.setattr(disk, "free_files", lambda _: None)  # a file system without that limit
    require_room(tmp_path, 0, "make a template")
