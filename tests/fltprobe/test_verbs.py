"""What a file-system author asks of a file beside reading and writing it: each with its statuses and its answer."""

import struct

import pytest

from harness.nt import NtStatus
from tests.fltprobe.conftest import Bench

EVERYONE = "010100000000000100000000"
DENY_WRITES = (  # self-relative: a DACL that denies FILE_WRITE_DATA to Everyone, and allows them all else
    "01000480" + "00000000" * 3 + "14000000"
    "0200300002000000" + "01001400" + "02000000" + EVERYONE + "00001400" + "ff011f00" + EVERYONE
)


def test_a_file_is_renamed_and_linked_in_all_forms(bench: Bench):
    (bench.volume / "there").mkdir()

    result = bench(r"""
        open d V:\there access=list options=directory
        open f V:\a.txt access=rw,delete disposition=create
        set  f class=rename path=V:\there\b.txt
        set  f class=rename path=c.txt relative=d
        set  f class=rename name=d.txt
        set  f class=link path=V:\d.txt
        set  f class=link path=V:\d.txt
        set  f class=link path=V:\d.txt replace
        set  f class=link-ex path=e.txt relative=d flags=replace,posix
        open o V:\old.txt access=read disposition=create
        set  f class=rename path=V:\old.txt replace
        set  f class=rename-ex path=V:\old.txt flags=replace,posix
        query f class=name
    """)

    sets = [step.status for step in result.all("set")]
    assert sets[:4] == [NtStatus.SUCCESS] * 4
    assert sets[4:7] == [NtStatus.OBJECT_NAME_COLLISION, NtStatus.SUCCESS, NtStatus.SUCCESS]
    assert sets[7:] == [NtStatus.ACCESS_DENIED, NtStatus.SUCCESS]  # an open file is replaced with POSIX semantics only
    assert sorted(path.name for path in (bench.volume / "there").iterdir()) == ["e.txt"]
    assert result.step("query").data[4:].decode("utf-16-le") == "\\old.txt"
    assert "path= or name=" in bench.error("open f V:\\x\nset f class=rename")


def test_settings_are_given_as_bytes_and_classes_by_number(bench: Bench):
    times = struct.pack("<4qI4x", 0x01D0000000000000, -1, 0, 0, 0x22)

    result = bench(rf"""
        open  f V:\a.txt access=rw,all disposition=create
        set   f class=basic hex={times.hex()}
        query f class=basic
        query f class=4
        query f class=name room=8
        set   f class=mode value=0x22
        set   f class=5 hex=00
    """)

    named, numbered, short = result.all("query")
    assert struct.unpack_from("<q", named.data)[0] == 0x01D0000000000000
    assert (named.data, numbered.status) == (numbered.data, NtStatus.SUCCESS)
    assert (short.status, short.data) == (NtStatus.BUFFER_OVERFLOW, struct.pack("<I", 12) + b"\\\0a\0")
    assert [step.status for step in result.all("set")] == [NtStatus.SUCCESS] * 2 + [NtStatus.INVALID_INFO_CLASS]
    assert "there is no class=nme, but" in bench.error("open f V:\\x\nquery f class=nme")


def test_extended_attributes_come_with_a_create_and_are_asked_for_by_name(bench: Bench):
    result = bench(r"""
        open     f V:\ea.txt access=rw disposition=create ea=COLOR ea-text=blue
        set-ea   f name=SHAPE text=round
        query-ea f
        query-ea f name=SHAPE
        query-ea f single
        query-ea f single continue
    """)

    both, shape, first, second = (step.data for step in result.all("query-ea"))
    assert b"COLOR\0blue" in both
    assert b"SHAPE\0round" in both
    assert b"SHAPE\0round" in shape
    assert b"COLOR" not in shape
    assert sorted([b"COLOR" in first, b"COLOR" in second]) == [False, True]


