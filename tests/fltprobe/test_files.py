"""Steps on files, sections and volumes: each does what docs/io-script.md says, down to the status."""

import struct

import pytest

from harness.nt import NtStatus
from tests.fltprobe.conftest import Bench

FILE_OPENED, FILE_CREATED, FILE_OVERWRITTEN = 1, 2, 3
NOTIFY_FILE_ACTION_ADDED = 1
FSCTL_GET_REPARSE_POINT = 0x900A8


@pytest.fixture
def content(bench: Bench) -> bytes:
    """What is in V:\\data.bin."""
    data = bytes(range(256)) * 64
    (bench.volume / "data.bin").write_bytes(data)
    return data


def test_open_reports_what_became_of_the_file(bench: Bench, content: bytes):
    result = bench(r"""
        open a V:\data.bin
        open b V:\new.bin disposition=create access=rw
        open c V:\new.bin disposition=create
        open d V:\data.bin disposition=overwrite access=write
        open e V:\missing.bin
        open f V:\dir disposition=create options=directory
        open g V:\dir options=non-directory
    """)

    assert [(step.status, step.information) for step in result.steps[:2]] == [(0, FILE_OPENED), (0, FILE_CREATED)]
    assert (result["d"].status, result["d"].information) == (0, FILE_OVERWRITTEN)
    assert [result[name].status for name in "cefg"] == [
        NtStatus.OBJECT_NAME_COLLISION,
        NtStatus.OBJECT_NAME_NOT_FOUND,
        NtStatus.SUCCESS,
        NtStatus.FILE_IS_A_DIRECTORY,
    ]
    assert (bench.volume / "dir").is_dir()


def test_sharing_and_access_are_kept(bench: Bench, content: bytes):
    result = bench(r"""
        open a V:\data.bin access=read share=read
        open b V:\data.bin access=read,write
        open c V:\data.bin access=read share=read,write
        write c offset=0 length=1
    """)

    assert result["b"].status == NtStatus.SHARING_VIOLATION
    assert result.step("write").status == NtStatus.ACCESS_DENIED


def test_a_file_that_could_not_be_opened_or_is_closed_is_a_handle_that_does_not_exist(bench: Bench, content: bytes):
    result = bench(r"""
        open a V:\missing.bin
        read a length=1
        query a class=basic
        close a
        open b V:\data.bin
        close b
        close b
        flush b
        section s b
        map v s
        peek v offset=0
        poke v offset=0 fill=1
        unmap v
        close-section s
    """)

    assert {step.status for step in result.all("read") + result.all("query") + result.all("flush")} == {
        NtStatus.INVALID_HANDLE
    }
    assert [step.status for step in result.all("close")] == [NtStatus.INVALID_HANDLE, 0, NtStatus.INVALID_HANDLE]
    assert all(step.status & 0x80000000 for step in result.steps if step.verb in {"section", "map", "close-section"})
    assert [step.status for step in result.all(name="v")[1:]] == [NtStatus.NOT_MAPPED_VIEW] * 3


def test_reads_report_the_first_bytes_and_keep_the_position(bench: Bench, content: bytes):
    result = bench(r"""
        open f V:\data.bin
        read f length=100
        read f length=16
        read f offset=16380 length=16
        read f offset=16384 length=16
        read f offset=0 length=0
    """)

    reads = result.all("read")
    assert [(step.status, step.information) for step in reads] == [
        (0, 100),
        (0, 16),
        (0, 4),
        (NtStatus.END_OF_FILE, 0),
        (0, 0),
    ]
    assert [step.data for step in reads] == [content[:64], content[100:116], content[-4:], b"", b""]


def test_writes_put_text_and_fill_where_they_are_told(bench: Bench, content: bytes):
    result = bench(r"""
        open  f V:\data.bin access=rw
        write f offset=4 text="two words"
        write f offset=20 length=4 fill=0xEE
        write f offset=30 length=4 text=abcdef
        write f offset=40 length=8 text=ab fill=0x2E
        flush f
    """)

    expected = bytearray(content)
    expected[4:13], expected[20:24], expected[30:34], expected[40:48] = b"two words", b"\xee" * 4, b"abcd", b"ab......"
    assert [step.information for step in result.all("write")] == [9, 4, 4, 8]
    assert (bench.volume / "data.bin").read_bytes() == bytes(expected)


def test_asynchronous_reads_are_pending_until_they_are_waited_for(bench: Bench, content: bytes):
    result = bench(r"""
        open f V:\data.bin options=noncached,overlapped
        read f offset=512 length=512 async=one
        read f offset=0 length=512 async=two
        wait two
        wait one timeout=5000
        read f offset=1024 length=512
    """)

    assert {step.status for step in result.all("read")[:2]} <= {0, NtStatus.PENDING}
    assert [(result[name].status, result[name].data) for name in ("one", "two")] == [
        (0, content[512:576]),
        (0, content[:64]),
    ]
    assert result.all("read")[2].data == content[1024:1088]


