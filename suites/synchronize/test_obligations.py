"""What must not be synchronized."""

import pytest

from harness.nt import IrpMajor, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "synchronize", "observer@below")


@pytest.mark.rule("PRE-SYNC-07")
def test_an_asynchronous_read_is_not_synchronized(lab, volume):
    volume.file("data.bin", length=8192, fill=0x5A)
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize()

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached,overlapped
        read  f offset=0 length=4096 async=reading
        wait  reading
    """)

    own = lab.trace.only(IrpMajor.READ, name="data.bin").of("synchronize")
    assert own.pre.returned != PreopStatus.SYNCHRONIZE
    assert io.step("wait", "reading").status == NtStatus.SUCCESS


@pytest.mark.rule("PRE-SYNC-08")
def test_a_notification_of_changes_is_not_synchronized(lab):
    lab.synchronize.when(IrpMajor.DIRECTORY_CONTROL).synchronize()

    io = lab.io(r"""
        open    d V:\ options=directory,overlapped access=list
        notify  d async=changed
        open    f V:\new.txt disposition=create access=write
        wait    changed
    """)

    notified = [
        operation.of("synchronize").pre
        for operation in lab.trace.all(IrpMajor.DIRECTORY_CONTROL, filter="synchronize")
        if operation.first.minor == NOTIFY_CHANGE_DIRECTORY
    ]
    assert notified
    assert PreopStatus.SYNCHRONIZE not in {pre.returned for pre in notified}
    assert io.step("wait", "changed").status == NtStatus.SUCCESS


NOTIFY_CHANGE_DIRECTORY = 2  # IRP_MN_NOTIFY_CHANGE_DIRECTORY


@pytest.mark.rule("PRE-SYNC-09")
def test_nothing_is_held_from_the_preoperation_to_the_postoperation_callback(lab, volume):
    volume.file("data.bin", length=8192, fill=0x5A)
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize()

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    own = lab.trace.only(IrpMajor.READ, name="data.bin").of("synchronize")
    assert own.pre.returned == PreopStatus.SYNCHRONIZE
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("PRE-SYNC-06")
def test_a_create_is_not_synchronized_and_comes_back_to_its_thread_all_the_same(lab):
    lab.synchronize.when(IrpMajor.CREATE, name="data.bin").synchronize()

    io = lab.io(r"open f V:\data.bin access=read")

    create = lab.trace.only(IrpMajor.CREATE, name="data.bin").of("synchronize")
    assert create.pre.returned == PreopStatus.SUCCESS_WITH_CALLBACK
    assert create.post.thread == create.pre.thread == io.step("open", "f").thread
