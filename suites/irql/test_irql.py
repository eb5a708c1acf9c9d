"""The IRQL and the thread in which callbacks are called."""

import pytest

from harness.nt import IrpMajor, Irql, OperationClass

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")

WORKLOAD = r"""
    open        f V:\data.bin access=rw
    read        f offset=0 length=4096
    read        f offset=4096 length=512
    write       f offset=0 length=4096 fill=0x11
    flush       f
    query       f class=standard
    directory   d pattern=*.bin
    section     s f protect=readwrite
    map         v s
    peek        v offset=65536 length=16
    poke        v offset=65536 fill=0x22
    unmap       v
    close-section s
    close       f
    open        n V:\data.bin access=rw options=noncached,overlapped
    read        n offset=0 length=65536 async=one
    write       n offset=65536 length=65536 fill=0x33 async=two
    wait        one
    wait        two
    close       n
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=262144, fill=0x5A)


def own_events(lab, io):
    """What came of fltprobe's own operations: what the rest of Windows does on V: is not what is judged."""
    return [event for event in lab.trace.events if io.process_id in {event.process, event.requestor_process}]


@pytest.mark.rule("IRQL-01")
def test_pre_callbacks_are_never_called_above_apc_level(lab):
    io = lab.io("    open d V:\\ access=list options=directory\n" + WORKLOAD)

    pres = [event for event in own_events(lab, io) if event.is_pre]
    assert {IrpMajor.CREATE, IrpMajor.READ, IrpMajor.WRITE} <= {event.major for event in pres}
    assert [event for event in pres if event.irql > Irql.APC] == []


@pytest.mark.rule("IRQL-02")
@pytest.mark.disturbed_by("a minifilter of Windows above that pends")
@pytest.mark.parametrize("major", [IrpMajor.CREATE, IrpMajor.READ, IrpMajor.WRITE], ids=lambda major: major.spelling)
def test_the_usual_pre_callback_is_called_at_passive_level_in_the_requesters_thread(lab, major):
    io = lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        read   f offset=0 length=4096
        write  f offset=0 length=4096 fill=0x11
    """)

    operation = lab.trace.only(major, name="data.bin")
    requester = io.steps[-1].thread
    for label in ("above", "passthrough", "below"):
        assert operation.of(label).pre.thread == requester
        assert operation.of(label).pre.irql == Irql.PASSIVE


@pytest.mark.rule("IRQL-05")
def test_post_callbacks_are_never_called_above_dispatch_level(lab):
    lab.passthrough.when(None, name="data.bin").with_callback()

    io = lab.io("    open d V:\\ access=list options=directory\n" + WORKLOAD)

    posts = [event for event in own_events(lab, io) if event.is_post]
    assert posts
    assert [event for event in posts if event.irql > Irql.DISPATCH] == []
    unsynchronized = [
        operation.of("passthrough")
        for operation in lab.trace.all(name="data.bin", cls=OperationClass.IRP)
        if "passthrough.post" in operation.path and operation.major != IrpMajor.CREATE
    ]
    lab.witness(any(own.post.irql == Irql.DISPATCH for own in unsynchronized), "a post was called at DISPATCH_LEVEL")
    lab.witness(any(own.post.thread != own.pre.thread for own in unsynchronized), "a post was called in another thread")


@pytest.mark.rule("IRQL-06")
@pytest.mark.disturbed_by("a minifilter of Windows above that pends")
@pytest.mark.parametrize("disposition", ["open", "create", "overwrite-if"])
def test_a_post_create_is_called_at_passive_level_in_the_thread_of_the_create(lab, disposition):
    name = f"{disposition}.bin" if disposition == "create" else "data.bin"
    lab.passthrough.when(IrpMajor.CREATE, name=name).with_callback()

    io = lab.io(rf"open f V:\{name} access=rw disposition={disposition}")

    create = lab.trace.only(IrpMajor.CREATE, name=name)
    for label in ("above", "passthrough", "below"):
        own = create.of(label)
        assert own.post.irql == Irql.PASSIVE
        assert own.post.thread == own.pre.thread == io.step("open", "f").thread


@pytest.mark.rule("IRQL-06")
@pytest.mark.disturbed_by("a minifilter of Windows above that pends")
@pytest.mark.stack("observer@above", "pending", "observer@below")
def test_above_a_pended_create_the_post_still_comes_in_the_creating_thread(lab):
    lab.pending.when(IrpMajor.CREATE, name="data.bin").pend("thread", resume="with-callback")

    io = lab.io(r"open f V:\data.bin access=read")

    create = lab.trace.only(IrpMajor.CREATE, name="data.bin")
    assert create.of("above").post.irql == Irql.PASSIVE
    assert create.of("above").post.thread == create.of("above").pre.thread == io.step("open", "f").thread
