"""A standard workload, for a driver alone: everything must come out as it does without a filter.

`--replace passthrough=<driver>` puts a driver of one's own under it; it needs no control port.
"""

import pytest

from harness.nt import NtStatus

pytestmark = pytest.mark.stack("passthrough")
others_may_have_it_open = pytest.mark.disturbed_by("another process that has the file open, such as an indexer")

SIZE = 4096


def all_succeed(io):
    assert [str(step) for step in io.steps if step.status not in {NtStatus.SUCCESS, NtStatus.PENDING}] == []


def test_what_is_written_is_read_again_cached_and_not(lab):
    io = lab.io(r"""
        open   w V:\work.bin access=rw disposition=create
        write  w offset=0 length=4096 fill=0x11
        write  w offset=4096 length=4096 fill=0x22
        flush  w
        read   w offset=4096 length=64
        close  w
        open   direct V:\work.bin access=read options=noncached
        read   direct offset=0 length=4096
        close  direct
    """)

    all_succeed(io)
    assert io.step("read", "w").data == b"\x22" * 64
    assert io.step("read", "direct").data == b"\x11" * 64
    assert io.step("read", "direct").information == SIZE


def test_a_file_of_many_writes_has_its_size_and_its_end(lab):
    writes = "\n".join(f"write f offset={number * 1000} length=1000 fill={number}" for number in range(40))

    io = lab.io(f"""
        open  f V:\\many.bin access=rw disposition=create
        {writes}
        query f class=standard
        set   f class=end-of-file value=10
        read  f offset=0 length=64
        close f
    """)

    all_succeed(io)
    assert int.from_bytes(io.step("query", "f").data[8:16], "little") == 40_000
    assert io.step("read", "f").information == 10


def test_asynchronous_reads_all_come_back(lab, volume):
    volume.file("async.bin", length=8 * SIZE, fill=0x5A)
    reads = "\n".join(f"read f offset={number * SIZE} length={SIZE} async=r{number}" for number in range(8))
    waits = "\n".join(f"wait r{number}" for number in range(8))

    io = lab.io(f"""
        open f V:\\async.bin access=read options=noncached,overlapped
        {reads}
        {waits}
        close f
    """)

    all_succeed(io)
    assert [io.step("wait", f"r{number}").information for number in range(8)] == [SIZE] * 8


def test_a_mapped_file_shows_what_was_written_and_keeps_what_was_stored(lab, volume):
    volume.file("mapped.bin", length=SIZE, fill=0x33)

    io = lab.io(r"""
        open          f V:\mapped.bin access=rw
        section       s f
        map           v s
        peek          v offset=100 length=16
        poke          v offset=0 length=16 fill=0x77
        unmap         v
        close-section s
        read          f offset=0 length=32
        close         f
    """)

    all_succeed(io)
    assert io.step("peek", "v").data == b"\x33" * 16
    assert io.step("read", "f").data == b"\x77" * 16 + b"\x33" * 16


def test_a_lock_keeps_others_out_until_it_is_released(lab, volume):
    volume.file("locked.bin", length=SIZE)

    io = lab.io(r"""
        open   a V:\locked.bin access=rw
        open   b V:\locked.bin access=rw
        lock   a offset=0 length=100
        write  b offset=50 length=10 fill=0x01
        unlock a offset=0 length=100
        write  b offset=50 length=10 fill=0x01
    """)

    assert [step.status for step in io.all("write", "b")] == [NtStatus.FILE_LOCK_CONFLICT, NtStatus.SUCCESS]
    assert io.step("unlock", "a").status == NtStatus.SUCCESS


@others_may_have_it_open
def test_a_renamed_file_is_found_under_its_new_name_only(lab, volume):
    volume.file("before.txt", length=SIZE)

    io = lab.io(r"""
        open  f V:\before.txt access=delete
        set   f class=rename path=V:\after.txt
        close f
        open  old V:\before.txt access=read
        open  new V:\after.txt access=read
    """)

    assert io.step("set", "f").status == NtStatus.SUCCESS
    assert io.step("open", "old").status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert io.step("open", "new").status == NtStatus.SUCCESS


@others_may_have_it_open
def test_a_deleted_file_is_gone_once_it_is_closed(lab, volume):
    volume.file("deleted.txt", length=SIZE)

    io = lab.io(r"""
        open  f V:\deleted.txt access=delete
        set   f class=disposition value=1
        close f
        query-path V:\deleted.txt
    """)

    assert io.step("set", "f").status == NtStatus.SUCCESS
    # Another process may have it open still, such as an indexer of Windows: then it is gone with that handle.
    gone = io.step("query-path").status
    assert gone in {NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.DELETE_PENDING}
    lab.witness(gone == NtStatus.OBJECT_NAME_NOT_FOUND, "nobody else had the file open")


def test_a_directory_lists_what_was_made_in_it(lab):
    io = lab.io(r"""
        open      d V:\folder access=list disposition=create options=directory
        open      f V:\folder\inside.txt access=write disposition=create
        close     f
        directory d pattern=inside.txt
        open      e V:\folder access=list options=directory
        directory e pattern=missing.txt
    """)

    assert io.step("directory", "d").status == NtStatus.SUCCESS
    assert io.step("directory", "e").status == NtStatus.NO_SUCH_FILE


@others_may_have_it_open
def test_sharing_and_access_are_still_checked(lab, volume):
    volume.file("shared.bin", length=SIZE)

    io = lab.io(r"""
        open  alone V:\shared.bin access=rw share=none
        open  other V:\shared.bin access=read
        close alone
        open  again V:\shared.bin access=read
        write again offset=0 length=16 fill=0x01
    """)

    assert io.step("open", "other").status == NtStatus.SHARING_VIOLATION
    assert io.step("open", "again").status == NtStatus.SUCCESS
    assert io.step("write", "again").status == NtStatus.ACCESS_DENIED
