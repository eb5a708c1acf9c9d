"""What a minifilter is shown follows from its FLT_OPERATION_REGISTRATION array, and from nothing else."""

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")

USE_A_FILE = r"""
    open   f V:\data.bin access=rw options=noncached
    write  f offset=0 length=4096 fill=0x11
    read   f offset=0 length=4096
    close  f
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("REG-01")
@pytest.mark.driver_options("passthrough", operations=["read pre"])
def test_a_registered_preoperation_callback_is_called(lab):
    lab.io(USE_A_FILE)

    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="passthrough").of("passthrough").pre
    assert {event.major for event in lab.trace.events if event.filter == "passthrough"} == {IrpMajor.READ}


@pytest.mark.rule("REG-01", "REG-02")
@pytest.mark.driver_options("passthrough", operations=["create pre post"])
def test_an_operation_nobody_registered_for_bypasses_the_filter(lab):
    lab.io(USE_A_FILE)

    shown = {event.major for event in lab.trace.events if event.filter == "passthrough"}
    assert shown == {IrpMajor.CREATE}
    for major in (IrpMajor.CREATE, IrpMajor.WRITE, IrpMajor.READ, IrpMajor.CLEANUP):
        assert lab.trace.all(major, name="data.bin", filter="below"), major


@pytest.mark.rule("REG-03")
@pytest.mark.driver_options("passthrough", operations=["write pre"])
def test_a_preoperation_callback_needs_no_postoperation_callback(lab):
    io = lab.io(USE_A_FILE)

    write = lab.trace.only(IrpMajor.WRITE, name="data.bin")
    assert write.path == ["above.pre", "passthrough.pre", "below.pre", "below.post", "above.post"]
    assert io.step("write", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("REG-04")
@pytest.mark.driver_options("passthrough", operations=["read post"])
def test_a_postoperation_callback_needs_no_preoperation_callback(lab):
    io = lab.io(USE_A_FILE)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path == ["above.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    assert read.of("passthrough").post.status == io.step("read", "f").status == NtStatus.SUCCESS
    assert read.of("passthrough").post.information == 4096


@pytest.mark.rule("REG-05")
@pytest.mark.driver_options("passthrough", operations=["create pre", "read pre post", "write pre"])
def test_preoperation_callbacks_are_the_entry_points_on_the_way_down(lab):
    lab.io(USE_A_FILE)

    for major in (IrpMajor.CREATE, IrpMajor.WRITE, IrpMajor.READ):
        operation = lab.trace.only(major, name="data.bin")
        assert operation.path[:3] == ["above.pre", "passthrough.pre", "below.pre"]
        assert operation.of("passthrough").pre.status == operation.of("above").pre.status


@pytest.mark.rule("REG-06", "PRE-PASS-04")
def test_a_preoperation_callback_gets_the_data_the_objects_and_a_slot_for_its_context(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(context=0x5107)

    lab.io(USE_A_FILE)

    read = lab.trace.only(IrpMajor.READ, name="data.bin").of("passthrough")
    write = lab.trace.only(IrpMajor.WRITE, name="data.bin").of("passthrough")
    assert read.pre.callback_data
    assert read.pre.instance
    assert read.pre.file_object
    assert read.pre.returned == PreopStatus.SUCCESS_WITH_CALLBACK
    assert read.post.completion_context == read.pre.completion_context == 0x5107
    assert (read.pre.instance, read.pre.file_object) == (write.pre.instance, write.pre.file_object)
    assert read.pre.instance != lab.trace.only(IrpMajor.READ, name="data.bin").of("above").pre.instance


@pytest.mark.rule("REG-07")
@pytest.mark.driver_options("passthrough", operations=["read pre post", "write pre post"])
def test_every_type_of_operation_is_registered_once(lab):
    lab.io(USE_A_FILE)

    for major in (IrpMajor.READ, IrpMajor.WRITE):
        path = lab.trace.only(major, name="data.bin").path
        assert (path.count("passthrough.pre"), path.count("passthrough.post")) == (1, 1)


@pytest.mark.rule("REG-12")
def test_a_filter_registers_for_nothing_that_file_systems_never_receive(lab):
    lab.io(USE_A_FILE)

    shown = {event.major for event in lab.trace.events if event.filter == "passthrough"}
    assert IrpMajor.READ in shown
    assert shown & {IrpMajor.POWER, IrpMajor.DEVICE_CHANGE} == set()


@pytest.mark.rule("REG-09")
@pytest.mark.driver_options("passthrough", operations=["read pre post skip-cached-io"])
def test_a_filter_that_skips_cached_io_is_shown_only_what_is_not_cached(lab):
    lab.io(r"""
        open  cached V:\data.bin access=read
        read  cached offset=0 length=512
        read  cached offset=1024 length=512
        close cached
        open  direct V:\data.bin access=read options=noncached
        read  direct offset=4096 length=4096
    """)

    asked = [read for read in lab.trace.all(IrpMajor.READ, name="data.bin") if not read.first.paging]
    shown = [(read.offset, read.length) for read in asked if read.of("passthrough")]
    assert shown == [(4096, 4096)]
    assert {read.offset for read in asked} == {0, 1024, 4096}


@pytest.mark.rule("ORD-04")
@pytest.mark.stack("observer@above#370000.5", "passthrough#99999.9", "observer@below#040500.30")
def test_altitudes_are_numbers(lab):
    lab.io(USE_A_FILE)

    path = lab.trace.only(IrpMajor.READ, name="data.bin").path
    assert path == ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]


READ_EVERY_WAY = r"""
    open     cached V:\data.bin access=read
    read     cached offset=0 length=512
    read     cached offset=512 length=512
    close    cached
    open     direct V:\data.bin access=read options=noncached
    read     direct offset=4096 length=4096
    close    direct
    open     f V:\mapped.bin access=read
    section  s f protect=read
    map      v s protect=read
    peek     v offset=0 length=16
