"""Contexts and postoperation callbacks: where they may be fetched, and how they get to where they may not."""

import pytest

from harness.minifilter.events import ContextCall, Phase
from harness.nt import IrpMajor, Irql, NtStatus

READS = r"""
    open  f V:\data.bin access=read options=noncached,overlapped
    read  f offset=0 length=4096 async=one
    wait  one
    read  f offset=4096 length=4096 async=two
    wait  two
    read  f offset=0 length=8192 async=three
    wait  three
"""

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


def calls(lab, call):
    """The context calls of one kind that the minifilter made, in their order."""
    return [event for event in lab.trace.events if event.context_call == call]


@pytest.mark.rule("CTX-01")
@pytest.mark.driver_options("passthrough", contexts=["stream-handle"])
def test_no_context_is_fetched_in_a_post_above_apc_level(lab):
    lab.passthrough.when(IrpMajor.CREATE, name="data.bin").with_callback(set_context="stream-handle")
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(post_context="stream-handle")

    lab.io(READS)

    fetched = calls(lab, ContextCall.GET_IN_POST)
    refrained = calls(lab, ContextCall.NOT_SAFE)
    assert len(fetched) + len(refrained) == 3
    assert all(event.irql <= Irql.APC and event.returned == NtStatus.SUCCESS for event in fetched)
    assert all(event.irql > Irql.APC for event in refrained)
    lab.witness(bool(refrained), "a post was called above APC_LEVEL")


@pytest.mark.rule("CTX-02")
@pytest.mark.driver_options("passthrough", contexts=["stream-handle"])
def test_a_context_fetched_in_pre_can_be_used_in_post_at_any_irql(lab):
    lab.passthrough.when(IrpMajor.CREATE, name="data.bin").with_callback(set_context="stream-handle")
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(pre_context="stream-handle")

    lab.io(READS)

    (was_set,) = calls(lab, ContextCall.SET)
    fetched = calls(lab, ContextCall.GET_IN_PRE)
    used = calls(lab, ContextCall.USED_IN_POST)
    assert was_set.returned == NtStatus.SUCCESS
    assert [event.completion_context for event in fetched] == [was_set.completion_context] * 3
    assert [event.completion_context for event in used] == [was_set.completion_context] * 3
    for read in lab.trace.all(IrpMajor.READ, name="data.bin"):
        own = read.of("passthrough")
        assert own.post.completion_context == own.pre.completion_context
    lab.witness(any(event.irql == Irql.DISPATCH for event in used), "a post was called at DISPATCH_LEVEL")


@pytest.mark.rule("CTX-03")
@pytest.mark.stack("observer@above", "synchronize", "observer@below")
@pytest.mark.driver_options("synchronize", contexts=["stream-handle"])
def test_a_synchronized_post_may_fetch_contexts(lab):
    lab.synchronize.when(IrpMajor.CREATE, name="data.bin").with_callback(set_context="stream-handle")
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize(post_context="stream-handle")

    lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
        read  f offset=4096 length=4096
    """)

    (was_set,) = calls(lab, ContextCall.SET)
    fetched = calls(lab, ContextCall.GET_IN_POST)
    assert [event.returned for event in fetched] == [NtStatus.SUCCESS] * 2
    assert {event.completion_context for event in fetched} == {was_set.completion_context}
    assert all(event.irql <= Irql.APC for event in fetched)
    lab.witness(
        any(read.of("below").post.irql == Irql.DISPATCH for read in lab.trace.all(IrpMajor.READ, name="data.bin")),
        "a read was completed below at DISPATCH_LEVEL",
    )


@pytest.mark.rule("CTX-03")
@pytest.mark.stack("observer@above", "pending", "observer@below")
@pytest.mark.driver_options("pending", contexts=["stream-handle"])
def test_post_work_put_off_until_it_is_safe_may_fetch_contexts(lab):
    lab.pending.when(IrpMajor.CREATE, name="data.bin").with_callback(set_context="stream-handle")
    lab.pending.when(IrpMajor.READ, name="data.bin").with_callback(post="when-safe", post_context="stream-handle")

    io = lab.io(READS)

    (was_set,) = calls(lab, ContextCall.SET)
    fetched = calls(lab, ContextCall.GET_IN_POST)
    refused = calls(lab, ContextCall.NOT_SAFE)  # at DISPATCH_LEVEL where it was not safe to post (POST-SAFE-03)
    assert len(fetched) + len(refused) == 3
    assert {event.completion_context for event in fetched} <= {was_set.completion_context}
    assert all(event.irql <= Irql.APC for event in fetched)
    assert [io.step("wait", name).status for name in ("one", "two", "three")] == [NtStatus.SUCCESS] * 3
    posts = [read.of("pending").post for read in lab.trace.all(IrpMajor.READ, name="data.bin")]
    lab.witness(
        any(post.irql == Irql.DISPATCH and post.detail for post in posts),
        "work of a post at DISPATCH_LEVEL was put off",
    )


@pytest.mark.rule("CTX-06")
@pytest.mark.driver_options("passthrough", contexts=["stream-handle"])
def test_every_reference_to_a_context_is_given_back_once(lab):
    lab.passthrough.when(IrpMajor.CREATE, name="data.bin").with_callback(set_context="stream-handle")
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(pre_context="stream-handle")

    # Whether the detach waits for the cleanup callback is not said.
    io = lab.io(READS + "    detach  passthrough\n    expect-events passthrough phase=context-cleanup count=1\n")

    assert io.step("detach", "passthrough").status == NtStatus.SUCCESS
    freed = [event for event in lab.trace.events if event.phase is Phase.CONTEXT_CLEANUP]
    assert [event.filter for event in freed] == ["passthrough"]
