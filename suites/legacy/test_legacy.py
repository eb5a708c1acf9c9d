"""A legacy filter in the same device stack as minifilters: above them, between them, below them.

To the minifilters it is part of what is above or beneath the filter manager; to it, they are one device. Where it
stands between them, the filter manager has a frame on each side of it, and each frame has callback data of its own.
"""

import pytest

from harness.minifilter.operation_classes import OPERATIONS, WITHOUT_NOTICE, every_class, strays, unlike
from harness.nt import IrpMajor, NtStatus, OperationClass

ABOVE = pytest.mark.stack("legacy", "observer@above", "observer@below")
BETWEEN = pytest.mark.stack("observer@above", "legacy", "observer@below")
BELOW = pytest.mark.stack("observer@above", "observer@below", "legacy")
everywhere = pytest.mark.parametrize(
    "place",
    [
        pytest.param(None, marks=mark, id=name)
        for name, mark in (("above", ABOVE), ("between", BETWEEN), ("below", BELOW))
    ],
)

others_may_open_it = pytest.mark.disturbed_by(
    "another process that opens the file: what a legacy filter prints names none"
)

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


def told(lab, what):
    """What the legacy filter printed of data.bin: one entry for each time that it did `what`."""
    return [item for item in lab.trace.prints if item.line.startswith(f"legacy {what} ") and "data.bin" in item.line]


@everywhere
@others_may_open_it
def test_io_passes_a_legacy_filter_and_minifilters(lab, place):
    io = lab.io(r"""
        open   f V:\data.bin access=rw
        read   f offset=0 length=4096
        read   f offset=0 length=4096
        write  f offset=4096 length=100 fill=0x22
        query  f class=standard
        lock   f offset=0 length=10
        unlock f offset=0 length=10
        close  f
    """)

    assert [step.status for step in io.steps] == [NtStatus.SUCCESS] * len(io.steps)
    for major in (IrpMajor.CREATE, IrpMajor.WRITE, IrpMajor.CLEANUP):
        assert lab.trace.all(major, name="data.bin", filter="above")
        assert lab.trace.all(major, name="data.bin", filter="below")
    assert len(told(lab, "create")) == 1


@BETWEEN
@pytest.mark.rule("ORD-01", "ORD-02")
@others_may_open_it
def test_altitudes_order_minifilters_across_a_legacy_filter(lab):
    lab.io(READ)

    above = lab.trace.only(IrpMajor.READ, name="data.bin", filter="above").of("above")
    below = lab.trace.only(IrpMajor.READ, name="data.bin", filter="below").of("below")
    (read,) = told(lab, "read")
    assert above.pre.performance_count <= read.performance_count <= below.pre.performance_count
    assert below.post.performance_count <= above.post.performance_count


@BELOW
@pytest.mark.driver_options("legacy", options=["watch-reads"])
@pytest.mark.rule("ORD-03")
@others_may_open_it
def test_a_legacy_filter_below_comes_after_all_pre_and_before_all_post_callbacks(lab):
    lab.io(READ)

    operation = lab.trace.only(IrpMajor.READ, name="data.bin")
    (down,), (up,) = told(lab, "read"), told(lab, "completion")
    assert operation.path == ["above.pre", "below.pre", "below.post", "above.post"]
    assert operation.of("below").pre.performance_count <= down.performance_count
    assert up.performance_count <= operation.of("below").post.performance_count


@pytest.mark.stack("observer@above", "completion", "legacy")
@pytest.mark.rule("PRE-COMP-01")
@others_may_open_it
def test_a_completed_operation_reaches_no_legacy_filter(lab):
    lab.completion.when(IrpMajor.READ, name="data.bin").complete(NtStatus.ACCESS_DENIED)

    io = lab.io(READ)

    assert io.step("read", "f").status == NtStatus.ACCESS_DENIED
    assert len(told(lab, "create")) == 1
    assert told(lab, "read") == []


@BELOW
@pytest.mark.driver_options("legacy", options=["complete-reads"])
@pytest.mark.rule("POST-GEN-03")
def test_posts_see_what_a_legacy_filter_below_completed_with(lab):
    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert [read.of(label).post.status for label in ("below", "above")] == [NtStatus.ACCESS_DENIED] * 2
    assert io.step("read", "f").status == NtStatus.ACCESS_DENIED


