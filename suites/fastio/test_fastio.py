"""Fast I/O: what a minifilter may refuse, and what the I/O manager does then.

The first cached read of a handle is an IRP; later ones may come as fast I/O, which is the I/O manager's decision. A
test that needs fast I/O and sees none ends as not witnessed.
"""

import pytest

from harness.minifilter.operation_classes import OPERATIONS
from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "fastio", "observer@below")

CACHED_READS = r"""
    open  f V:\data.bin access=read
    read  f offset=0 length=512
    read  f offset=1024 length=512
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


def fast_reads(lab):
    """The fast I/O reads of the test; without any, nothing about fast I/O is witnessed."""
    reads = lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)
    lab.witness(bool(reads), "a read came as fast I/O")
    return reads


@pytest.mark.rule("PRE-FIO-01", "PRE-FIO-02")
def test_disallowed_fast_io_ends_at_the_filter(lab):
    lab.fastio.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).disallow_fastio()

    lab.io(CACHED_READS)

    for read in fast_reads(lab):
        assert read.of("fastio").pre.returned == PreopStatus.DISALLOW_FASTIO
        assert read.path == ["above.pre", "fastio.pre", "above.post"]


@pytest.mark.rule("PRE-FIO-04")
def test_disallowed_fast_io_is_sent_again_as_an_irp(lab):
    lab.fastio.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).disallow_fastio()

    io = lab.io(CACHED_READS)

    for read in fast_reads(lab):
        again = [
            other
            for other in lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.IRP)
            if other.offset == read.offset and other.begin > read.begin
        ]
        assert [other.length for other in again] == [read.length]
        assert again[0].of("below").post.status == NtStatus.SUCCESS
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2
    assert set(io.steps[-1].data) == {0x5A}


@pytest.mark.rule("PRE-FIO-04", "PRE-COMP-01")
@pytest.mark.stack("observer@above", "completion", "observer@below")
def test_completed_fast_io_is_finished(lab):
    lab.completion.when(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO).complete(NtStatus.END_OF_FILE)

    lab.io(CACHED_READS)

    for read in fast_reads(lab):
        assert read.path == ["above.pre", "completion.pre", "above.post"]
        assert read.of("above").post.status == NtStatus.END_OF_FILE
        assert not [
            other
            for other in lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.IRP)
            if other.offset == read.offset and other.begin > read.begin
        ]


@pytest.mark.rule("IRQL-03")
def test_pre_callbacks_of_fast_io_and_fsfilter_operations_are_called_at_passive_level(lab):
    io = lab.io(r"""
        open        f V:\data.bin access=rw
        read        f offset=0 length=512
        read        f offset=1024 length=512
        write       f offset=0 length=512 fill=0x11
        query       f class=basic
        query       f class=standard
        section     s f protect=read
        map         v s protect=read
        peek        v offset=0 length=16
        unmap       v
        query-path  V:\data.bin
    """)

    pres = [
        event
        for event in lab.trace.events
        if event.is_pre
        and event.operation_class != OperationClass.IRP
        and io.process_id in {event.process, event.requestor_process}
    ]
    assert {event.irql for event in pres} <= {Irql.PASSIVE}
    seen = {event.operation_class for event in pres}
    lab.witness(OperationClass.FAST_IO in seen, "an operation came as fast I/O")
    lab.witness(OperationClass.FS_FILTER in seen, "an FSFilter operation came")


@pytest.mark.rule("PRE-FIO-06")
def test_every_operation_is_of_exactly_one_class(lab):
    lab.io(CACHED_READS + "    section  s f protect=read\n")

    classes = [event.operation_class for event in lab.trace.events if event.is_pre or event.is_post]
    assert set(classes) <= {OperationClass.IRP, OperationClass.FAST_IO, OperationClass.FS_FILTER}
    assert OperationClass.IRP in classes
    assert [event for event in lab.trace.events if event.is_pre and event.flags & 0b111 != event.operation_class] == []


@pytest.mark.rule("PRE-PASS-06")
def test_every_class_of_operation_may_be_passed_on(lab):
    io = lab.io(CACHED_READS + "    section  s f protect=read\n")

    for cls in (OperationClass.IRP, OperationClass.FAST_IO, OperationClass.FS_FILTER):
        shown = lab.trace.all(cls=cls, paging=None)
        lab.witness(bool(shown), f"an operation of class {cls.name} came")
        for operation in shown:
            if operation.of("fastio"):
                assert operation.of("below"), operation
    assert all(step.status == NtStatus.SUCCESS for step in io.steps)


@pytest.mark.rule("IRQL-07")
def test_the_post_of_fast_io_comes_in_the_thread_of_its_pre_at_apc_level_at_most(lab):
    lab.io(CACHED_READS)

    for read in fast_reads(lab):
        for label in ("above", "fastio", "below"):
            own = read.of(label)
            assert own.post.thread == own.pre.thread
            assert own.post.irql <= Irql.APC


@pytest.mark.rule("PRE-FIO-07")
def test_a_read_comes_as_an_irp_or_as_fast_io_to_the_same_callback(lab):
    io = lab.io(CACHED_READS + "    read  f offset=2048 length=512\n")

    asked = lab.trace.all(IrpMajor.READ, name="data.bin", filter="fastio")
    assert {read.offset for read in asked} == {0, 1024, 2048}  # one that fast I/O does not serve comes again
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 3
    assert asked[0].operation_class is OperationClass.IRP
    fast_reads(lab)


@pytest.mark.rule("PRE-FIO-07")
@pytest.mark.driver_options("above", operations=OPERATIONS)
@pytest.mark.driver_options("fastio", operations=OPERATIONS)
@pytest.mark.driver_options("below", operations=OPERATIONS)
@pytest.mark.parametrize(
    ("major", "step"),
    [
        pytest.param(IrpMajor.READ, "read f offset=1024 length=512", id="read"),
        pytest.param(IrpMajor.WRITE, "write f offset=1024 length=512 fill=0x11", id="write"),
        pytest.param(IrpMajor.DEVICE_CONTROL, "ioctl f code=0x4D0008 out=512", id="device control"),
        pytest.param(IrpMajor.LOCK_CONTROL, "lock f offset=0 length=16", id="lock"),
        pytest.param(IrpMajor.QUERY_INFORMATION, "query f class=basic", id="basic"),
        pytest.param(IrpMajor.QUERY_INFORMATION, "query f class=standard", id="standard"),
        pytest.param(IrpMajor.QUERY_INFORMATION, "query f class=network-open", id="network open"),
    ],
)
def test_what_fast_io_does_not_serve_comes_to_the_same_callback_as_an_irp(lab, major, step):
    script = f"""
        open   f V:\\data.bin access=rw
        read   f offset=0 length=512
        write  f offset=0 length=512 fill=0x5A
        {step}
    """
    way = ["above.pre", "fastio.pre", "below.pre", "below.post", "fastio.post", "above.post"]
    plain = lab.io(script)
    either = made_by(lab, plain.steps[-1], major)
    assert [operation.path for operation in either] == [way] * len(either) != []

    lab.fastio.when(major, name="data.bin", cls=OperationClass.FAST_IO).disallow_fastio()
    refused = lab.io(script)
    irp = made_by(lab, refused.steps[-1], major)[-1]

    assert (irp.operation_class, irp.path) == (OperationClass.IRP, way)
    assert (refused.steps[-1].status, refused.steps[-1].information) == (
        plain.steps[-1].status,
        plain.steps[-1].information,
    )
    lab.witness(either[0].operation_class is OperationClass.FAST_IO, f"{step} came as fast I/O")


def made_by(lab, step, major):
    """The operations on the file that a step has made."""
    return [made for made in lab.trace.all(major, name="data.bin") if made.first.performance_count >= step.begin]
