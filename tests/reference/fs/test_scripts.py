"""What I/O scripts see of the file system and of what the I/O manager answers before any filter does."""

import pytest

from harness.minifilter.build import BuiltDriver
from harness.minifilter.events import Phase
from harness.nt import IrpMajor, status_name
from tests.fltprobe.conftest import Bench


def play(bench: Bench, text: str):
    """Run lines of the form `step => STATUS`; a line without an arrow may end as it likes."""
    lines = [line.strip() for line in text.strip().splitlines()]
    steps = [line.partition("=>") for line in lines]
    result = bench("\n".join(step for step, _, _ in steps))
    by_line = {(done.line, done.verb): status_name(done.status).partition(" ")[2] for done in result.steps}
    seen = [(step, by_line[number, step.split()[0]]) for number, (step, arrow, _) in enumerate(steps, 1) if arrow]
    assert seen == [(step, status.strip()) for step, arrow, status in steps if arrow]
    return result


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("\\??\\", "OBJECT_NAME_INVALID"),
        ("\\\\?\\", "OBJECT_NAME_INVALID"),
        ("\\DosDevices\\", "OBJECT_NAME_INVALID"),
        ("\\??", "OBJECT_TYPE_MISMATCH"),
        ("\\??\\Q:", "OBJECT_NAME_NOT_FOUND"),
        ("\\??\\Q:\\a", "OBJECT_PATH_NOT_FOUND"),
        ("\\Nowhere\\a", "OBJECT_PATH_NOT_FOUND"),
    ],
)
def test_a_name_that_no_device_has_is_refused_by_the_object_manager(bench: Bench, path: str, status: str) -> None:
    play(bench, f"open f {path} => {status}\nquery-path {path} => {status}")


def test_end_of_file_mapped_views_and_deletion(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\a disposition=create access=rw,delete => SUCCESS
        write f offset=0 length=100 fill=0x41 => SUCCESS
        set f class=end-of-file value=10 => SUCCESS
        set f class=end-of-file value=8192 => SUCCESS
        read f offset=0 length=64 => SUCCESS
        section s f protect=read => SUCCESS
        set f class=disposition value=1 => CANNOT_DELETE
        map v s protect=read => SUCCESS
        close-section s => SUCCESS
        set f class=end-of-file value=0 => USER_MAPPED_FILE
        set f class=allocation value=4096 => USER_MAPPED_FILE
        query f class=standard => SUCCESS
        open g V:\a disposition=overwrite access=rw => USER_MAPPED_FILE
        set f class=disposition value=1 => CANNOT_DELETE
        unmap v => SUCCESS
        set f class=disposition value=1 => SUCCESS
        query-path V:\a => DELETE_PENDING
        open g V:\a => DELETE_PENDING
        close f => SUCCESS
        query-path V:\a => OBJECT_NAME_NOT_FOUND
        """,
    )
    assert result.step("read").data == b"A" * 10 + bytes(54)
    assert int.from_bytes(result.step("query").data[8:16], "little") == 8192


def test_the_view_of_a_deleted_file_is_not_its_successors(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\a disposition=create access=rw,delete options=delete-on-close => SUCCESS
        write f offset=0 length=4096 fill=0x11 => SUCCESS
        section s f => SUCCESS
        map v s => SUCCESS
        close f => SUCCESS
        open h V:\a disposition=create access=rw => SUCCESS
        write h offset=0 length=4096 fill=0x77 => SUCCESS
        poke v offset=0 length=64 fill=0xEE => SUCCESS
        peek v offset=0 length=64 => SUCCESS
        unmap v => SUCCESS
        close-section s => SUCCESS
        sleep 6000
        read h offset=0 length=64 => SUCCESS
        """,
    )
    assert result.step("peek").data == b"\xee" * 64
    assert result.step("read").data == b"\x77" * 64
    assert (bench.volume / "a").read_bytes()[:4] == b"\x77" * 4


def test_rights_are_checked_above_all_filters(bench: Bench) -> None:
    bench.load("observer")
    result = play(
        bench,
        r"""
        filter observer
        open f V:\a disposition=create access=0x1 => SUCCESS
        set f class=basic value=1 => ACCESS_DENIED
        set f class=end-of-file value=1 => ACCESS_DENIED
        set f class=allocation value=1 => ACCESS_DENIED
        set f class=disposition value=1 => ACCESS_DENIED
        set f class=rename path=V:\b => ACCESS_DENIED
        query f class=basic => ACCESS_DENIED
        query f class=attribute-tag => ACCESS_DENIED
        query f class=network-open => ACCESS_DENIED
        query f class=access => SUCCESS
        query f class=mode => SUCCESS
        query f class=alignment => SUCCESS
        query f class=position => SUCCESS
        open d V:\ access=list options=directory,overlapped => SUCCESS
        notify d filter=0 => INVALID_PARAMETER
        notify d filter=0x1000 => INVALID_PARAMETER
        """,
    )
    majors = {event.major for event in result.events}
    assert not majors & {IrpMajor.QUERY_INFORMATION, IrpMajor.SET_INFORMATION, IrpMajor.DIRECTORY_CONTROL}


