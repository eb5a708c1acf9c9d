"""Sparse files keep their holes and have one name, whatever the file system did with them."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HostError
from harness.host import fingerprint
from harness.host.disk import copy_sparse, free_mib, require_room, used_bytes

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


@settings(max_examples=30, deadline=None)
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
