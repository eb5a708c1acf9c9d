"""I/O that a minifilter starts itself."""

import pytest

from harness.nt import CallbackDataFlags, IrpMajor, NtStatus, OperationClass

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")


@pytest.mark.rule("IO-01")
def test_what_a_filter_reads_itself_is_shown_only_to_the_filters_below(lab, volume):
    volume.file("data.bin", length=8192, fill=0x5A)
    lab.passthrough.when(IrpMajor.READ, name="data.bin", max=1).with_callback(read_own=True)

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert len([read for read in reads if read.of("above")]) == 1
    assert len([read for read in reads if "passthrough.pre" in read.path]) == 1
    generated = [read for read in reads if "passthrough.pre" not in read.path and read.of("below")]
    assert generated
    assert all(read.of("below").pre.flags & CallbackDataFlags.GENERATED_IO for read in generated)
    assert io.step("read", "f").status == NtStatus.SUCCESS
    assert set(io.step("read", "f").data) == {0x5A}


@pytest.mark.rule("IO-02")
def test_what_a_filter_starts_itself_is_an_irp_marked_as_generated(lab, volume):
    volume.file("data.bin", length=8192, fill=0x5A)
    lab.passthrough.when(IrpMajor.READ, name="data.bin", max=1).with_callback(read_own=True)

    lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin", filter="below")
    own = [read.of("below").pre for read in reads if not read.of("passthrough")]
    requested = [read.of("below").pre for read in reads if read.of("passthrough")]
    assert own
    assert {(event.generated, event.operation_class) for event in own} == {(True, OperationClass.IRP)}
    assert {event.generated for event in requested} == {False}
