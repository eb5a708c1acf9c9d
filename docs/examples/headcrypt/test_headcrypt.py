"""*.sealed files have a header on the disk, and none for whoever opens, sizes, lists, maps or renames them."""

import pytest

from fltlab import Lab, NtStatus, Step

pytestmark = pytest.mark.stack("headcrypt")
HEADER = 4096
MADE = r"""
    open  f V:\a.sealed access=rw,delete disposition=create
    write f offset=0 length=5000 fill=0x41
    write f offset=4090 text=ACROSS-PAGES
"""


def size(step: Step, at: int = 8) -> int:
    """EndOfFile of FILE_STANDARD_INFORMATION, or of FILE_NETWORK_OPEN_INFORMATION."""
    return int.from_bytes(step.data[at : at + 8], "little")


def test_sizes_and_ends_are_those_of_the_content(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        query f class=standard
        query f class=network-open
        query-path V:\a.sealed
        open  d V:\ access=list options=directory
        directory d class=both pattern=*.sealed
        read  f offset=4995 length=100
        read  f offset=5000 length=100
        set   f class=end-of-file value=100
        query f class=standard
        set   f class=end-of-file value=9000
        read  f offset=96 length=8
        read  f offset=8992 length=100
        """,
    )

    standard, network, cut = io.all("query")
    assert (size(standard), size(network, 40)) == (5000, 5000)
    assert size(cut) == 100
    assert size(io.step("query-path"), 40) == 5000
    assert [entry.end_of_file for entry in io["d"].entries] == [5000]
    last, behind, grown, zeros = io.all("read")
    assert (last.information, last.data) == (5, b"AAAAA")
    assert behind.status == NtStatus.END_OF_FILE
    assert grown.data == b"AAAA" + bytes(4)
    assert (zeros.information, zeros.data) == (8, bytes(8))


def test_the_content_is_the_same_cached_or_not_and_mapped(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        read  f offset=4088 length=16
        open  n V:\a.sealed access=rw options=noncached
        read  n offset=4096 length=512
        write n offset=512 length=512 fill=0x42
        read  f offset=510 length=4
        section s f
        map   v s
        peek  v offset=4094 length=4
        unmap v
        close-section s
        close n
        """,
    )

    cached, noncached, after = io.all("read")
    assert cached.data == b"AAACROSS-PAGESAA"
    assert noncached.data == b"-PAGES" + b"A" * 58
    assert after.data == b"AABB"
    assert io.step("peek").data == b"SS-P"


def test_below_there_is_the_header_and_nothing_plain(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        sleep 5000
        unload headcrypt
        open  b V:\a.sealed access=read options=noncached
        query b class=standard
        read  b offset=0 length=512
        read  b offset=4096 length=512
        """,
    )

    assert size(io.step("query")) == HEADER + 5000
    header, content = io.all("read")
    assert header.data.startswith(b"HCsealed")
    assert b"A" * 8 not in content.data


def test_who_saves_under_another_name_first_is_made_to_copy(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        open  t V:\a.tmp access=rw,delete disposition=create
        write t offset=0 text=new
        set   t class=rename path=V:\a.sealed replace
        close t
        open  u V:\b.sealed access=rw,delete disposition=create
        write u offset=0 text=newer
        set   u class=rename path=V:\a.sealed replace
        close u
        open  f V:\a.sealed access=read
        query f class=standard
        read  f offset=0 length=100
        """,
    )

    refused, renamed = io.all("set")
    assert refused.status == NtStatus.NOT_SAME_DEVICE
    assert renamed.status == NtStatus.SUCCESS
    assert size(io.step("query")) == 5
    assert io.step("read").data == b"newer"


def test_what_is_overwritten_is_empty_and_appended_to(lab: Lab) -> None:
    io = lab.io(
        MADE,
        r"""
        close f
        open  o V:\a.sealed access=append disposition=overwrite
        query o class=standard
        write o text=one
        write o text=two
        close o
        open  f V:\a.sealed access=read
        read  f offset=0 length=100
        """,
    )

    assert size(io.step("query")) == 0
    assert io.step("read").data == b"onetwo"
