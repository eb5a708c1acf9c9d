"""The oplocks of a filter: the file system below sees none of them, and a second open breaks the first's."""

import pytest

from fltlab import IrpMajor, Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("oplocks", "observer@below")
FILTER_OPLOCK = "code=0x9005C"
BATCH = "code=0x90008"
ACKNOWLEDGE = "code=0x9000C"


def test_the_filter_grants_the_oplock_and_a_second_open_waits_for_the_break(lab: Lab, volume: Volume) -> None:
    volume.file(r"shared\a.txt", length=100)

    io = lab.io(rf"""
        open f V:\shared\a.txt access=rw options=overlapped
        fsctl f {BATCH} async=oplock
        spawn second open g V:\shared\a.txt access=read
        wait oplock timeout=2000
        fsctl f {ACKNOWLEDGE} async=ack
        wait second timeout=2000
    """)

    assert io.all("fsctl")[0].status == NtStatus.PENDING
    broken, opened = io.all("wait")
    assert broken.status == NtStatus.SUCCESS
    assert opened.status == NtStatus.SUCCESS
    assert not [op for op in lab.trace.operations if op.major is IrpMajor.FILE_SYSTEM_CONTROL and op.seen_by("below")]


def test_elsewhere_the_file_system_grants_it(lab: Lab, volume: Volume) -> None:
    volume.file("a.txt", length=100)

    io = lab.io(rf"""
        open f V:\a.txt access=rw options=overlapped
        fsctl f {BATCH} async=oplock
    """)

    assert io.step("fsctl").status == NtStatus.PENDING
    assert [op for op in lab.trace.operations if op.major is IrpMajor.FILE_SYSTEM_CONTROL]
