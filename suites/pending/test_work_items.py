"""Work items of the filter manager: where their routines run, and what cannot be handed to one."""

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, Irql, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""
READ_A_VIEW = r"""
    open     f V:\data.bin access=read
    section  s f protect=read
    map      v s protect=read
    peek     v offset=0 length=16
"""
SYSTEM_PROCESS = 4


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


def routines(lab):
    """Each run of a work routine."""
    return [event for event in lab.trace.events if event.phase is Phase.WORK_ROUTINE]


@pytest.mark.rule("PEND-WI-01")
def test_a_deferred_work_item_runs_in_a_system_thread_at_passive_level(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("deferred", resume="with-callback")

    io = lab.io(READ)

    (ran,) = routines(lab)
    pended = lab.trace.only(IrpMajor.READ, name="data.bin").of("pending").pre
    assert (ran.irql, ran.process) == (Irql.PASSIVE, SYSTEM_PROCESS)
    assert ran.callback_data == pended.callback_data
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("PEND-WI-07")
def test_a_generic_work_item_runs_in_a_system_thread_at_passive_level(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("generic", resume="with-callback")

    io = lab.io(READ + "    read  f offset=4096 length=4096\n")

    ran = routines(lab)
    assert [(event.irql, event.process) for event in ran] == [(Irql.PASSIVE, SYSTEM_PROCESS)] * 2
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2


@pytest.mark.rule("PEND-WI-03", "PEND-WI-05")
def test_paging_io_is_not_posted_and_so_not_pended(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("deferred", resume="with-callback", paging="yes")

    io = lab.io(READ_A_VIEW)

    paging = [read for read in lab.trace.all(IrpMajor.READ, paging=True, process="any") if read.of("pending")]
    for read in paging:
        own = read.of("pending").pre
        assert own.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
        assert own.returned == PreopStatus.SUCCESS_NO_CALLBACK
        assert not [event for event in routines(lab) if event.callback_data == own.callback_data]
    assert (io.step("peek", "v").status, set(io.step("peek", "v").data)) == (NtStatus.SUCCESS, {0x5A})
    lab.witness(bool(paging), "the pager read")


@pytest.mark.rule("POST-PEND-04")
def test_a_completion_that_cannot_be_posted_is_finished_where_it_is(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="pend", post_mechanism="deferred", paging="yes")

    io = lab.io(READ_A_VIEW)

    paging = [read for read in lab.trace.all(IrpMajor.READ, paging=True, process="any") if read.of("pending")]
    for read in paging:
        assert read.of("pending").post.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
        assert "pending.resume-post" not in read.path
        assert read.path.count("above.post") == 1
    assert (io.step("peek", "v").status, set(io.step("peek", "v").data)) == (NtStatus.SUCCESS, {0x5A})
    lab.witness(bool(paging), "the pager read")


@pytest.mark.rule("POST-SAFE-03")
def test_paging_io_is_not_posted_to_wait_for_a_safe_irql(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="when-safe", paging="yes")

    io = lab.io(READ_A_VIEW)

    paging = [read for read in lab.trace.all(IrpMajor.READ, paging=True, process="any") if read.of("pending")]
    high = [read for read in paging if read.of("pending").post.irql == Irql.DISPATCH]
    for read in high:
        assert not read.of("pending").post.detail  # what FltDoCompletionProcessingWhenSafe answered
        assert "pending.safe-post" not in read.path
    assert (io.step("peek", "v").status, set(io.step("peek", "v").data)) == (NtStatus.SUCCESS, {0x5A})
    lab.witness(bool(high), "paging I/O was completed at DISPATCH_LEVEL")


@pytest.mark.rule("PEND-WI-06")
@pytest.mark.parametrize("mechanism", ["deferred", "generic"])
def test_every_work_item_is_freed_before_its_filter_is_unloaded(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback")

    io = lab.io(READ + "    close   f\n    unload  fltlab-pending\n")

    assert io.steps[-1].status == NtStatus.SUCCESS
