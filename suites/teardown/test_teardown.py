"""Taking an instance away while operations are under way."""

import pytest

from harness.minifilter.events import Phase
from harness.nt import InstanceTeardownFlags, IrpMajor, Irql, NtStatus, PostOperationFlags, PostopStatus, PreopStatus

FLT_FILTER_NOT_FOUND = 0x801F0013
"""The HRESULT of FilterUnload for a filter that there is not."""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("TEAR-03", "PRE-PEND-02")
@pytest.mark.stack("observer@above", "pending", "observer@below")
@pytest.mark.parametrize("mechanism", ["queue", "thread"])
def test_pended_operations_come_back_before_the_instance_goes(lab, mechanism):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(mechanism, resume="with-callback", hold=True)

    io = lab.io(r"""
        open         f V:\data.bin access=read options=noncached,overlapped
        read         f offset=0 length=4096 async=one
        read         f offset=4096 length=4096 async=two
        expect-held  pending count=2
        detach       pending
        wait         one
        wait         two
        read         f offset=0 length=4096 async=three
        wait         three
    """)

    assert io.step("detach", "pending").status == NtStatus.SUCCESS
    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    pended = [read for read in reads if read.of("pending")]
    assert len(pended) == 2
    for read in pended:
        assert read.of("pending").pre.returned == PreopStatus.PENDING
        assert read.path.count("pending.resume") == 1
        assert read.path.count("above.post") == 1
    assert lab.trace.lifecycle("pending")[-2:] == ["teardown-start", "teardown-complete"]
    assert io.filters["pending"].outstanding == 0


@pytest.mark.rule("DRAIN-01", "DRAIN-03")
@pytest.mark.stack("observer@above", "passthrough", "pending@low", "observer@below")
def test_an_operation_under_way_is_drained_before_it_is_finished(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(context=0xD4A1)
    lab.low.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback", hold=True)

    io = lab.io(r"""
        open         f V:\data.bin access=read options=noncached,overlapped
        read         f offset=0 length=4096 async=reading
        expect-held  low count=1
        detach       passthrough
        release      low
        wait         reading
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    drained = read.of("passthrough").post
    assert drained.post_flags & PostOperationFlags.DRAINING
    assert drained.completion_context == 0xD4A1
    assert drained.performance_count <= io.step("release").begin
    assert read.path.count("passthrough.post") == 1
    assert read.path.count("above.post") == 1
    assert read.of("above").post.status == NtStatus.SUCCESS
    assert io.step("wait", "reading").status == NtStatus.SUCCESS


@pytest.mark.rule("DRAIN-02")
@pytest.mark.stack("observer@above", "passthrough", "pending@low", "observer@below")
def test_a_draining_post_only_cleans_up(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(context=0xD4A1)
    lab.low.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback", hold=True)

    io = lab.io(r"""
        open         f V:\data.bin access=read options=noncached,overlapped
        read         f offset=0 length=4096 async=reading
        expect-held  low count=1
        detach       passthrough
        release      low
        wait         reading
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    drained = read.of("passthrough").post
    assert drained.post_flags & PostOperationFlags.DRAINING
    assert drained.status == NtStatus.FLT_POST_OPERATION_CLEANUP  # as it was given, not what it would have it
    assert drained.returned == PostopStatus.FINISHED_PROCESSING
    assert read.path.count("passthrough.post") == 1, "it put off nothing that would come again"
    assert (read.of("above").post.status, read.of("above").post.information) == (NtStatus.SUCCESS, 4096)
    assert (io.step("wait", "reading").status, io.step("wait", "reading").information) == (NtStatus.SUCCESS, 4096)


@pytest.mark.rule("UNL-03")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
def test_a_filter_that_is_unloaded_closes_its_port_before_it_unregisters(lab):
    io = lab.io(r"""
        open    f V:\data.bin access=read options=noncached
        read    f offset=0 length=4096
        close   f
        unload  fltlab-passthrough
    """)

    assert io.steps[-1].status == NtStatus.SUCCESS
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("TEAR-01")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("passthrough", options=["refuse-query-teardown"])
def test_an_instance_whose_filter_refuses_is_not_detached(lab):
    io = lab.io(r"""
        detach  passthrough
        open    f V:\data.bin access=read options=noncached
        read    f offset=0 length=4096
    """)

    assert io.step("detach", "passthrough").status != NtStatus.SUCCESS
    assert lab.trace.lifecycle("passthrough") == ["query-teardown"]
    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="passthrough")


@pytest.mark.rule("TEAR-01")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("passthrough", options=["refuse-query-teardown"])
def test_a_dismount_takes_the_instances_along_and_asks_no_filter(lab):
    io = lab.io(r"""
        open           v V: access=rw
        fsctl          v code=0x90020    # FSCTL_DISMOUNT_VOLUME
        close          v
        expect-events  passthrough phase=teardown-complete count=1
        open           f V:\data.bin access=read
        read           f offset=0 length=4096
    """)

    assert io.step("fsctl", "v").status == NtStatus.SUCCESS
    assert io.step("expect-events", "passthrough").status == NtStatus.SUCCESS
    assert lab.trace.lifecycle("passthrough") == ["teardown-start", "teardown-complete"]
    start = next(event for event in lab.trace.events if event.phase is Phase.TEARDOWN_START)
    assert start.detail == InstanceTeardownFlags.VOLUME_DISMOUNT
    assert io.step("read", "f").status == NtStatus.SUCCESS  # mounted anew, as another volume to the filter manager


@pytest.mark.rule("UNL-01")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("passthrough", options=["refuse-unload"])
def test_a_filter_that_refuses_to_be_unloaded_stays(lab):
    io = lab.io(r"""
        unload  fltlab-passthrough
        open    f V:\data.bin access=read options=noncached
        read    f offset=0 length=4096
    """)

    assert io.steps[0].status != NtStatus.SUCCESS
    assert lab.trace.lifecycle("passthrough") == ["unload"]
    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="passthrough")