def test_a_rename_opens_the_directory_that_it_leads_to(bench: Bench) -> None:
    bench.load("observer")
    result = play(
        bench,
        r"""
        open d V:\there disposition=create options=directory access=list => SUCCESS
        open f V:\a disposition=create access=rw,delete => SUCCESS
        filter observer
        set f class=rename path=V:\there\b => SUCCESS
        set f class=rename path=V:\nowhere\b => OBJECT_PATH_NOT_FOUND
        query f class=name => SUCCESS
        """,
    )
    majors = [event.major for event in result.events if event.phase is Phase.PRE]
    assert majors.count(IrpMajor.CREATE) == 2
    assert majors.count(IrpMajor.SET_INFORMATION) == 1
    assert majors.count(IrpMajor.CLEANUP) == 1
    assert result.step("query").data[4:] == r"\there\b".encode("utf-16-le")


def test_dos_wildcards_in_native_queries(bench: Bench) -> None:
    (bench.volume / "d").mkdir()
    for name in ("n", "n.t"):
        (bench.volume / "d" / name).touch()
    patterns = {"*.*": [".", "..", "n.t"], "<": ["n"], "<.": [".", ".."], "n.<": ["n.t"], "N": ["n"]}
    for pattern, expected in patterns.items():
        result = bench(f"open d V:\\d access=list options=directory\ndirectory d pattern={pattern}\n")
        assert names(result.step("directory").data) == expected, pattern


def names(data: bytes) -> list[str]:
    found, at = [], 0
    while True:
        step, length = int.from_bytes(data[at : at + 4], "little"), int.from_bytes(data[at + 8 : at + 12], "little")
        found.append(data[at + 12 : at + 12 + length].decode("utf-16-le"))
        if not step:
            return found
        at += step


def test_notifications_are_for_what_was_asked(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open d V:\ access=list options=directory,overlapped => SUCCESS
        notify d filter=0x8 async=size => PENDING
        open f V:\a.txt access=rw disposition=create => SUCCESS
        wait size timeout=500 => TIMEOUT
        write f offset=0 length=8192 => SUCCESS
        flush f => SUCCESS
        wait size timeout=500 => SUCCESS
        notify d filter=0x1 async=name => PENDING
        close d => SUCCESS
        wait name timeout=500 => NOTIFY_CLEANUP
        """,
    )
    assert result.all("wait")[1].data[4:8] == b"\3\0\0\0"


def test_an_oplock_is_broken_by_another_open_and_a_holder_that_says_nothing_loses_it(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\a access=rw options=overlapped disposition=create => SUCCESS
        fsctl f code=0x90000 async=level1 => PENDING
        fsctl f code=0x9000C => INVALID_OPLOCK_PROTOCOL
        spawn other open g V:\a access=read
        wait level1 timeout=2000 => SUCCESS
        wait other timeout=100 => TIMEOUT
        fsctl f code=0x9000C async=level2 => PENDING
        wait other timeout=100 => SUCCESS
        write g offset=0 length=10 => ACCESS_DENIED
        open h V:\a access=write => SUCCESS
        write h offset=0 length=10 => SUCCESS
        wait level2 timeout=100 => SUCCESS
        fsctl f code=0x90000 => OPLOCK_NOT_GRANTED
        """,
    )
    waits = result.all("wait")
    assert (waits[0].information, waits[3].information) == (7, 8)