@BELOW
@pytest.mark.driver_options("above", operations=OPERATIONS)
@pytest.mark.driver_options("below", operations=OPERATIONS)
@pytest.mark.driver_options("legacy", options=["complete-all", "no-fast-io"])
@pytest.mark.rule("POST-GEN-03", "ORD-03")
def test_posts_of_every_class_see_what_a_legacy_filter_below_completed_with(lab):
    lab.io(WITHOUT_NOTICE.replace(r"V:\every.bin access=rw", r"V:\every.bin disposition=open-if access=rw"))

    found = {
        kind: operations
        for kind, operations in every_class(lab.trace, without=["SET_SECURITY (IRP)"]).items()
        if "(IRP" in kind and "paging" not in kind and not kind.startswith(("CREATE", "CLEANUP", "CLOSE"))
    }  # fltprobe sets the security that it has queried
    assert strays(found, ("above", "below"), ["above.pre", "below.pre", "below.post", "above.post"]) == {}
    posts = {
        kind: [item.of(label).post for item in every for label in ("above", "below")] for kind, every in found.items()
    }
    assert unlike(posts, lambda post: (post.status, post.information) != (NtStatus.ACCESS_DENIED, 0)) == set()
    assert {"LOCK_CONTROL (IRP, lock)", "DEVICE_CONTROL (IRP)", "WRITE (IRP, cached)"} <= set(found)


@ABOVE
@pytest.mark.driver_options("legacy", options=["complete-reads"])
def test_what_a_legacy_filter_above_completes_no_minifilter_sees(lab):
    io = lab.io(READ)

    assert io.step("read", "f").status == NtStatus.ACCESS_DENIED
    assert lab.trace.all(IrpMajor.CREATE, name="data.bin")
    assert lab.trace.none(IrpMajor.READ, name="data.bin")


@pytest.mark.parametrize(
    "place", [pytest.param(None, marks=ABOVE, id="above"), pytest.param(None, marks=BETWEEN, id="between")]
)
@pytest.mark.driver_options("legacy", options=["pend-reads"])
@pytest.mark.rule("IRQL-04")
def test_below_a_legacy_filter_that_pends_the_pre_callback_runs_in_a_worker_thread(lab, place):
    io = lab.io(READ)

    below = lab.trace.only(IrpMajor.READ, name="data.bin", filter="below").of("below")
    assert below.pre.thread != io.step("read", "f").thread
    assert below.pre.requestor_thread == io.step("read", "f").thread
    assert io.step("read", "f").status == NtStatus.SUCCESS


@BETWEEN
@pytest.mark.driver_options("legacy", options=["resend-reads"])
@others_may_open_it
def test_a_read_that_a_legacy_filter_sends_again_is_one_above_it_and_two_below(lab):
    io = lab.io(READ)

    assert len(lab.trace.all(IrpMajor.READ, name="data.bin", filter="above")) == 1
    assert len(lab.trace.all(IrpMajor.READ, name="data.bin", filter="below")) == 2
    assert len(told(lab, "completion")) == 2
    assert (io.step("read", "f").status, io.step("read", "f").information) == (NtStatus.SUCCESS, 4096)


@BETWEEN
@pytest.mark.driver_options("legacy", options=["no-fast-io"])
def test_fast_io_that_a_legacy_filter_refuses_comes_again_as_an_irp(lab):
    io = lab.io(r"""
        open   f V:\data.bin access=read
        read   f offset=0 length=4096
        read   f offset=0 length=4096
    """)

    lab.witness(
        lab.trace.all(IrpMajor.READ, name="data.bin", filter="above", cls=OperationClass.FAST_IO), "fast I/O was tried"
    )
    assert lab.trace.all(IrpMajor.READ, name="data.bin", filter="below", cls=OperationClass.FAST_IO) == []
    assert len(lab.trace.all(IrpMajor.READ, name="data.bin", filter="below", cls=OperationClass.IRP)) == 2
    assert [step.status for step in io.steps] == [NtStatus.SUCCESS] * len(io.steps)
