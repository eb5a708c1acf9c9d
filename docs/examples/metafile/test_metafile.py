"""The filter's own file is open as long as the volume is anybody's, and never in the way of a lock."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("metafile")

IS_OPEN = "open m V:\\meta.dat access=write"


def test_a_lock_finds_the_file_closed_and_leaves_it_open(lab: Lab) -> None:
    io = lab.io(rf"""
        {IS_OPEN}
        open v V: access=rw
        fsctl v code=0x90018
        fsctl v code=0x9001C
        {IS_OPEN}
        fsctl v code=0x90018
        close v
        {IS_OPEN}
    """)

    assert [step.status for step in io.all("fsctl")] == [NtStatus.SUCCESS] * 3
    assert [step.status for step in io.all("open", "m")] == [NtStatus.SHARING_VIOLATION] * 3


def test_a_lock_that_fails_for_another_s_file_is_told_so_and_the_file_is_open_again(lab: Lab) -> None:
    io = lab.io(rf"""
        open f V:\a.txt access=rw disposition=create
        open v V: access=rw
        fsctl v code=0x90018
        {IS_OPEN}
    """)

    assert io.step("fsctl").status == NtStatus.ACCESS_DENIED
    assert io.step("open", "m").status == NtStatus.SHARING_VIOLATION
