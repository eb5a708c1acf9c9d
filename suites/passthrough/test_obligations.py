"""What a minifilter owes for an operation that it passes on."""

import pytest

from harness.nt import IrpMajor, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-PASS-02")
def test_a_filter_that_wants_no_post_leaves_no_completion_context(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").no_callback()

    lab.io(READ)

    assert lab.trace.only(IrpMajor.READ, name="data.bin").of("passthrough").pre.completion_context == 0


@pytest.mark.rule("PRE-PASS-07")
def test_a_pre_callback_returns_one_of_the_defined_statuses(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").no_callback()

    io = lab.io(READ)

    returned = [event.returned for event in lab.trace.events if event.filter == "passthrough" and event.is_pre]
    assert returned
    assert [status for status in returned if not isinstance(status, PreopStatus)] == []
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("NAME-02")
def test_a_name_that_a_filter_took_is_given_back_once(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback()

    io = lab.io(READ + "    close  f\n")

    assert lab.trace.only(IrpMajor.READ, name="data.bin").of("passthrough").pre.name == "data.bin"
    assert io.step("close", "f").status == NtStatus.SUCCESS