def test_a_security_descriptor_is_given_to_a_new_file_and_to_one_that_is_there(bench: Bench):
    result = bench(rf"""
        open         f V:\new.txt access=read disposition=create descriptor={DENY_WRITES}
        open         w V:\new.txt access=write
        open         g V:\old.txt access=rw,write-security disposition=create
        set-security g hex={DENY_WRITES}
        close        g
        open         h V:\old.txt access=write
        open         r V:\old.txt access=read
    """)

    assert result.step("set-security").status == NtStatus.SUCCESS
    assert [result[name].status for name in "fwhr"] == [0, NtStatus.ACCESS_DENIED, NtStatus.ACCESS_DENIED, 0]


def test_only_who_manages_volumes_says_how_much_of_a_file_is_valid(bench: Bench):
    (bench.volume / "a.txt").write_bytes(b"")

    result = bench(r"""
        open        mine V:\a.txt access=all
        impersonate standard-user
        open        his V:\a.txt access=read,write
        revert
        set         mine class=end-of-file value=0x10000
        set         his class=valid-data-length value=0x8000
        set         mine class=valid-data-length value=0x8000
    """)

    assert [step.status for step in result.all("set")] == [0, NtStatus.PRIVILEGE_NOT_HELD, 0]


def test_who_impersonates_opens_as_somebody_else_until_it_reverts(bench: Bench):
    (bench.volume / "a.txt").write_bytes(b"x")

    result = bench(r"""
        impersonate anonymous
        open        a V:\a.txt access=read
        revert
        impersonate standard-user
        open        b V:\a.txt access=read
        open        c V:\a.txt access=read,write-owner
        revert
        impersonate self level=identification
        open        d V:\a.txt access=read
        revert
        impersonate self
        spawn       other open e V:\a.txt access=read,write-owner
        wait        other
        open        f V:\a.txt access=read,write-owner
        revert
    """)

    assert {step.status for step in result.all("impersonate") + result.all("revert")} == {NtStatus.SUCCESS}
    assert [result.step("open", name).status for name in "abcdef"] == [
        NtStatus.ACCESS_DENIED,
        NtStatus.SUCCESS,
        NtStatus.ACCESS_DENIED,
        NtStatus.BAD_IMPERSONATION_LEVEL,
        NtStatus.SUCCESS,
        NtStatus.SUCCESS,
    ]
    assert "there is no client nobody, but: self standard-user anonymous" in bench.error("impersonate nobody")


def test_quotas_are_asked_for_where_none_are_enabled(bench: Bench):
    result = bench(rf"""
        open        v V:\ access=rw options=directory
        query-quota v
        query-quota v sid={EVERYONE} single
        set-quota   v sid={EVERYONE} limit=0x100000
    """)

    assert [step.status for step in result.steps[1:]] == [NtStatus.INVALID_DEVICE_REQUEST] * 3


@pytest.mark.parametrize("kind", ["id-extd", "id-extd-both"])
def test_a_directory_is_listed_page_after_page(bench: Bench, kind: str):
    for number in range(40):
        (bench.volume / f"file{number:02}").write_bytes(b"")

    result = bench(rf"""
        open      d V:\ access=list options=directory,overlapped
        directory d class={kind} pattern=file* room=1024
        directory d class={kind} room=4096 continue async=rest
        wait      rest
        directory d class={kind} continue
    """)

    first, last = result.all("directory")[0], result.all("directory")[-1]
    assert "file00".encode("utf-16-le") in first.data
    assert "file39".encode("utf-16-le") not in first.data
    assert "file39".encode("utf-16-le") in result["rest"].data + last.data
    assert last.status in {NtStatus.SUCCESS, NtStatus.NO_MORE_FILES}


def test_changes_are_told_by_what_was_asked_for_in_words(bench: Bench):
    (bench.volume / "a.txt").write_bytes(b"x")

    result = bench(r"""
        open   d V:\ access=list options=directory,overlapped
        notify d filter=attributes,size room=512 async=told
        open   n V:\new.txt disposition=create
        open   f V:\a.txt access=rw,write-attributes
        set    f class=basic value=0x2
        wait   told timeout=1000
    """)

    told = result["told"]
    assert told.status == NtStatus.SUCCESS
    assert told.data[12:].decode("utf-16-le") == "a.txt"


