"""Holding an operation back in its preoperation callback, and letting it go later."""

import pytest

from harness.nt import IrpMajor, NtStatus, OperationClass, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

MECHANISMS = ("deferred", "generic", "queue", "thread")
every_mechanism = pytest.mark.parametrize("mechanism", MECHANISMS)

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""
HELD_READ = r"""
    open         f V:\data.bin access=read options=noncached,overlapped
    read         f offset=0 length=4096 async=reading
    expect-held  pending count=1
    release      pending
    wait         reading
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-PEND-01", "PRE-CTL-03")
@every_mechanism
def test_a_pended_operation_goes_nowhere_until_it_is_resumed(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback", hold=True)

    io = lab.io(HELD_READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    released = io.step("release").begin
    assert read.of("pending").pre.returned == PreopStatus.PENDING
    assert read.of("pending").resume.performance_count >= released
    assert read.of("below").pre.performance_count >= released
    assert read.of("above").post.performance_count >= released
    assert io.step("read", "f").status == NtStatus.PENDING
    assert io.step("wait", "reading").status == NtStatus.SUCCESS


@pytest.mark.rule("PRE-PEND-01")
@every_mechanism
def test_the_filter_manager_does_nothing_more_with_an_operation_while_it_is_pended(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="no-callback", hold=True)

    lab.io(HELD_READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path == ["above.pre", "pending.pre", "pending.resume", "below.pre", "below.post", "above.post"]


@pytest.mark.rule("PRE-PEND-02")
@every_mechanism
def test_every_pended_operation_is_resumed_once(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback")

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached,overlapped
        read  f offset=0 length=4096 async=first
        read  f offset=4096 length=4096 async=second
        wait  first
        wait  second
    """)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert len(reads) == 2
    for read in reads:
        assert read.of("pending").pre.returned == PreopStatus.PENDING
        assert read.path.count("pending.resume") == 1
        assert read.path.count("below.pre") == 1
    assert [io.step("wait", name).status for name in ("first", "second")] == [NtStatus.SUCCESS] * 2
    assert io.filters["pending"].outstanding == 0


@pytest.mark.rule("PRE-PEND-03")
def test_only_irp_based_operations_are_pended(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("deferred", resume="with-callback")

    io = lab.io(r"""
        open  f V:\data.bin access=read
        read  f offset=0 length=512
        read  f offset=512 length=512
    """)

    pended = [
        event
        for event in lab.trace.events
        if event.filter == "pending" and event.is_pre and event.returned == PreopStatus.PENDING
    ]
    assert pended
    assert {event.operation_class for event in pended} == {OperationClass.IRP}
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2
    lab.witness(
        bool(lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)), "a read came as fast I/O"
    )


@pytest.mark.rule("PRE-PEND-06")
@every_mechanism
def test_an_operation_resumed_with_callback_gets_its_post_with_the_context_of_the_resume(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback", context=0x60D)

    lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("pending").post.completion_context == 0x60D
    assert (read.of("pending").post.status, read.of("pending").post.information) == (NtStatus.SUCCESS, 4096)
    assert [step for step in read.path if step.endswith(".post")] == ["below.post", "pending.post", "above.post"]


@pytest.mark.rule("PRE-PEND-05")
@every_mechanism
def test_an_operation_resumed_without_callback_goes_on_below_and_skips_the_post(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="no-callback")

    lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert [step for step in read.path if step.endswith(".post")] == ["below.post", "above.post"]


@pytest.mark.rule("PRE-PEND-07", "PRE-COMP-01")
@every_mechanism
def test_an_operation_resumed_as_complete_ends_there(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(
        mechanism, resume="complete", status=NtStatus.FILE_LOCK_CONFLICT
    )

    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert not read.of("below")
    assert "pending.post" not in read.path
    assert read.of("above").post.status == NtStatus.FILE_LOCK_CONFLICT
    assert io.step("read", "f").status == NtStatus.FILE_LOCK_CONFLICT


@pytest.mark.rule("PRE-PEND-10")
@pytest.mark.parametrize("resume", ["with-callback", "no-callback", "complete"])
def test_the_resume_may_come_before_the_pre_callback_has_returned(lab, resume):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(
        "thread", resume=resume, race=True, status=NtStatus.ACCESS_DENIED if resume == "complete" else None
    )

    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path.count("pending.resume") == 1
    assert read.path.count("above.post") == 1
    expected = NtStatus.ACCESS_DENIED if resume == "complete" else NtStatus.SUCCESS
    assert io.step("read", "f").status == read.of("above").post.status == expected
    assert io.filters["pending"].outstanding == 0


@pytest.mark.rule("PRE-PEND-12")
@every_mechanism
def test_each_way_of_parking_an_operation_brings_it_back(lab, mechanism):
    lab.pending.when(IrpMajor.WRITE, name="data.bin").pend(mechanism, resume="with-callback")

    io = lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        write  f offset=0 length=4096 fill=0x77
        read   f offset=0 length=4096
    """)

    assert io.step("write", "f").status == NtStatus.SUCCESS
    assert set(io.step("read", "f").data) == {0x77}


@pytest.mark.rule("PRE-PEND-11")
def test_cleanup_may_be_pended(lab):
    lab.pending.when(IrpMajor.CLEANUP, name="data.bin").pend("generic", resume="with-callback")

    io = lab.io(r"""
        open   f V:\data.bin access=read
        close  f
    """)

    cleanup = lab.trace.only(IrpMajor.CLEANUP, name="data.bin")
    assert cleanup.of("pending").pre.returned == PreopStatus.PENDING
    assert cleanup.of("below").post.status == NtStatus.SUCCESS
    assert io.step("close", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("IRQL-04")
@pytest.mark.disturbed_by("a callback that takes longer than 20 ms to return")
@every_mechanism
def test_below_a_pended_operation_the_pre_callback_runs_in_the_worker_thread(lab, mechanism):
    # The resume comes late, since in a race with the return of PENDING the first thread might go on with it.
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback", delay=20)

    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("below").pre.thread == read.of("pending").resume.thread
    assert read.of("below").pre.thread != io.step("read", "f").thread
    assert read.of("below").pre.requestor_thread == io.step("read", "f").thread
    assert read.of("above").pre.thread == io.step("read", "f").thread