def test_locks_conflict_wait_and_are_given_back(bench: Bench, content: bytes):
    result = bench(r"""
        open a V:\data.bin access=rw options=overlapped
        open b V:\data.bin access=rw options=overlapped
        lock a offset=0 length=10
        lock b offset=5 length=10 shared
        lock b offset=5 length=10 wait async=waiting
        wait waiting timeout=1
        unlock a offset=0 length=10
        wait waiting
        unlock a offset=0 length=10
        lock b offset=100 length=1 shared
        lock a offset=100 length=1 shared
    """)

    locks = result.all("lock")
    assert [locks[n].status for n in (0, 1, 3, 4)] == [0, NtStatus.LOCK_NOT_GRANTED, 0, 0]
    assert [step.status for step in result.all("wait")] == [NtStatus.TIMEOUT, 0]
    assert [step.status for step in result.all("unlock")] == [0, NtStatus.RANGE_NOT_LOCKED]


FIXED_SIZES = {
    "basic": 40, "standard": 24, "internal": 8, "ea": 4, "access": 4, "position": 8, "mode": 4, "alignment": 4,
    "network-open": 56, "attribute-tag": 8,
}  # fmt: skip


@pytest.mark.parametrize(("name", "length"), FIXED_SIZES.items())
def test_every_class_of_a_fixed_size_can_be_queried(bench: Bench, content: bytes, name: str, length: int):
    step = bench(f"open f V:\\data.bin\nquery f class={name}").step("query")

    assert (step.status, step.information, len(step.data)) == (0, length, length)


def test_queries_tell_size_position_and_name(bench: Bench, content: bytes):
    result = bench(r"""
        open  f V:\data.bin
        read  f length=10
        query f class=standard
        query f class=position
        query f class=name
        query f class=all
        query-path V:\data.bin
        query-path V:\missing.bin
    """)

    standard, position, name, everything = result.all("query")
    found, missing = result.all("query-path")
    assert struct.unpack_from("<Q", standard.data, 8)[0] == len(content)
    assert struct.unpack_from("<Q", position.data)[0] == 10
    assert name.data[4:].decode("utf-16-le") == r"\data.bin"
    assert (everything.status, struct.unpack_from("<Q", everything.data, 48)[0]) == (0, len(content))
    assert (found.status, struct.unpack_from("<Q", found.data, 40)[0]) == (0, len(content))
    assert missing.status == NtStatus.OBJECT_NAME_NOT_FOUND


@pytest.mark.parametrize("name", ["volume", "size", "device", "attribute", "full-size"])
def test_a_volume_can_be_queried(bench: Bench, content: bytes, name: str):
    step = bench(f"open f V:\\data.bin\nquery-volume f class={name}").step("query-volume")

    assert step.status == 0
    assert len(step.data) == min(step.information, 64) > 0


def test_settings_change_the_file(bench: Bench, content: bytes):
    result = bench(r"""
        open  f V:\data.bin access=rw,delete
        set   f class=position value=512
        read  f length=512
        set   f class=end-of-file value=200
        set   f class=allocation value=4096
        set   f class=basic value=1
        query f class=basic
        set   f class=basic value=0x80
        set   f class=rename path=V:\renamed.bin
        open  g V:\other.bin disposition=create access=rw,delete
        set   g class=rename path=V:\renamed.bin
        close f
        set   g class=rename path=V:\renamed.bin replace
        set   g class=disposition value=1
        close g
    """)

    statuses = [step.status for step in result.all("set", "f")]
    assert statuses == [0] * 6
    assert result.step("read").data == content[512:576]
    assert struct.unpack_from("<I", result.step("query").data, 32)[0] & 1
    assert [step.status for step in result.all("set", "g")] == [NtStatus.OBJECT_NAME_COLLISION, 0, 0]
    assert list(bench.volume.iterdir()) == []


def test_a_directory_is_listed_from_the_beginning(bench: Bench, content: bytes):
    (bench.volume / "b.txt").write_bytes(b"")
    result = bench(r"""
        open d V:\ options=directory access=list
        directory d pattern=*.txt
        directory d pattern=*.txt
        open e V:\ options=directory access=list
        directory e pattern=*.none
        open s V:\sub disposition=create options=directory
        open g V:\sub options=directory,overlapped access=list
        directory g
    """)

    assert [step.names for step in result.all("directory", "d")] == [["b.txt"], ["b.txt"]]
    assert result.step("directory", "e").status == NtStatus.NO_SUCH_FILE
    assert result.step("directory", "g").names == [".", ".."]


