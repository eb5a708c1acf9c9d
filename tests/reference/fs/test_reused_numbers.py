"""The host gives the number of a file that is gone to another one: that is another file here too."""

from pathlib import Path

import pytest

from harness.reference.windows.fs.filesystem import FileSystem

NAMES = ("first.bin", "second.bin")


def test_a_number_that_the_host_uses_again_is_another_file(tmp_path: Path) -> None:
    files = FileSystem(tmp_path, lambda: 0)
    root = files.store.root
    first = tmp_path / NAMES[0]
    first.write_bytes(b"one")
    known = files.store.lookup(root, NAMES[0])
    assert known is not None
    number = first.stat().st_ino
    first.unlink()
    second = tmp_path / NAMES[1]
    second.write_bytes(b"two")
    if second.stat().st_ino != number:
        pytest.skip("this host does not use the number again at once")

    found = files.store.lookup(root, NAMES[1])

    assert found is not None
    assert found.inode is not known.inode
    assert found.inode.default_stream.data.read(0, 3) == b"two"
    assert files.store.lookup(root, NAMES[0]) is None


def test_a_file_that_another_program_has_moved_is_still_the_same(tmp_path: Path) -> None:
    files = FileSystem(tmp_path, lambda: 0)
    root = files.store.root
    (tmp_path / NAMES[0]).write_bytes(b"one")
    known = files.store.lookup(root, NAMES[0])
    assert known is not None
    (tmp_path / NAMES[0]).rename(tmp_path / NAMES[1])

    found = files.store.lookup(root, NAMES[1])

    assert found is not None
    assert found.inode is known.inode
    assert found.inode.default_stream.data.read(0, 3) == b"one"
