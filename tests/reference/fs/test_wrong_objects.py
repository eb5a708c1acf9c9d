"""Control codes on objects that they are not for, and those of the disk through a handle to its volume."""

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
