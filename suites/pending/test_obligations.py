"""What a minifilter owes for an operation, or a completion, that it holds back."""

import pytest

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, PostopStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""
CACHED_READS = r"""
    open  f V:\data.bin access=read
    read  f offset=0 length=512
    read  f offset=1024 length=512
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


def only_read(lab):
    """The read of the test, as the filter under test saw it."""
    return lab.trace.only(IrpMajor.READ, name="data.bin").of("pending")


@pytest.mark.rule("PRE-PEND-02")
def test_an_operation_its_requester_waits_for_comes_back(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend()

    io = lab.io(READ)

    assert only_read(lab).pre.returned == PreopStatus.PENDING
    assert lab.trace.only(IrpMajor.READ, name="data.bin").path.count("pending.resume") == 1
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("PRE-PEND-04")
def test_a_filter_that_pends_leaves_no_completion_context(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend()

    lab.io(READ)

    assert only_read(lab).pre.completion_context == 0


@pytest.mark.rule("PRE-PEND-08", "PRE-PEND-09", "IRQL-08")
@pytest.mark.parametrize("resume", ["no-callback", "with-callback", "complete"])
def test_a_pended_operation_is_resumed_with_what_is_allowed_and_where(lab, resume):
    status = NtStatus.ACCESS_DENIED if resume == "complete" else None
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(resume=resume, status=status)

    lab.io(READ)

    resumed = only_read(lab).resume
    assert resumed.returned in {
        PreopStatus.SUCCESS_NO_CALLBACK,
        PreopStatus.SUCCESS_WITH_CALLBACK,
        PreopStatus.COMPLETE,
    }
    assert resumed.completion_context == 0 or resumed.returned == PreopStatus.SUCCESS_WITH_CALLBACK
    assert resumed.irql <= (Irql.DISPATCH if resumed.returned == PreopStatus.COMPLETE else Irql.APC)


@pytest.mark.rule("PRE-PEND-15")
@pytest.mark.parametrize("options", ["noncached", "none"])
def test_a_read_that_goes_on_in_another_process_fills_the_requesters_buffer(lab, options):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend()

    io = lab.io(rf"""
        open  f V:\data.bin access=read options={options}
        read  f offset=0 length=4096
    """)

    assert only_read(lab).resume.process != io.process_id
    assert (io.step("read", "f").status, io.step("read", "f").information) == (NtStatus.SUCCESS, 4096)
    assert set(io.step("read", "f").data) == {0x5A}


@pytest.mark.rule("POST-PEND-03")
def test_a_pended_completion_is_finished_once(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="pend")

    io = lab.io(READ)

    own = only_read(lab)
    refused = own.post.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    lab.witness(not refused, "posting the completion was safe")
    if refused:
        assert own.post.returned == PostopStatus.FINISHED_PROCESSING
    else:
        assert own.post.returned == PostopStatus.MORE_PROCESSING_REQUIRED
        assert own.resume_post.status == NtStatus.SUCCESS
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("POST-PEND-02")
def test_the_completion_of_fast_io_is_never_pended(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).with_callback(post="pend")

    lab.io(CACHED_READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)
    assert {read.of("pending").post.returned for read in reads} <= {PostopStatus.FINISHED_PROCESSING}
    lab.witness(bool(reads), "a read came as fast I/O")


@pytest.mark.rule("POST-SAFE-04")
def test_nobody_waits_for_a_safe_moment_with_fast_io(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).with_callback(post="when-safe")

    io = lab.io(CACHED_READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)
    assert [read for read in reads if "pending.safe-post" in read.path] == []
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2
    lab.witness(bool(reads), "a read came as fast I/O")