def test_the_volume_itself(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open v V: access=rw options=noncached => SUCCESS
        read v offset=0 length=512 => SUCCESS
        read v offset=1 length=512 => INVALID_PARAMETER
        write v offset=0 length=512 => ACCESS_DENIED
        open f V:\a disposition=create => SUCCESS
        fsctl v code=0x90018 => ACCESS_DENIED
        close f => SUCCESS
        fsctl v code=0x90018 => SUCCESS
        open f V:\a => ACCESS_DENIED
        write v offset=512 length=512 fill=7 => SUCCESS
        read v offset=512 length=512 => SUCCESS
        fsctl v code=0x9001C => SUCCESS
        fsctl v code=0x9001C => NOT_LOCKED
        query v class=basic => INVALID_PARAMETER
        query-volume v class=volume => SUCCESS
        """,
    )
    reads = result.all("read")
    assert reads[0].data[3:7] == b"NTFS"
    assert reads[2].data == b"\7" * 64
    volume = result.step("query-volume").data
    assert int.from_bytes(volume[:8], "little") > 0
    assert volume[16] == 1


def test_after_a_dismount_old_handles_lead_nowhere(bench: Bench) -> None:
    play(
        bench,
        r"""
        open f V:\a disposition=create access=rw => SUCCESS
        open v V: access=rw => SUCCESS
        fsctl v code=0x90020 => SUCCESS
        query f class=standard => VOLUME_DISMOUNTED
        close f => SUCCESS
        open f V:\a access=rw => SUCCESS
        query f class=standard => SUCCESS
        """,
    )


def test_byte_ranges(bench: Bench) -> None:
    play(
        bench,
        r"""
        open f V:\a disposition=create access=rw => SUCCESS
        open g V:\a access=rw => SUCCESS
        write f offset=0 length=100 => SUCCESS
        lock f offset=0 length=10 => SUCCESS
        lock g offset=5 length=10 => LOCK_NOT_GRANTED
        read g offset=0 length=5 => FILE_LOCK_CONFLICT
        write f offset=0 length=5 => SUCCESS
        unlock f offset=0 length=5 => RANGE_NOT_LOCKED
        unlock f offset=0 length=10 => SUCCESS
        lock g offset=0 length=10 shared => SUCCESS
        write g offset=0 length=5 => FILE_LOCK_CONFLICT
        read f offset=0 length=5 => SUCCESS
        lock f offset=0xffffffffffffffff length=10 => INVALID_LOCK_RANGE
        """,
    )


def test_everything_that_maximum_allowed_gives(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\a disposition=create access=0x2000000 => SUCCESS
        write f offset=0 length=10 => SUCCESS
        set f class=basic value=1 => SUCCESS
        close f => SUCCESS
        open f V:\a access=0x2000000 => SUCCESS
        write f offset=0 length=10 => ACCESS_DENIED
        query f class=access => SUCCESS
        """,
    )
    assert int.from_bytes(result.step("query").data, "little") & 0x6 == 0


def test_an_image_that_is_mapped_is_neither_written_nor_deleted(bench: Bench, built: dict[str, BuiltDriver]) -> None:
    (bench.volume / "image.exe").write_bytes(built["fltprobe"].sys.read_bytes())
    (bench.volume / "text.txt").write_bytes(b"no image at all")
    result = play(
        bench,
        r"""
        open f V:\image.exe access=read,execute,delete => SUCCESS
        section s f protect=read image => SUCCESS
        map v s protect=read => SUCCESS
        close-section s => SUCCESS
        peek v offset=0 length=2 => SUCCESS
        peek v offset=4096 length=16 => SUCCESS
        open w V:\image.exe access=rw => SHARING_VIOLATION
        open r V:\image.exe access=read => SUCCESS
        set f class=disposition value=1 => CANNOT_DELETE
        open d V:\image.exe access=delete options=delete-on-close => CANNOT_DELETE
        unmap v => SUCCESS
        open w V:\image.exe access=rw => SUCCESS
        open t V:\text.txt access=read,execute => SUCCESS
        section n t protect=read image => INVALID_IMAGE_NOT_MZ
        """,
    )
    assert result.all("peek")[0].data == b"MZ"


def test_a_view_that_is_copied_on_write_never_changes_the_file(bench: Bench) -> None:
    (bench.volume / "a").write_bytes(b"A" * 4096)
    result = play(
        bench,
        r"""
        open f V:\a access=read => SUCCESS
        section s f protect=read => SUCCESS
        map v s protect=writecopy => SUCCESS
        poke v offset=0 length=4 fill=0x42 => SUCCESS
        peek v offset=0 length=8 => SUCCESS
        unmap v => SUCCESS
        read f offset=0 length=8 => SUCCESS
        """,
    )
    assert result.step("peek").data == b"BBBBAAAA"
    assert result.step("read").data == b"A" * 8
    assert (bench.volume / "a").read_bytes() == b"A" * 4096


@pytest.mark.parametrize(
    "options", ["directory,noncached", "directory,non-directory", "directory,random", "0x10"], ids=str
)
def test_options_that_do_not_go_together_are_refused(bench: Bench, options: str) -> None:
    play(bench, f"open f V:\\ access=list options={options} => INVALID_PARAMETER")


