"""Completion processing that needs a safe IRQL: FltDoCompletionProcessingWhenSafe."""

import pytest

from harness.nt import IrpMajor, Irql, NtStatus, PostopStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

READS = r"""
    open  f V:\data.bin access=read options=noncached,overlapped
    read  f offset=0 length=4096 async=one
    wait  one
    read  f offset=4096 length=4096 async=two
    wait  two
    read  f offset=0 length=8192 async=three
    wait  three
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("POST-SAFE-01")
def test_below_dispatch_level_the_safe_callback_runs_at_once_in_the_same_thread(lab):
    # The post of a create comes at PASSIVE_LEVEL.
    lab.pending.when(IrpMajor.CREATE, name="data.bin").with_callback(post="when-safe")

    io = lab.io(r"open f V:\data.bin access=read")

    own = lab.trace.only(IrpMajor.CREATE, name="data.bin").of("pending")
    assert own.post.irql < Irql.DISPATCH
    assert own.post.returned == PostopStatus.FINISHED_PROCESSING
    assert own.safe_post.thread == own.post.thread
    assert io.step("open", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("POST-SAFE-02")
def test_at_dispatch_level_the_safe_callback_runs_in_a_worker_and_completion_goes_on_by_itself(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="when-safe")

    io = lab.io(READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert len(reads) == 3
    posted = []
    for read in reads:
        own = read.of("pending")
        assert read.path.count("above.post") == 1
        if own.post.irql == Irql.DISPATCH and not own.post.detail:
            # It answered FALSE, as it may: the thread that was interrupted has a top-level IRP (POST-SAFE-03).
            assert own.post.returned == PostopStatus.FINISHED_PROCESSING
            assert "pending.safe-post" not in read.path
            continue
        assert own.safe_post.irql <= Irql.APC
        if own.post.irql == Irql.DISPATCH:
            assert own.post.returned == PostopStatus.MORE_PROCESSING_REQUIRED
            posted.append(read)
    assert [io.step("wait", name).status for name in ("one", "two", "three")] == [NtStatus.SUCCESS] * 3
    lab.witness(bool(posted), "completion processing at DISPATCH_LEVEL was posted")
