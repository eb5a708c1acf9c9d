"""Steps on what is about a file: its ids and links, extended attributes, security, and its end."""

import struct

import pytest

from harness.nt import NtStatus
from tests.fltprobe.conftest import Bench


def test_a_file_is_opened_by_its_id_and_from_its_directory(bench: Bench):
    result = bench(r"""
        open       d V:\folder access=list disposition=create options=directory
        open       f folder.txt relative=d access=rw disposition=create
        write      f text=known
        flush      f
        open-by-id g f access=read
        read       g offset=0 length=5
        open       r folder.txt relative=d access=read
    """)

    assert (bench.volume / "folder" / "folder.txt").read_bytes() == b"known"
    assert result.step("open-by-id", "g").status == NtStatus.SUCCESS
    assert result.step("read", "g").data == b"known"
    assert result.step("open", "r").status == NtStatus.SUCCESS


def test_a_link_is_a_second_name_and_a_posix_delete_frees_a_name_at_once(bench: Bench):
    result = bench(r"""
        open  f V:\one.txt access=rw,delete disposition=create
        set   f class=link path=V:\two.txt
        query f class=hard-link
        query f class=standard
        open  o V:\one.txt access=read
        set   f class=disposition-ex value=3
        close f
        query-path V:\one.txt
        query-path V:\two.txt
    """)

    assert [step.status for step in result.all("set")] == [NtStatus.SUCCESS] * 2
    assert struct.unpack_from("<I", result.all("query", "f")[1].data, 16)[0] == 2
    assert "two.txt".encode("utf-16-le") in result.all("query", "f")[0].data
    assert [step.status for step in result.all("query-path")] == [NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.SUCCESS]


def test_extended_attributes_are_set_and_taken_away(bench: Bench):
    result = bench(r"""
        open     f V:\ea.txt access=rw disposition=create
        set-ea   f name=COLOR text=blue
        query-ea f
        set-ea   f name=COLOR
        query-ea f
    """)

    first, second = result.all("query-ea")
    assert b"COLOR\0blue" in first.data
    assert second.status == NtStatus.NO_EAS_ON_FILE


def test_a_security_descriptor_is_read_and_set_again(bench: Bench):
    result = bench(r"""
        open           f V:\safe.txt access=rw,security,0x40000 disposition=create
        query-security f information=4
        set-security   f
        query-security f information=4
    """)

    before, after = result.all("query-security")
    assert result.step("set-security").status == NtStatus.SUCCESS
    assert before.data
    assert (before.data, before.digest) == (after.data, after.digest)


@pytest.mark.parametrize(
    "kind", ["directory", "full", "both", "id-both", "id-full", "id-extd", "id-extd-both", "names"]
)
def test_a_directory_is_listed_in_every_class(bench: Bench, kind: str):
    for number in range(3):
        (bench.volume / f"file{number}").write_bytes(b"content")

    result = bench(rf"""
        open      d V:\ access=list options=directory
        directory d class={kind} pattern=file*
        directory d class={kind} pattern=file* single
        directory d class={kind} single continue
        directory d class={kind} continue
        spawn     s directory d class={kind} pattern=file*
        wait      s
        close     d
    """)

    every, first, second, rest, _ = result.all("directory")
    assert all(f"file{number}".encode("utf-16-le") in every.data for number in range(3))
    assert "file0".encode("utf-16-le") in first.data
    assert "file1".encode("utf-16-le") in second.data
    assert "file2".encode("utf-16-le") in rest.data
    assert every.names == result.step("wait").names == ["file0", "file1", "file2"]
    assert result.names("d") == [*every.names, *every.names, *every.names]
    sizes = {entry.end_of_file for entry in every.entries}
    assert sizes == ({None} if kind == "names" else {7})
    assert (every.entries[0].file_id is not None) is kind.startswith("id-")


def test_the_digest_is_of_all_that_was_read(bench: Bench):
    (bench.volume / "a.bin").write_bytes(bytes(5000))
    (bench.volume / "b.bin").write_bytes(bytes(4999) + b"\1")

    result = bench(r"""
        open a V:\a.bin
        open b V:\b.bin
        read a length=5000
        read b length=5000
    """)

    one, other = result.all("read")
    assert one.data == other.data == bytes(64)
    assert one.digest != other.digest


def test_a_file_is_deleted_by_its_path_and_a_control_code_is_given_bytes(bench: Bench):
    (bench.volume / "gone.bin").write_bytes(b"x")

    result = bench(r"""
        open   f V:\sparse.bin access=rw disposition=create
        write  f length=131072 fill=0x11
        fsctl  f code=0x900C4
        fsctl  f code=0x980C8 hex=00000000000000000000010000000000
        read   f offset=0 length=16
        delete V:\gone.bin
        delete V:\gone.bin
    """)

    assert [step.status for step in result.all("fsctl")] == [NtStatus.SUCCESS] * 2
    assert result.step("read").data == bytes(16)
    assert [step.status for step in result.all("delete")] == [NtStatus.SUCCESS, NtStatus.OBJECT_NAME_NOT_FOUND]
    assert "hexadecimal" in bench.error("open f V:\\x\nfsctl f code=1 hex=abc")