def test_sections_ask_for_the_rights_of_file_and_handle(bench: Bench) -> None:
    (bench.volume / "a").write_bytes(b"A" * 5000)
    (bench.volume / "empty").touch()
    play(
        bench,
        r"""
        open r V:\a access=read => SUCCESS
        section w r => ACCESS_DENIED
        section s r protect=read => SUCCESS
        section big r protect=read size=10000 => SECTION_TOO_BIG
        map v s protect=readwrite => ACCESS_DENIED
        map v2 s protect=read length=20000 => INVALID_VIEW_SIZE
        map v3 s protect=read => SUCCESS
        poke v3 offset=0 fill=1 => ACCESS_VIOLATION
        open x V:\a access=attributes => SUCCESS
        section n x protect=read => ACCESS_DENIED
        open e V:\empty access=rw => SUCCESS
        section z e => MAPPED_FILE_SIZE_ZERO
        section g e size=5000 => SUCCESS
        query e class=standard => SUCCESS
        open d V:\ access=list options=directory => SUCCESS
        section f d protect=read => INVALID_FILE_FOR_SECTION
        query-path V: => INVALID_PARAMETER
        """,
    )
    assert (bench.volume / "empty").stat().st_size == 5000


def test_an_overwrite_is_a_write_and_a_supersede_a_deletion_to_those_who_share(bench: Bench) -> None:
    play(
        bench,
        r"""
        open a V:\f disposition=create access=rw => SUCCESS
        close a
        open a V:\f access=read share=read => SUCCESS
        open b V:\f access=attributes => SUCCESS
        open c V:\f access=attributes disposition=overwrite => SHARING_VIOLATION
        open c V:\f access=attributes disposition=overwrite-if => SHARING_VIOLATION
        open c V:\f access=attributes disposition=supersede => SHARING_VIOLATION
        open c V:\f options=0x40000000 => INVALID_PARAMETER
        """,
    )


def test_a_file_is_not_opened_for_deletion_while_one_of_its_streams_is_not_shared_for_it(bench: Bench) -> None:
    play(
        bench,
        r"""
        open s V:\f:s disposition=create access=rw share=read,write => SUCCESS
        open f V:\f access=read => SUCCESS
        open d V:\f access=delete => SHARING_VIOLATION
        open d V:\f disposition=supersede access=attributes => SHARING_VIOLATION
        close s
        open s V:\f:s access=read => SUCCESS
        open d V:\f access=delete => SUCCESS
        set d class=disposition value=1 => SUCCESS
        open t V:\f:t disposition=create access=read => DELETE_PENDING
        """,
    )


def test_a_directory_that_goes_ends_what_waits_for_changes_in_it(bench: Bench) -> None:
    play(
        bench,
        r"""
        open d V:\d disposition=create options=directory,overlapped access=list => SUCCESS
        notify d filter=0x3 async=n => PENDING
        delete V:\d => SUCCESS
        wait n => DELETE_PENDING
        notify d filter=0x3 async=m => DELETE_PENDING
        """,
    )


def test_compression_is_a_mark_that_directories_hand_on(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open d V:\d disposition=create options=directory access=rw => SUCCESS
        fsctl d code=0x9C040 hex=0100 => SUCCESS
        open f V:\d\f disposition=create access=rw => SUCCESS
        query f class=attribute-tag => SUCCESS
        fsctl f code=0x9003C out=2 => SUCCESS
        fsctl f code=0x9003C out=1 => INVALID_PARAMETER
        fsctl f code=0x9C040 hex=0000 => SUCCESS
        fsctl f code=0x9C040 hex=0900 => INVALID_PARAMETER
        fsctl f code=0x9C040 hex=01 => INVALID_PARAMETER
        query f class=attribute-tag => SUCCESS
        """,
    )

    before, after = (step.data[:4] for step in result.steps if step.verb == "query")
    assert (int.from_bytes(before, "little"), int.from_bytes(after, "little")) == (0x820, 0x20)


def test_what_the_disk_has_no_room_for_is_not_reserved_and_its_file_not_made(bench: Bench) -> None:
    play(
        bench,
        r"""
        open f V:\f disposition=create access=rw => SUCCESS
        set f class=allocation value=0x80000000000 => DISK_FULL
        open g V:\g disposition=create access=rw allocation=0x80000000000 => DISK_FULL
        open g V:\g => OBJECT_NAME_NOT_FOUND
        """,
    )


def test_an_image_section_asks_for_the_right_that_its_protection_names(bench: Bench) -> None:
    play(
        bench,
        r"""
        open f V:\f disposition=create access=rw => SUCCESS
        write f offset=0 length=100 => SUCCESS
        section i f protect=read image => INVALID_IMAGE_NOT_MZ
        """,
    )