@pytest.mark.rule("UNL-02")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("passthrough", options=["refuse-unload"])
def test_a_filter_that_refuses_to_be_unloaded_goes_when_its_service_is_stopped(lab):
    io = lab.io(r"""
        unload  fltlab-passthrough
        stop    fltlab-passthrough
        open    f V:\data.bin access=read options=noncached
        read    f offset=0 length=4096
        unload  fltlab-passthrough
    """)

    refused, gone = io.all("unload")
    assert refused.status != NtStatus.SUCCESS
    assert io.step("stop").status == NtStatus.SUCCESS
    assert gone.status == FLT_FILTER_NOT_FOUND
    assert lab.trace.only(IrpMajor.READ, name="data.bin").path[0] == "above.pre"
    assert lab.trace.none(name="data.bin", filter="passthrough")


@pytest.mark.rule("UNL-02")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
@pytest.mark.driver_options("passthrough", options=["do-not-support-service-stop"])
def test_a_filter_that_does_not_support_it_is_not_stopped_and_not_asked(lab):
    io = lab.io(r"""
        stop    fltlab-passthrough
        open    f V:\data.bin access=read options=noncached
        read    f offset=0 length=4096
        close   f
        unload  fltlab-passthrough
    """)

    assert io.step("stop").status != NtStatus.SUCCESS
    assert "unload" not in lab.trace.lifecycle("passthrough")
    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="passthrough")
    assert io.step("unload").status == NtStatus.SUCCESS


