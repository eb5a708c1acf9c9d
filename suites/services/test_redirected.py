"""Reads that a filter turns to another buffer, another file or another place."""

import pytest

from harness.nt import CallbackDataFlags, IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "services", "observer@below")

SWAPPED_READ = r"""
    open  f V:\swapped.bin access=read options=noncached
    read  f offset=4096 length=4096
"""


@pytest.mark.rule("BUF-01", "BUF-02", "BUF-03")
def test_a_read_into_a_swapped_buffer_gives_the_requester_its_data(lab, said, volume):
    volume.file("swapped.bin", length=4196, fill=0x5A)  # its tail is less than a sector

    io = lab.io(SWAPPED_READ)

    assert said()[1:] == ["after the read: draining 0, swapped MDL ours, buffer the requester's"]
    assert (io.step("read", "f").status, io.step("read", "f").information) == (NtStatus.SUCCESS, 100)
    assert set(io.step("read", "f").data) == {0x5A}


@pytest.mark.rule("BUF-04")
def test_locking_the_users_buffer_leaves_an_mdl_in_parameters_that_are_marked_dirty(lab, said, volume):
    volume.file("swapped.bin", length=8192, fill=0x5A)

    lab.io(SWAPPED_READ)

    assert said()[0] == "locked: dirty 1, MDL 1"


@pytest.mark.rule("DRAIN-04")
@pytest.mark.stack("observer@above", "services", "pending@low", "observer@below")
def test_an_operation_with_a_swapped_buffer_is_not_drained(lab, said, volume):
    volume.file("swapped.bin", length=8192, fill=0x5A)
    lab.low.when(IrpMajor.READ, name="swapped.bin").pend("queue", resume="with-callback", hold=True)

    io = lab.io(r"""
        open         f V:\swapped.bin access=read options=noncached,overlapped
        read         f offset=0 length=4096 async=reading
        expect-held  low count=1
        detach       services
        wait         reading
    """)

    lines = said()
    (after,) = [line for line in lines if line.startswith("after the read")]
    assert "draining 0" in after
    assert lines.index(after) < lines.index("teardown is complete")
    assert io.step("wait", "reading").status == NtStatus.CANCELLED


@pytest.mark.rule("PARM-05", "PARM-06", "PARM-07")
def test_a_read_that_is_turned_to_another_file_comes_to_the_filters_below_with_that_file(lab, said, volume):
    volume.file("target.bin", length=4096, fill=0x77)
    volume.file("redirected.bin", length=4096, fill=0x5A)

    io = lab.io(r"""
        open  t V:\target.bin access=read options=noncached
        open  f V:\redirected.bin access=read options=noncached
        read  f offset=0 length=512
    """)

    target = lab.trace.only(IrpMajor.CREATE, name="target.bin").of("below").pre
    read = lab.trace.only(IrpMajor.READ)
    assert read.of("below").pre.file_object == target.file_object
    assert read.of("above").pre.file_object != target.file_object
    assert read.of("below").pre.instance == target.instance
    assert said() == ["redirection: SUCCESS, allowed 1"]
    assert set(io.step("read", "f").data) == {0x77}


@pytest.mark.rule("IO-05")
def test_a_synchronized_read_is_sent_again_to_the_filters_below(lab, said, volume):
    volume.file("reissued.bin", length=4096, fill=0x5A)

    lab.io(r"""
        open  f V:\reissued.bin access=read options=noncached
        read  f offset=0 length=512
    """)

    pres = [event for event in lab.trace.events if event.is_pre and event.major == IrpMajor.READ]
    again = [event for event in pres if event.flags & CallbackDataFlags.REISSUED_IO]
    assert [(event.filter, event.offset) for event in again] == [("below", 4096)]
    assert [event.offset for event in pres if event.filter == "above"] == [0]
    assert said() == ["reissued: END_OF_FILE"]
