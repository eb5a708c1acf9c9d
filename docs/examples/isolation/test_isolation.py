"""*.vault files belong to the filter: file objects, cache and views are its own, and on the disk there is no text."""

import pytest

from fltlab import Lab, NtStatus, Step

pytestmark = pytest.mark.stack("isolation")
MADE = r"""
    open  f V:\a.vault access=rw,delete disposition=create
    write f offset=0 length=5000 fill=0x41
    write f offset=4090 text=ACROSS-PAGES
"""


def end_of_file(step: Step) -> int:
    """Of FILE_STANDARD_INFORMATION."""
    return int.from_bytes(step.data[8:16], "little")


def test_the_content_is_one_by_whatever_way_it_is_read(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        read  f offset=4088 length=16
        open  n V:\a.vault access=rw options=noncached
        read  n offset=4096 length=64
        write n offset=512 length=512 fill=0x42
        read  f offset=510 length=4
        open-by-id i f access=read
        read  i offset=4090 length=12
        section s f protect=readwrite
        map   v s protect=readwrite
        peek  v offset=4094 length=4
        poke  v offset=0 length=6 fill=0x43
        unmap v
        close-section s
        read  f offset=0 length=8
        """,
    )

    cached, edge, by_id, poked = (io.all("read")[index] for index in (0, 2, 3, 4))
    assert cached.data == b"AAACROSS-PAGESAA"
    assert io.step("read", "n").status == NtStatus.INVALID_PARAMETER
    assert edge.data == b"AABB"
    assert by_id.data == b"ACROSS-PAGES"
    assert io.step("peek").data == b"SS-P"
    assert poked.data == b"CCCCCCAA"


def test_the_disk_has_the_size_and_nothing_plain(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        sleep 5000
        unload isolation
        open  b V:\a.vault access=read options=noncached
        query b class=standard
        read  b offset=0 length=512
        """,
    )

    assert io.step("unload").status == NtStatus.SUCCESS
    assert end_of_file(io.step("query")) == 5000
    assert b"A" * 8 not in io.step("read").data


def test_sizes_are_its_own_to_keep_and_what_grows_is_zeros(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        set   f class=end-of-file value=100
        set   f class=end-of-file value=9000
        query f class=standard
        read  f offset=96 length=8
        write f offset=20000 text=far
        read  f offset=19998 length=100
        section s f
        map   v s
        set   f class=end-of-file value=10
        unmap v
        close-section s
        close f
        open  o V:\a.vault access=rw disposition=overwrite
        query o class=standard
        """,
    )

    grown, overwritten = io.all("query")
    edge, far = io.all("read")
    assert (end_of_file(grown), edge.data, far.data) == (9000, b"AAAA" + bytes(4), bytes(2) + b"far")
    assert [step.status for step in io.all("set")] == [0, 0, NtStatus.USER_MAPPED_FILE]
    assert end_of_file(overwritten) == 0


def test_sharing_and_locks_are_between_those_above(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        open  f V:\a.vault access=rw share=read
        open  w V:\a.vault access=write share=read,write,delete
        open  r V:\a.vault access=read share=read,write,delete
        lock  f offset=0 length=10
        read  r offset=5 length=1
        read  r offset=10 length=1
        unlock f offset=0 length=10
        close f
        close r
        """,
    )

    assert io.step("open", "w").status == NtStatus.SHARING_VIOLATION
    assert [step.status for step in io.all("read")] == [NtStatus.FILE_LOCK_CONFLICT, NtStatus.SUCCESS]


def test_a_deleted_file_is_gone_with_its_last_handle(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        open  d V:\a.vault access=delete options=delete-on-close
        close d
        open  gone V:\a.vault access=read
        """,
    )

    assert io.step("open", "gone").status == NtStatus.OBJECT_NAME_NOT_FOUND