@pytest.mark.rule("TEAR-02")
@pytest.mark.stack("observer@above", "passthrough", "pending@low", "observer@below")
def test_teardown_starts_then_drains_then_is_complete(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(context=0xD4A1)
    lab.low.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback", hold=True)

    lab.io(r"""
        open         f V:\data.bin access=read options=noncached,overlapped
        read         f offset=0 length=4096 async=reading
        expect-held  low count=1
        detach       passthrough
        release      low
        wait         reading
    """)

    own = [event for event in lab.trace.events if event.filter == "passthrough"]
    after_pre = [event.phase for event in own[next(i for i, e in enumerate(own) if e.major == IrpMajor.READ) + 1 :]]
    assert after_pre == [Phase.QUERY_TEARDOWN, Phase.TEARDOWN_START, Phase.POST, Phase.TEARDOWN_COMPLETE]
    torn = [event for event in own if event.phase in {Phase.TEARDOWN_START, Phase.TEARDOWN_COMPLETE}]
    assert [(event.irql, event.detail) for event in torn] == [(Irql.PASSIVE, InstanceTeardownFlags.MANUAL)] * 2


@pytest.mark.rule("TEAR-02", "TEAR-05")
@pytest.mark.stack("observer@above", "pending", "observer@below")
def test_teardown_is_not_complete_while_an_operation_is_pended(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("deferred", resume="with-callback", delay=200)

    io = lab.io(r"""
        open           f V:\data.bin access=read options=noncached,overlapped
        read           f offset=0 length=4096 async=reading
        expect-events  pending phase=work-routine count=1
        detach         pending
        wait           reading
    """)

    resumed = lab.trace.only(IrpMajor.READ, name="data.bin").of("pending").resume
    (complete,) = [event for event in lab.trace.events if event.phase is Phase.TEARDOWN_COMPLETE]
    (start,) = [event for event in lab.trace.events if event.phase is Phase.TEARDOWN_START]
    assert complete.performance_count > resumed.performance_count
    assert io.step("wait", "reading").status == NtStatus.SUCCESS
    lab.witness(start.performance_count < resumed.performance_count, "the instance was detached before the resume")


@pytest.mark.rule("TEAR-04")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
def test_an_instance_that_is_torn_down_is_shown_nothing_new(lab):
    # The first read keeps the teardown waiting, and the second comes meanwhile.
    lab.passthrough.when(IrpMajor.READ, name="data.bin", max=1).with_callback(delay=200)

    io = lab.io(r"""
        open           f V:\data.bin access=read options=noncached
        open           g V:\data.bin access=read options=noncached
        spawn          first read f offset=0 length=4096
        sleep          50
        spawn          gone detach passthrough
        expect-events  passthrough phase=teardown-start count=1
        read           g offset=4096 length=4096
        wait           first
        wait           gone
    """)

    shown = [read.offset for read in lab.trace.all(IrpMajor.READ, name="data.bin") if read.of("passthrough")]
    assert shown == [0]
    assert len(lab.trace.all(IrpMajor.READ, name="data.bin", filter="below")) == 2
    assert io.step("read", "g").status == NtStatus.SUCCESS


@pytest.mark.rule("TEAR-06")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
def test_a_filter_that_was_shown_a_create_may_not_be_shown_its_cleanup(lab):
    lab.io(r"""
        open    f V:\data.bin access=read
        detach  passthrough
        close   f
    """)

    assert lab.trace.only(IrpMajor.CREATE, name="data.bin", filter="passthrough")
    assert lab.trace.only(IrpMajor.CLEANUP, name="data.bin", filter="below")
    assert lab.trace.none(IrpMajor.CLEANUP, filter="passthrough")


@pytest.mark.rule("PRE-SYNC-10")
@pytest.mark.stack("observer@above", "synchronize", "pending@low", "observer@below")
def test_a_synchronized_operation_is_drained_like_any_other(lab):
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize()
    lab.low.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback", hold=True)

    io = lab.io(r"""
        open         f V:\data.bin access=read options=noncached
        spawn        reading read f offset=0 length=4096
        expect-held  low count=1
        detach       synchronize
        release      low
        wait         reading
    """)

    own = lab.trace.only(IrpMajor.READ, name="data.bin").of("synchronize")
    assert own.post.post_flags & PostOperationFlags.DRAINING
    assert own.post.performance_count <= io.step("release").begin
    assert own.post.thread != own.pre.thread  # that one waits for the read
    assert io.step("wait", "reading").status == NtStatus.SUCCESS
