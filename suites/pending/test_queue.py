"""Cancel-safe queues of callback data (FltCbdq...): who takes out what, and when."""

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

CANCEL_ONE_OF_TWO = r"""
    open         f V:\data.bin access=read options=noncached,overlapped
    read         f offset=0 length=4096 async=one
    read         f offset=4096 length=4096 async=two
    expect-held  pending count=2
    cancel       f async=one
    wait         one
    release      pending
    wait         two
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PEND-CBDQ-03")
def test_a_queued_operation_that_is_cancelled_leaves_the_queue_and_is_completed(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("queue", resume="with-callback", hold="yes")

    io = lab.io(CANCEL_ONE_OF_TWO)

    cancelled = next(read for read in lab.trace.all(IrpMajor.READ, name="data.bin") if read.offset == 0)
    assert cancelled.path == ["above.pre", "pending.pre", "pending.cancel", "above.post"]
    assert cancelled.of("above").post.status == io.step("wait", "one").status == NtStatus.CANCELLED
    assert io.filters["pending"].outstanding == 0


@pytest.mark.rule("PEND-CBDQ-04")
def test_the_queue_hands_out_what_is_not_cancelled(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("queue", resume="with-callback", hold="yes")

    io = lab.io(CANCEL_ONE_OF_TWO)

    taken = [event.offset for event in lab.trace.events if event.phase is Phase.WORK_ROUTINE]
    assert taken == [4096]
    assert io.step("wait", "two").status == NtStatus.SUCCESS
