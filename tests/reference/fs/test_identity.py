"""What a file is: an inode with names. Deleting, renaming and linking change names; the host may change them too."""

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs.opens import Disposition
from tests.reference.fs.conftest import Volume, status_of_call

DELETE, READ = 0x10000, 0x1


def test_a_deleted_file_keeps_its_bytes_and_its_successor_is_another_file(volume: Volume) -> None:
    old = volume.make(r"\f")
    volume.files.write(old.stream, 0, b"old")
    volume.mark(old, posix=True)
    volume.cleanup(old)
    new = volume.make(r"\f")
    volume.files.write(old.stream, 0, b"OLD")

    assert new.inode is not old.inode
    assert volume.files.size(new.stream) == 0
    assert volume.files.read(old.stream, 0, 3) == b"OLD"
    assert (volume.root / "f").read_bytes() == b""


def test_a_file_goes_with_its_last_handle(volume: Volume) -> None:
    first, second = volume.make(r"\f"), volume.open(r"\f")
    volume.mark(first)

    assert volume.refusal(r"\f") == NtStatus.DELETE_PENDING
    assert not volume.cleanup(first)
    assert volume.files.facts(second).links == 0
    assert volume.files.facts(second).delete_pending
    assert volume.cleanup(second)
    assert volume.refusal(r"\f") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert status_of_call(volume.files.facts, second) == NtStatus.FILE_DELETED


def test_the_mark_is_taken_back(volume: Volume) -> None:
    opened = volume.make(r"\f")
    volume.mark(opened)
    volume.mark(opened, delete=False)
    volume.close(opened)

    assert volume.open(r"\f")


def test_delete_on_close_is_settled_at_its_own_cleanup(volume: Volume) -> None:
    doomed, other = volume.make(r"\f", options=0x1000), volume.open(r"\f")

    assert volume.open(r"\f")
    volume.close(doomed)
    assert volume.refusal(r"\f") == NtStatus.DELETE_PENDING
    assert volume.files.facts(other).delete_pending


def test_with_posix_semantics_the_name_is_free_at_once(volume: Volume) -> None:
    other, opened = volume.make(r"\f"), volume.open(r"\f", access=DELETE)
    volume.mark(opened, posix=True)
    assert volume.refusal(r"\f") == NtStatus.DELETE_PENDING
    volume.close(opened)

    assert volume.refusal(r"\f") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert volume.make(r"\f").inode is not other.inode
    facts = volume.files.facts(other)
    assert (facts.links, facts.delete_pending) == (0, True)
    assert other.path.startswith("\\$Extend\\$Deleted\\")


def test_a_full_directory_is_not_deleted(volume: Volume) -> None:
    directory = volume.directory(r"\d")
    volume.close(volume.make(r"\d\a"))

    assert status_of_call(volume.mark, directory) == NtStatus.DIRECTORY_NOT_EMPTY
    on_close = volume.open(r"\d", options=0x1001)
    volume.close(on_close)
    assert volume.open(r"\d\a")


def test_the_root_is_not_deleted(volume: Volume) -> None:
    assert status_of_call(volume.mark, volume.open("\\")) == NtStatus.CANNOT_DELETE