def test_a_change_is_notified(bench: Bench):
    result = bench(r"""
        open   d V:\ options=directory,overlapped access=list
        notify d async=changed
        open   f V:\new.txt disposition=create
        wait   changed
        notify d tree filter=1 async=never
        cancel d async=never
        wait   never
    """)

    changed, never = result.all("wait")
    assert struct.unpack_from("<II", changed.data) == (0, NOTIFY_FILE_ACTION_ADDED)
    assert changed.data[12:].startswith("new.txt".encode("utf-16-le"))
    assert (result.step("cancel").status, never.status) == (0, NtStatus.CANCELLED)


def test_everything_of_a_file_can_be_cancelled(bench: Bench, content: bytes):
    result = bench(r"""
        open   a V:\data.bin access=rw
        open   b V:\data.bin access=rw options=overlapped
        lock   a offset=0 length=10
        lock   b offset=0 length=10 wait async=one
        lock   b offset=0 length=10 wait async=two
        cancel b
        wait   one
        wait   two
        cancel b
    """)

    assert [step.status for step in result.all("wait")] == [NtStatus.CANCELLED] * 2
    assert [step.status for step in result.all("cancel")] == [0, NtStatus.NOT_FOUND]


def test_a_control_code_reaches_the_file_system(bench: Bench, content: bytes):
    result = bench(f"""
        open  f V:\\data.bin access=rw
        fsctl f code={FSCTL_GET_REPARSE_POINT:#x} out=1024
        fsctl f code=0x9ffff in=8
    """)

    assert [step.status for step in result.all("fsctl")] == [
        NtStatus.NOT_A_REPARSE_POINT,
        NtStatus.INVALID_DEVICE_REQUEST,
    ]


def test_a_view_is_memory_of_the_file(bench: Bench, content: bytes):
    result = bench(r"""
        open    f V:\data.bin access=rw
        section s f protect=readwrite
        map     v s
        peek    v offset=4096 length=100
        poke    v offset=4096 length=3 fill=0xEE
        poke    v offset=10 fill=0xDD
        read    f offset=4094 length=8
        unmap   v
        peek    v offset=0
        map     w s protect=read length=8192
        peek    w offset=8 length=4
        close-section s
        unmap   w
        flush   f
    """)

    expected = bytearray(content)
    expected[4096:4099], expected[10:11] = b"\xee" * 3, b"\xdd"
    first, gone, second = result.all("peek")
    assert [step.status for step in result.all("section") + result.all("map") + result.all("unmap")] == [0] * 5
    assert [step.information for step in result.all("map")] == [len(content), 8192]
    assert (first.information, first.data) == (100, content[4096:4160])
    assert result.step("read").data == expected[4094:4102]
    assert gone.status == NtStatus.NOT_MAPPED_VIEW
    assert second.data == expected[8:12]
    assert (bench.volume / "data.bin").read_bytes() == bytes(expected)


def test_what_lies_outside_of_a_view_is_not_touched(bench: Bench, content: bytes):
    assert "outside of the view: v" in bench.error("""
        open    f V:\\data.bin access=rw
        section s f size=8192
        map     v s
        peek    v offset=8190 length=3
    """)


def test_what_cannot_be_paged_in_is_a_status_and_not_the_end(bench: Bench, content: bytes):
    bench.load("completion")

    result = bench(r"""
        filter  completion
        rule    completion major=read paging=yes process=any do=complete status=0xC0000022 skip=1
        open    f V:\data.bin access=rw
        section s f
        open m V:\missing.bin
        section n m size=4096
        map     v s
        peek    v offset=100 length=8192
        poke    v offset=4000 length=200 fill=1
        peek    v offset=96 length=4
        unmap   v
    """)

    peek, after = result.all("peek")
    assert (peek.status, peek.information, peek.data) == (NtStatus.IN_PAGE_ERROR, 4096 - 100, content[100:164])
    assert (result.step("poke").status, result.step("poke").information) == (NtStatus.IN_PAGE_ERROR, 96)
    assert (after.status, after.data) == (0, content[96:100])


def test_a_file_that_is_cached_and_closed_can_be_replaced(bench: Bench, content: bytes):
    result = bench(r"""
        open  f V:\data.bin access=rw
        write f offset=0 length=4096 fill=0xEE
        close f
        open  g V:\new.bin disposition=create access=rw,delete
        write g offset=0 text=new
        set   g class=rename path=V:\data.bin replace
        close g
        open  h V:\data.bin
        read  h length=100
        flush h
    """)

    assert (result.step("set").status, result.step("read").data) == (0, b"new")
    assert [path.name for path in bench.volume.iterdir()] == ["data.bin"]
