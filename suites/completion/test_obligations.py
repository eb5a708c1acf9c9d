"""What a minifilter owes when it completes an operation, and when it does not."""

import pytest

from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "completion", "observer@below")

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-COMP-05", "PRE-COMP-06")
@pytest.mark.parametrize("status", [NtStatus.SUCCESS, NtStatus.ACCESS_DENIED], ids=lambda status: status.name)
def test_the_status_of_a_completed_operation_is_a_final_one(lab, status):
    lab.completion.when(IrpMajor.READ, name="data.bin").complete(status)

    io = lab.io(READ)

    stored = lab.trace.only(IrpMajor.READ, name="data.bin").of("completion").pre.status
    assert stored == status
    assert stored not in {NtStatus.PENDING, NtStatus.FLT_DISALLOW_FAST_IO}
    assert io.step("read", "f").status == status


@pytest.mark.rule("PRE-COMP-08")
def test_a_filter_that_completes_leaves_no_completion_context(lab):
    lab.completion.when(IrpMajor.READ, name="data.bin").complete(NtStatus.ACCESS_DENIED)

    lab.io(READ)

    assert lab.trace.only(IrpMajor.READ, name="data.bin").of("completion").pre.completion_context == 0


@pytest.mark.rule("PRE-COMP-11")
def test_a_filter_that_completes_fills_both_members_of_io_status(lab):
    lab.completion.when(IrpMajor.READ, name="data.bin").complete(NtStatus.SUCCESS, information=512)

    io = lab.io(READ)

    own = lab.trace.only(IrpMajor.READ, name="data.bin").of("completion").pre
    assert (own.status, own.information) == (NtStatus.SUCCESS, 512)
    assert (io.step("read", "f").status, io.step("read", "f").information) == (NtStatus.SUCCESS, 512)


@pytest.mark.rule("PRE-COMP-12")
@pytest.mark.stack("observer@above", "passthrough", "observer@below")
def test_a_filter_that_passes_an_operation_on_leaves_io_status_alone(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback()

    lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    above, below = read.of("above").pre, read.of("below").pre
    assert (below.status, below.information) == (above.status, above.information)


@pytest.mark.rule("PRE-COMP-10")
@pytest.mark.stack("observer@above", "pending", "observer@below")
def test_a_pended_operation_is_completed_later_with_its_final_io_status(lab):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend(resume="complete", status=NtStatus.SUCCESS, information=512)

    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path == ["above.pre", "pending.pre", "pending.resume", "above.post"]
    assert (read.of("above").post.status, read.of("above").post.information) == (NtStatus.SUCCESS, 512)
    assert (io.step("read", "f").status, io.step("read", "f").information) == (NtStatus.SUCCESS, 512)


@pytest.mark.rule("PRE-COMP-13")
def test_a_section_is_refused_for_want_of_resources_only(lab):
    lab.completion.when(IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION, name="data.bin").complete(
        NtStatus.INSUFFICIENT_RESOURCES
    )

    io = lab.io(r"""
        open     f V:\data.bin access=read
        section  s f protect=read
    """)

    acquire = lab.trace.all(IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION, filter="completion")
    assert {item.of("completion").pre.status for item in acquire} == {NtStatus.INSUFFICIENT_RESOURCES}
    assert io.step("section", "s").status == NtStatus.INSUFFICIENT_RESOURCES
