"""Changing the parameters of an operation on its way down."""

import pytest

from harness.nt import CallbackDataFlags, IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")

READ_THE_BEGINNING = r"""
    open   f V:\data.bin access=rw options=noncached
    write  f offset=4096 length=4096 fill=0x77
    read   f offset=0 length=4096
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PARM-01")
def test_a_changed_and_marked_parameter_is_what_everybody_below_gets(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(offset=4096)

    io = lab.io(READ_THE_BEGINNING)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("above").pre.offset == 0
    assert read.of("below").pre.offset == 4096
    assert read.of("below").post.offset == 4096
    assert io.step("read", "f").status == NtStatus.SUCCESS
    assert set(io.step("read", "f").data) == {0x77}


@pytest.mark.rule("PARM-03")
def test_a_filter_marks_the_data_it_has_changed(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(offset=4096)

    lab.io(READ_THE_BEGINNING)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("passthrough").pre.flags & CallbackDataFlags.DIRTY
    assert read.of("below").pre.offset == 4096


@pytest.mark.rule("PARM-04")
def test_a_filter_leaves_the_kind_of_an_operation_as_it_is(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback()

    io = lab.io(READ_THE_BEGINNING)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path == ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    assert {event.major for event in read.events} == {IrpMajor.READ}
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("PARM-02")
def test_every_filter_gets_in_its_post_the_parameters_that_its_pre_was_given(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(offset=4096)

    lab.io(READ_THE_BEGINNING)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("below").post.offset == read.of("below").pre.offset == 4096
    assert read.of("passthrough").post.offset == 0
    assert read.of("above").post.offset == read.of("above").pre.offset == 0