def test_a_link_is_another_name_of_the_same_file(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.link(opened, "b")
    other = volume.open(r"\b")

    assert other.inode is opened.inode
    assert volume.files.facts(other).links == 2
    volume.mark(other)
    assert volume.files.facts(opened).links == 1
    volume.close(other)
    assert volume.refusal(r"\b") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert volume.files.facts(opened).links == 1
    assert not volume.files.facts(opened).delete_pending


def test_links_are_for_files_and_replace_only_when_asked(volume: Volume) -> None:
    opened, taken = volume.make(r"\a"), volume.make(r"\taken")

    assert status_of_call(volume.link, volume.directory(r"\d"), "e") == NtStatus.FILE_IS_A_DIRECTORY
    assert status_of_call(volume.link, opened, "taken") == NtStatus.OBJECT_NAME_COLLISION
    assert status_of_call(volume.link, opened, "taken", replace=True) == NtStatus.ACCESS_DENIED
    volume.close(taken)
    volume.link(opened, "taken", replace=True)
    assert volume.open(r"\taken").inode is opened.inode


def test_a_rename_changes_the_name_of_every_handle(volume: Volume) -> None:
    first, second = volume.make(r"\a"), volume.open(r"\a")
    directory = volume.directory(r"\d")
    volume.rename(first, "B", directory=directory)

    assert (first.path, second.path) == (r"\d\B", r"\d\B")
    assert (volume.root / "d" / "B").exists()
    assert not (volume.root / "a").exists()


def test_the_case_of_a_name_can_be_changed(volume: Volume) -> None:
    opened = volume.make(r"\name")
    volume.rename(opened, "NAME")

    assert opened.path == r"\NAME"
    assert [entry.name for entry in volume.root.iterdir()] == ["NAME"]


@pytest.mark.parametrize("how", [{}, {"posix": True}])
def test_a_rename_replaces_only_when_asked(volume: Volume, how: dict[str, bool]) -> None:
    opened = volume.make(r"\a")
    volume.close(volume.make(r"\b"))

    assert status_of_call(volume.rename, opened, "b", **how) == NtStatus.OBJECT_NAME_COLLISION
    volume.rename(opened, "b", replace=True, **how)
    assert volume.open(r"\b").inode is opened.inode


def test_what_is_open_is_replaced_with_posix_semantics_only(volume: Volume) -> None:
    opened, target = volume.make(r"\a"), volume.make(r"\b")
    volume.files.write(target.stream, 0, b"stays")

    assert status_of_call(volume.rename, opened, "b", replace=True) == NtStatus.ACCESS_DENIED
    volume.rename(opened, "b", replace=True, posix=True)
    assert volume.open(r"\b").inode is opened.inode
    assert volume.files.read(target.stream, 0, 5) == b"stays"


def test_a_read_only_or_a_directory_is_not_replaced(volume: Volume) -> None:
    opened = volume.make(r"\a")
    volume.close(volume.make(r"\b", attributes=1), volume.directory(r"\d"))

    assert status_of_call(volume.rename, opened, "b", replace=True) == NtStatus.ACCESS_DENIED
    assert status_of_call(volume.rename, opened, "d", replace=True) == NtStatus.ACCESS_DENIED
    volume.rename(opened, "b", replace=True, ignore_read_only=True)


def test_a_directory_with_open_files_below_is_not_renamed(volume: Volume) -> None:
    top = volume.directory(r"\d")
    middle = volume.directory(r"\d\e")
    volume.close(middle)
    below = volume.make(r"\d\e\f")

    assert status_of_call(volume.rename, top, "new") == NtStatus.ACCESS_DENIED
    volume.close(below)
    volume.rename(top, "new")
    assert volume.open(r"\new\e\f").path == r"\new\e\f"


def test_a_directory_is_not_moved_below_itself(volume: Volume) -> None:
    top, below = volume.directory(r"\d"), volume.directory(r"\d\e")

    assert status_of_call(volume.rename, top, "x", directory=below) == NtStatus.INVALID_PARAMETER


def test_a_stream_is_deleted_alone_and_goes_with_its_file(volume: Volume) -> None:
    whole, stream = volume.make(r"\f"), volume.make(r"\f:s")
    volume.mark(stream)
    assert volume.refusal(r"\f:s") == NtStatus.DELETE_PENDING
    volume.close(stream)

    assert volume.refusal(r"\f:s") == NtStatus.OBJECT_NAME_NOT_FOUND
    assert volume.files.facts(whole).links == 1


def test_an_overwrite_takes_the_other_streams_away(volume: Volume) -> None:
    volume.close(volume.make(r"\f:s"))
    volume.close(volume.open(r"\f", disposition=Disposition.OVERWRITE))

    assert volume.refusal(r"\f:s") == NtStatus.OBJECT_NAME_NOT_FOUND


# -- the host's other programs


def test_what_another_program_puts_there_is_a_file(volume: Volume) -> None:
    (volume.root / "Put.txt").write_bytes(b"by hand")
    opened = volume.open(r"\put.TXT")

    assert volume.files.read(opened.stream, 0, 10) == b"by hand"
    assert opened.path == r"\Put.txt"


def test_what_another_program_replaces_is_another_file(volume: Volume) -> None:
    opened = volume.make(r"\f")
    volume.files.write(opened.stream, 0, b"old")
    (volume.root / "f").unlink()
    (volume.root / "f").write_bytes(b"new")
    again = volume.open(r"\f")

    assert again.inode is not opened.inode
    assert volume.files.read(again.stream, 0, 3) == b"new"
    assert volume.files.read(opened.stream, 0, 3) == b"old"


def test_what_another_program_writes_changes_the_times(volume: Volume) -> None:
    opened = volume.make(r"\f")
    before = volume.files.facts(opened).last_write_time
    assert before == volume.clock[0]
    (volume.root / "f").write_bytes(b"by hand")

    assert volume.files.facts(opened).last_write_time != before


def test_links_of_the_host_are_links(volume: Volume) -> None:
    opened = volume.make(r"\a")
    (volume.root / "b").hardlink_to(volume.root / "a")

    assert volume.open(r"\b").inode is opened.inode
    assert volume.files.facts(opened).links == 2


def test_ids_do_not_depend_on_the_host(volume: Volume, tmp_path_factory: pytest.TempPathFactory) -> None:
    from harness.reference.windows.fs.filesystem import FileSystem
    from harness.reference.windows.fs.opens import Asked

    other = FileSystem(tmp_path_factory.mktemp("other"))
    asked = Asked(r"\f", READ, 7, int(Disposition.CREATE))

    assert other.create(asked).inode.reference == volume.make(r"\f").inode.reference
