"""Freezing the completion of an operation in its postoperation callback."""

import pytest

from harness.nt import IrpMajor, NtStatus, PostopStatus

READ_HELD_AND_RELEASED = """
    read         f offset=0 length=4096 async=reading
    expect-held  pending count=1 timeout=1000
    release      pending
    wait         reading
"""

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("POST-PEND-01", "POST-PEND-03", "POST-GEN-02")
@pytest.mark.parametrize("mechanism", ["deferred", "thread"])
def test_a_pended_completion_goes_no_further_up_until_it_is_resumed(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(
        post="pend", post_mechanism=mechanism, post_status=NtStatus.ACCESS_DENIED, post_hold=True
    )

    io = lab.io(r"open f V:\data.bin access=read options=noncached,overlapped" + 3 * READ_HELD_AND_RELEASED)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    # A thread that was interrupted for the completion may have a top-level IRP, and then nothing may be posted.
    refused = [read.of("pending").post.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION for read in reads]
    lab.witness(not all(refused), "posting the completion was safe")
    assert len(reads) == 3
    assert mechanism == "deferred" or not any(refused)
    releases = [step for step in io.steps if step.verb == "release"]
    for read, release, was_refused in zip(reads, releases, refused, strict=True):
        pended = PostopStatus.FINISHED_PROCESSING if was_refused else PostopStatus.MORE_PROCESSING_REQUIRED
        assert read.of("pending").post.returned == pended
        assert was_refused or read.of("above").post.performance_count >= release.begin
        assert read.of("above").post.status == NtStatus.ACCESS_DENIED
        assert read.path.count("above.post") == 1
    assert {step.status for step in io.steps if step.verb == "wait"} == {NtStatus.ACCESS_DENIED}


@pytest.mark.rule("POST-GEN-01", "ORD-02")
def test_a_finished_post_hands_completion_to_the_next_filter_up(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="finish")

    lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("pending").post.returned == PostopStatus.FINISHED_PROCESSING
    assert read.path[-3:] == ["below.post", "pending.post", "above.post"]


@pytest.mark.rule("POST-FAIL-01")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
def test_a_post_may_turn_a_success_into_a_failure(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(post_status=NtStatus.ACCESS_DENIED)

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("below").post.status == NtStatus.SUCCESS
    assert (read.of("above").post.status, read.of("above").post.information) == (NtStatus.ACCESS_DENIED, 0)
    assert io.step("read", "f").status == NtStatus.ACCESS_DENIED