"""


def reads(lab, label, name="data.bin"):
    """Offset and length of each read of a file that one minifilter was shown, but for paging I/O."""
    return [(read.offset, read.length) for read in lab.trace.all(IrpMajor.READ, name=name) if read.of(label)]


@pytest.mark.rule("REG-08")
@pytest.mark.driver_options("passthrough", operations=["read pre post skip-paging-io"])
def test_a_filter_that_skips_paging_io_is_shown_all_reads_but_those_of_the_pager(lab, volume):
    volume.file("mapped.bin", length=4096, fill=0x5A)

    io = lab.io(READ_EVERY_WAY)

    paging = [read for read in lab.trace.all(IrpMajor.READ, paging=True, process="any") if read.of("below")]
    assert [read for read in paging if read.of("passthrough")] == []
    assert reads(lab, "passthrough") == reads(lab, "below") == [(0, 512), (512, 512), (4096, 4096)]
    assert set(io.step("peek", "v").data) == {0x5A}
    lab.witness(bool(paging), "the pager read")


@pytest.mark.rule("REG-10")
@pytest.mark.driver_options("passthrough", operations=["read pre post skip-non-dasd-io"])
def test_a_filter_that_skips_what_is_not_dasd_io_is_shown_reads_of_the_volume_only(lab):
    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
        open  v V: access=read
        read  v offset=0 length=4096
    """)

    shown = [read for read in lab.trace.all(IrpMajor.READ, paging=None) if read.of("passthrough")]
    assert [(read.name, read.offset, read.length) for read in shown] == [("", 0, 4096)]
    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="below")
    assert io.step("read", "v").status == NtStatus.SUCCESS


@pytest.mark.rule("REG-11")
@pytest.mark.driver_options(
    "passthrough",
    operations=["read pre post skip-non-cached-non-paging-io", "create pre post skip-non-cached-non-paging-io"],
)
def test_a_filter_that_skips_non_cached_io_is_shown_cached_and_paging_reads(lab, volume):
    volume.file("mapped.bin", length=4096, fill=0x5A)

    lab.io(READ_EVERY_WAY)

    assert reads(lab, "passthrough") == [(0, 512), (512, 512)]
    assert reads(lab, "below") == [(0, 512), (512, 512), (4096, 4096)]
    assert len(lab.trace.all(IrpMajor.CREATE, name="data.bin", filter="passthrough")) == 2  # it means nothing there
    paging = [read for read in lab.trace.all(IrpMajor.READ, paging=True, process="any") if read.of("below")]
    assert all(read.of("passthrough") for read in paging)
    lab.witness(bool(paging), "the pager read")


@pytest.mark.rule("ATT-01")
def test_the_instance_setup_callback_decides_whether_an_instance_is_attached(lab):
    # The test minifilters refuse the system's volume.
    io = lab.io(r"""
        attach  passthrough volume=C:
        open    f C:\refused.txt access=write disposition=open-if options=delete-on-close
        open    g V:\data.bin access=read
    """)

    assert io.step("attach", "passthrough").status != NtStatus.SUCCESS
    (refused,) = [event for event in lab.trace.events if event.phase is Phase.INSTANCE_SETUP]
    assert refused.returned == NtStatus.FLT_DO_NOT_ATTACH
    assert lab.trace.none(name="refused.txt", filter="passthrough")
    assert lab.trace.only(IrpMajor.CREATE, name="data.bin", filter="passthrough")


@pytest.mark.rule("REG-14")
def test_a_filter_that_registers_with_its_version_is_loaded_and_called(lab):
    lab.io(USE_A_FILE)

    assert lab.trace.only(IrpMajor.READ, name="data.bin", filter="passthrough")
