"""What a minifilter owes when it refuses fast I/O or an FSFilter operation."""

import pytest

from harness.nt import IrpMajor, NtStatus, OperationClass, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "fastio", "observer@below")

CACHED_READS = r"""
    open  f V:\data.bin access=read
    read  f offset=0 length=512
    read  f offset=1024 length=512
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-FIO-03")
def test_the_filter_leaves_the_status_of_disallowed_fast_io_to_the_filter_manager(lab):
    lab.fastio.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).disallow_fastio()

    lab.io(CACHED_READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)
    lab.witness(bool(reads), "a read came as fast I/O")
    for read in reads:
        assert read.of("fastio").pre.returned == PreopStatus.DISALLOW_FASTIO
        assert read.of("fastio").pre.status == read.of("above").pre.status
        assert read.of("above").post.status == NtStatus.FLT_DISALLOW_FAST_IO


@pytest.mark.rule("PRE-FIO-05")
def test_only_fast_io_is_disallowed_as_fast_io(lab):
    lab.fastio.when(IrpMajor.READ, name="data.bin", cls=OperationClass.IRP).disallow_fastio()

    io = lab.io(CACHED_READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.IRP)
    assert reads
    assert PreopStatus.DISALLOW_FASTIO not in {read.of("fastio").pre.returned for read in reads}
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2


@pytest.mark.rule("PRE-FIO-08")
def test_only_a_query_open_is_disallowed_as_an_fsfilter_operation(lab):
    lab.fastio.when(IrpMajor.READ, name="data.bin").disallow_fsfilter_io()

    io = lab.io(CACHED_READS)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert reads
    assert PreopStatus.DISALLOW_FSFILTER_IO not in {read.of("fastio").pre.returned for read in reads}
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2


@pytest.mark.rule("PRE-FIO-09")
def test_a_network_query_open_is_rejected_in_its_preoperation_callback(lab):
    lab.fastio.when(IrpMajor.NETWORK_QUERY_OPEN, name="data.bin").disallow_fastio()

    io = lab.io(r"query-path V:\data.bin")

    asked = lab.trace.all(IrpMajor.NETWORK_QUERY_OPEN)
    lab.witness(bool(asked), "a path was queried by IRP_MJ_NETWORK_QUERY_OPEN")
    for query in asked:
        assert query.path == ["above.pre", "fastio.pre", "above.post"]
        assert lab.trace.only(IrpMajor.CREATE, name="data.bin", filter="below")
    assert io.step("query-path").status == NtStatus.SUCCESS