def test_oplocks_are_granted_broken_and_acknowledged(bench: Bench):
    result = bench(r"""
        open   f V:\a access=rw options=overlapped disposition=create
        oplock f level=read-write-handle async=held
        spawn  other open g V:\a access=read
        wait   held timeout=2000
        acknowledge-oplock f level=read async=kept
        wait   other timeout=2000
        close  g
        close  f
        open   h V:\b access=rw options=overlapped disposition=create
        oplock h level=batch async=batch
        spawn  second open i V:\b access=read
        wait   batch timeout=2000
        acknowledge-oplock h no-2
        wait   second timeout=2000
        acknowledge-oplock h close-pending
    """)

    held = result.all("wait", "held")[0]
    assert struct.unpack_from("<HHII", held.data)[2:] == (
        7,
        3,
    )  # original level, new level: an open breaks the write cache
    assert [result.all("wait", name)[0].status for name in ("other", "batch", "second")] == [0, 0, 0]
    assert result.all("acknowledge-oplock")[2].status == NtStatus.INVALID_OPLOCK_PROTOCOL
    assert "without level=" in bench.error("open f V:\\x\nacknowledge-oplock f level=batch")


def test_the_label_of_a_volume_is_set_and_its_other_classes_are_asked_for(bench: Bench):
    result = bench(r"""
        open         v V: access=rw
        set-volume   v class=label text=work
        query-volume v class=volume
        query-volume v class=control
        query-volume v class=object-id
        query-volume v class=sector-size
    """)

    assert {step.status for step in result.steps} == {NtStatus.SUCCESS}
    assert "work".encode("utf-16-le") in result.all("query-volume")[0].data


def test_sections_have_a_protection_and_views_a_place(bench: Bench):
    (bench.volume / "a.bin").write_bytes(bytes(0x10000) + b"second")

    result = bench(r"""
        open    f V:\a.bin access=rw,execute
        section s f protect=execute-read
        map     v s protect=read offset=0x10000
        peek    v offset=0 length=6
        section w f protect=readwrite
        map     x w protect=execute-readwrite
    """)

    assert result.step("peek").data == b"second"
    assert result.step("map", "x").status == NtStatus.ACCESS_DENIED  # the section was not made for views that execute
    assert "protect=" in bench.error("open f V:\\x disposition=create\nsection s f protect=none")


def test_locks_have_keys_and_a_waiting_thread_is_cancelled(bench: Bench):
    (bench.volume / "a.bin").write_bytes(bytes(64))

    result = bench(r"""
        open   f V:\a.bin access=rw
        lock   f offset=0 length=10 key=7
        read   f offset=0 length=1
        read   f offset=0 length=1 key=7
        write  f offset=0 hex=0102ff key=7
        unlock f offset=0 length=10
        unlock f offset=0 length=10 key=7
        lock   f offset=0 length=10
        open   g V:\a.bin access=rw
        spawn  waits lock g offset=0 length=10 wait
        sleep  10
        cancel g own
        cancel-synchronous waits
        wait   waits timeout=1000
    """)

    assert [step.status for step in result.all("read")] == [NtStatus.FILE_LOCK_CONFLICT, NtStatus.SUCCESS]
    assert [step.status for step in result.all("unlock")] == [NtStatus.RANGE_NOT_LOCKED, NtStatus.SUCCESS]
    assert (bench.volume / "a.bin").read_bytes()[:3] in {b"\x01\x02\xff", bytes(3)}  # written, if only to the cache
    assert result.step("cancel").status == NtStatus.NOT_FOUND  # nothing that this thread has begun
    assert result.step("cancel-synchronous").status == NtStatus.SUCCESS
    assert result.step("wait").status == NtStatus.CANCELLED
