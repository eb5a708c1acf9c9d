"""Operations that a minifilter lets pass: which callbacks are called, in which order, with which status."""

import pytest

from harness.nt import IrpMajor, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")

DOWN = ["above.pre", "passthrough.pre", "below.pre"]
UP = ["below.post", "passthrough.post", "above.post"]


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-PASS-01")
@pytest.mark.parametrize("major", [IrpMajor.CREATE, IrpMajor.READ, IrpMajor.WRITE], ids=lambda major: major.spelling)
def test_no_callback_leaves_out_the_filters_own_post(lab, major):
    lab.passthrough.when(major, name="data.bin").no_callback()

    io = lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        read   f offset=0 length=4096
        write  f offset=4096 length=4096 fill=0x11
    """)

    operation = lab.trace.only(major, name="data.bin")
    assert operation.of("passthrough").pre.returned == PreopStatus.SUCCESS_NO_CALLBACK
    assert operation.path == [*DOWN, "below.post", "above.post"]
    assert [step.status for step in io.steps] == [NtStatus.SUCCESS] * len(io.steps)


@pytest.mark.rule("PRE-PASS-03", "POST-GEN-03")
def test_with_callback_shows_the_final_status_before_the_requester_sees_it(lab):
    lab.passthrough.when(IrpMajor.CREATE, name="missing.txt").with_callback()

    io = lab.io(r"open missing V:\missing.txt access=read disposition=open")

    create = lab.trace.only(IrpMajor.CREATE, name="missing.txt")
    assert create.path == [*DOWN, *UP]
    assert create.of("passthrough").post.status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert io.step("open", "missing").status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert create.of("passthrough").post.performance_count <= io.step("open", "missing").end


@pytest.mark.rule("PRE-PASS-03")
def test_with_callback_shows_how_much_was_read(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback()

    lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=4096 length=65536
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin").of("passthrough")
    assert (read.post.status, read.post.information) == (NtStatus.SUCCESS, 4096)


@pytest.mark.rule("ORD-01", "ORD-02")
def test_pre_runs_from_the_highest_altitude_down_and_post_back_up(lab):
    lab.passthrough.when(None, name="data.bin").with_callback()

    lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        read   f offset=0 length=4096
        write  f offset=0 length=4096 fill=0x22
        query  f class=standard
        close  f
    """)

    for major in (IrpMajor.CREATE, IrpMajor.READ, IrpMajor.WRITE, IrpMajor.CLEANUP):
        assert lab.trace.only(major, name="data.bin").path == [*DOWN, *UP], major


@pytest.mark.rule("PRE-PASS-04")
def test_each_post_gets_the_context_its_own_pre_left(lab, volume):
    for number, name in enumerate(("a.bin", "b.bin", "c.bin"), start=1):
        volume.file(name, length=4096, fill=number)
    for label in ("above", "passthrough", "below"):
        handle = lab.filter(label)
        handle.when(IrpMajor.READ, name="a.bin").with_callback(context=0xA000 + ord(label[0]))
        handle.when(IrpMajor.READ, name="b.bin").with_callback(context=0xB000 + ord(label[0]))
        handle.when(IrpMajor.READ, name="c.bin").with_callback()

    lab.io(r"""
        open  a V:\a.bin access=read options=noncached,overlapped
        open  b V:\b.bin access=read options=noncached,overlapped
        open  c V:\c.bin access=read options=noncached,overlapped
        read  a offset=0 length=4096 async=first
        read  b offset=0 length=4096 async=second
        read  c offset=0 length=4096 async=third
        wait  first
        wait  second
        wait  third
    """)

    for label in ("above", "passthrough", "below"):
        contexts = {
            name: lab.trace.only(IrpMajor.READ, name=name).of(label).post.completion_context
            for name in ("a.bin", "b.bin", "c.bin")
        }
        assert contexts == {"a.bin": 0xA000 + ord(label[0]), "b.bin": 0xB000 + ord(label[0]), "c.bin": 0}


@pytest.mark.rule("PRE-PASS-05")
@pytest.mark.driver_options("passthrough", operations=["read pre", "write pre post"])
def test_a_filter_without_a_post_does_not_ask_for_one(lab):
    lab.passthrough.when(None, name="data.bin").with_callback()

    lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        read   f offset=0 length=4096
        write  f offset=0 length=4096 fill=0x22
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin").of("passthrough")
    write = lab.trace.only(IrpMajor.WRITE, name="data.bin").of("passthrough")
    assert read.pre.returned == PreopStatus.SUCCESS_NO_CALLBACK
    assert write.pre.returned == PreopStatus.SUCCESS_WITH_CALLBACK
    assert write.post


@pytest.mark.rule("PRE-CTL-01")
def test_nobody_below_is_shown_an_operation_while_a_pre_callback_works_on_it(lab):
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback(hold=True)

    io = lab.io(r"""
        open         f V:\data.bin access=read options=noncached
        spawn        reading read f offset=0 length=4096
        expect-held  passthrough count=1
        release      passthrough
        wait         reading
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.path == [*DOWN, *UP]
    assert read.of("below").pre.performance_count >= io.step("release").begin
    assert read.of("above").post.performance_count >= io.step("release").begin


GOES_ON = [
    pytest.param("passthrough", "no_callback", (), [*DOWN[2:], "below.post", "above.post"], id="no-callback"),
    pytest.param("passthrough", "with_callback", (), [*DOWN[2:], *UP], id="with-callback"),
    pytest.param(
        "synchronize",
        "synchronize",
        (),
        ["below.pre", "below.post", "synchronize.post", "above.post"],
        id="synchronize",
        marks=pytest.mark.stack("observer@above", "synchronize", "observer@below"),
    ),
    pytest.param(
        "completion",
        "complete",
        (NtStatus.ACCESS_DENIED,),
        ["above.post"],
        id="complete",
        marks=pytest.mark.stack("observer@above", "completion", "observer@below"),
    ),
]


@pytest.mark.rule("PRE-CTL-02")
@pytest.mark.parametrize(("label", "answer", "arguments", "then"), GOES_ON)
def test_any_status_but_pending_ends_the_filters_control_at_once(lab, label, answer, arguments, then):
    getattr(lab.filter(label).when(IrpMajor.READ, name="data.bin"), answer)(*arguments)

    io = lab.io(r"""
        open   f V:\data.bin access=read options=noncached
        spawn  reading read f offset=0 length=4096
        wait   reading timeout=9000
    """)

    assert io.step("wait", "reading").status != NtStatus.TIMEOUT
    assert lab.trace.only(IrpMajor.READ, name="data.bin").path == ["above.pre", f"{label}.pre", *then]


@pytest.mark.rule("PRE-PASS-08")
@pytest.mark.stack("observer@above", "passthrough", "pending", "observer@below")
def test_overlapped_reads_come_to_their_end_though_no_filter_touches_the_irp(lab, volume):
    volume.file("data.bin", length=8192, fill=0x5A)
    lab.passthrough.when(IrpMajor.READ, name="data.bin").with_callback()
    lab.pending.when(IrpMajor.READ, name="data.bin", skip=1).pend("deferred", resume="with-callback")

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached,overlapped
        read  f offset=0 length=4096 async=passed
        wait  passed
        read  f offset=4096 length=4096 async=pended
        wait  pended
    """)

    assert io.all("read")[1].status == NtStatus.PENDING
    ends = [io.step("wait", name) for name in ("passed", "pended")]
    assert [(end.status, end.information, set(end.data)) for end in ends] == [(NtStatus.SUCCESS, 4096, {0x5A})] * 2
