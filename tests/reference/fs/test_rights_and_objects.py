"""Control codes on objects and handles that they are not for, codes of the disk, and data whose name goes."""

from tests.fltprobe.conftest import Bench
from tests.reference.fs.test_scripts import play


def test_codes_of_volumes_disks_and_files_are_refused_elsewhere(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\f disposition=create access=rw => SUCCESS
        open d V:\d disposition=create options=directory access=rw => SUCCESS
        open v V: access=rw => SUCCESS
        fsctl f code=0x90078 out=4 => INVALID_PARAMETER
        fsctl v code=0x90078 out=4 => SUCCESS
        fsctl d code=0x980C8 hex=00000000000000000000010000000000 => INVALID_PARAMETER
        ioctl f code=0x70000 out=24 => INVALID_PARAMETER
        ioctl v code=0x70000 out=24 => SUCCESS
        ioctl v code=0x70000 out=23 => BUFFER_TOO_SMALL
        ioctl v code=0x2D1400 hex=0000000000000000 out=64 => INFO_LENGTH_MISMATCH
        ioctl v code=0x222000 => INVALID_DEVICE_REQUEST
        """,
    )
    assert int.from_bytes(result.all("ioctl")[1].data[20:24], "little") == 512


def test_a_control_code_asks_for_the_rights_that_it_names(bench: Bench) -> None:
    play(
        bench,
        r"""
        open f V:\f disposition=create access=read => SUCCESS
        fsctl f code=0x9C040 hex=0000 => ACCESS_DENIED
        fsctl f code=0x940CF hex=00000000000000000000040000000000 out=64 => SUCCESS
        open g V:\f access=attributes => SUCCESS
        fsctl g code=0x940CF hex=00000000000000000000040000000000 out=64 => ACCESS_DENIED
        open v V: access=attributes => SUCCESS
        ioctl v code=0x7405C out=8 => ACCESS_DENIED
        ioctl v code=0x70000 out=24 => SUCCESS
        """,
    )


def test_what_other_handles_have_written_stays_theirs_when_the_name_goes(bench: Bench) -> None:
    result = play(
        bench,
        r"""
        open f V:\f disposition=create access=rw,delete => SUCCESS
        open g V:\f access=rw => SUCCESS
        write g offset=0 length=3 fill=7 => SUCCESS
        set f class=disposition-ex value=3 => SUCCESS
        close f => SUCCESS
        read g offset=0 length=3 => SUCCESS
        flush g => SUCCESS
        open n V:\f disposition=create access=rw,delete => SUCCESS
        open o V:\o disposition=create access=rw => SUCCESS
        write o offset=0 length=3 fill=7 => SUCCESS
        set n class=rename-ex path=V:\o flags=replace,posix => SUCCESS
        read o offset=0 length=3 => SUCCESS
        read n offset=0 length=3 => END_OF_FILE
        """,
    )
    assert [step.data for step in result.all("read")] == [b"\7\7\7", b"\7\7\7", b""]
