"""The filter of the C++ framework: its two policies, and what they told when it was unloaded."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "policy")


def test_a_record_is_written_once(lab: Lab) -> None:
    io = lab.io(r"""
        open first V:\year.record access=write disposition=create
        write first text=1998
        close first
        open again V:\year.record access=write
        open over V:\YEAR.Record access=read disposition=overwrite-if
        open gone V:\year.record access=delete
        open read V:\year.record access=read
        read read length=4
    """)

    assert io["first"].status == NtStatus.SUCCESS
    assert [io[name].status for name in ("again", "over", "gone")] == [NtStatus.MEDIA_WRITE_PROTECTED] * 3
    assert io.step("read", "read").data == b"1998"


def test_a_file_has_no_streams_but_the_zone(lab: Lab, volume: Volume) -> None:
    volume.file("a.txt", length=10)

    io = lab.io(r"""
        open zone V:\a.txt:Zone.Identifier access=write disposition=create
        open other V:\a.txt:other access=write disposition=create
        open main V:\a.txt access=rw
    """)

    assert io["zone"].status == NtStatus.SUCCESS
    assert io["other"].status == NtStatus.OBJECT_NAME_INVALID
    assert io["main"].status == NtStatus.SUCCESS
