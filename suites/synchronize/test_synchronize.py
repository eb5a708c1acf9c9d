"""FLT_PREOP_SYNCHRONIZE: the postoperation callback comes back to the thread of the preoperation callback."""

import pytest

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "synchronize", "observer@below")

READ = r"""
    open  f V:\data.bin access=read options=noncached
    read  f offset=0 length=4096
"""
BOTH = """
    read   f offset=0 length=4096
    write  f offset=0 length=4096 fill=0x11
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=8192, fill=0x5A)


@pytest.mark.rule("PRE-SYNC-01", "PRE-SYNC-02")
@pytest.mark.parametrize("major", [IrpMajor.READ, IrpMajor.WRITE], ids=lambda major: major.spelling)
def test_a_synchronized_operation_comes_back_to_its_thread(lab, major):
    lab.synchronize.when(major, name="data.bin").synchronize()

    # More than one, for a file system may complete now and then in the thread that asks.
    lab.io("    open  f V:\\data.bin access=rw options=noncached\n" + BOTH * 4)

    operations = lab.trace.all(major, name="data.bin")
    assert len(operations) == 4
    for operation in operations:
        own = operation.of("synchronize")
        assert own.pre.returned == PreopStatus.SYNCHRONIZE
        assert own.post.thread == own.pre.thread
        assert own.post.irql <= Irql.APC
        assert operation.path == [
            "above.pre",
            "synchronize.pre",
            "below.pre",
            "below.post",
            "synchronize.post",
            "above.post",
        ]
    lab.witness(
        any(operation.of("below").post.thread != operation.of("synchronize").pre.thread for operation in operations),
        "an operation was completed in another thread below",
    )


@pytest.mark.rule("PRE-SYNC-02")
def test_a_synchronized_post_is_called_at_apc_level_at_most_wherever_the_operation_was_completed(lab):
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize()

    lab.io(READ + "    read  f offset=4096 length=4096\n" * 8)

    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert len(reads) == 9
    assert max(read.of("synchronize").post.irql for read in reads) <= Irql.APC
    lab.witness(
        any(read.of("below").post.irql == Irql.DISPATCH for read in reads),
        "a read was completed below at DISPATCH_LEVEL",
    )


@pytest.mark.rule("PRE-SYNC-03", "PRE-PASS-04")
def test_each_thread_finds_the_state_that_its_own_pre_left(lab, volume):
    volume.file("other.bin", length=4096, fill=0x33)
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize(context=0xDA7A)
    lab.synchronize.when(IrpMajor.READ, name="other.bin").synchronize(context=0x07E2)

    lab.io(r"""
        open   f V:\data.bin access=read options=noncached
        open   g V:\other.bin access=read options=noncached
        spawn  one read f offset=0 length=4096
        spawn  two read g offset=0 length=4096
        wait   one
        wait   two
    """)

    # A thread that has ended may have given its id to the next one, so the ids are not told apart.
    for name, context in (("data.bin", 0xDA7A), ("other.bin", 0x07E2)):
        own = lab.trace.only(IrpMajor.READ, name=name).of("synchronize")
        assert own.post.thread == own.pre.thread
        assert own.post.completion_context == context


@pytest.mark.rule("PRE-SYNC-04")
@pytest.mark.disturbed_by("a callback that takes longer than 20 ms to return")
@pytest.mark.stack("observer@above", "pending", "synchronize", "observer@below")
def test_the_thread_of_the_pre_need_not_be_the_requesters(lab):
    # The resume comes late, since in a race with the return of PENDING the first thread might go on with it.
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback", delay=20)
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize()

    io = lab.io(READ)

    own = lab.trace.only(IrpMajor.READ, name="data.bin").of("synchronize")
    assert own.pre.thread != io.step("read", "f").thread
    assert own.post.thread == own.pre.thread
    assert own.post.irql <= Irql.APC


@pytest.mark.rule("PRE-SYNC-05")
def test_synchronize_is_with_callback_for_what_is_not_an_irp(lab):
    lab.synchronize.when(IrpMajor.READ, name="data.bin").synchronize(context=0x5F)

    io = lab.io(r"""
        open  f V:\data.bin access=read
        read  f offset=0 length=512
        read  f offset=512 length=512
        read  f offset=1024 length=512
    """)

    fast = [
        read
        for read in lab.trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.FAST_IO)
        if read.of("synchronize")
    ]
    for read in fast:
        assert read.of("synchronize").pre.returned == PreopStatus.SYNCHRONIZE
        assert read.of("synchronize").post.completion_context == 0x5F
        assert read.of("below").pre
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 3
    lab.witness(bool(fast), "a read came as fast I/O")


@pytest.mark.rule("PRE-SYNC-05")
def test_a_synchronized_section_acquire_gets_its_post(lab):
    lab.synchronize.when(IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION, name="data.bin").synchronize(context=0x5E)

    io = lab.io(r"""
        open     f V:\data.bin access=read
        section  s f protect=read
    """)

    acquires = lab.trace.all(IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION, name="data.bin")
    for acquire in acquires:
        assert acquire.of("synchronize").post.completion_context == 0x5E
    assert io.step("section", "s").status == NtStatus.SUCCESS
    lab.witness(bool(acquires), "the file was acquired for the section")
