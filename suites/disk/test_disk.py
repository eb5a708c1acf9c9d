"""Hardware in the loop: what the disk below the volume does while operations are pended, and what posts see of it."""

import pytest

from harness.fleet.disk import FAILURES, GONE, NO_ROOM
from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "pending", "observer@below")

POSTS = ("below", "pending", "above")
HELD = r"""
    open         f V:\data.bin access=rw options=noncached,overlapped
    {step} async=doing
    expect-held  pending count=1
    release      pending
    wait         doing
"""
STEPS = {
    IrpMajor.READ: "read f offset=0 length=4096",
    IrpMajor.WRITE: "write f offset=0 length=4096 fill=0x11",
}
both = pytest.mark.parametrize("major", STEPS, ids=lambda major: major.spelling)


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("data.bin", length=65536, fill=0x5A)


def posts_see(operation, end, statuses):
    """All posts see what the requester gets: one of these statuses, and no byte."""
    assert end.status in statuses
    seen = {label: (operation.of(label).post.status, operation.of(label).post.information) for label in POSTS}
    assert seen == dict.fromkeys(POSTS, (end.status, 0))


@both
@pytest.mark.rule("PRE-PASS-03", "PRE-PEND-01", "POST-GEN-03")
def test_an_error_of_the_disk_comes_up_through_a_filter_that_has_pended(lab, disk, major):
    lab.pending.when(major, name="data.bin").pend("queue", resume="with-callback", hold=True)

    with disk.fails(major.spelling):
        io = lab.io(HELD.format(step=STEPS[major]))

    posts_see(lab.trace.only(major, name="data.bin"), io.step("wait", "doing"), FAILURES)


@both
@pytest.mark.rule("POST-PEND-01", "POST-GEN-03")
def test_an_error_of_the_disk_comes_up_through_a_filter_that_has_pended_completion(lab, disk, major):
    lab.pending.when(major, name="data.bin").with_callback(post="pend")

    with disk.fails(major.spelling):
        io = lab.io(f"""
            open  f V:\\data.bin access=rw options=noncached,overlapped
            {STEPS[major]} async=doing
            wait  doing
        """)

    posts_see(lab.trace.only(major, name="data.bin"), io.step("wait", "doing"), FAILURES)


@pytest.mark.rule("PRE-PASS-03")
def test_a_page_that_cannot_be_read_raises_and_its_post_sees_why(lab, disk):
    lab.pending.when(IrpMajor.READ, name="data.bin", paging=True).with_callback()

    with disk.fails("read"):
        io = lab.io(r"""
            open     f V:\data.bin access=read
            section  s f protect=read
            map      v s protect=read
            peek     v offset=32768 length=16
        """)

    assert io.step("peek", "v").status == NtStatus.IN_PAGE_ERROR
    pages = lab.trace.all(IrpMajor.READ, name="data.bin", paging=True, process="any")
    assert pages
    for page in pages:
        assert page.of("below").post.status == page.of("above").post.status
        assert page.of("above").post.status in FAILURES


@pytest.mark.rule("PRE-PEND-02", "POST-GEN-03")
def test_what_failed_once_succeeds_when_it_is_asked_again(lab, disk):
    lab.pending.when(IrpMajor.WRITE, name="data.bin").pend("generic", resume="with-callback")
    write = f"""
        open  f V:\\data.bin access=rw options=noncached
        {STEPS[IrpMajor.WRITE]}
    """
    with disk.fails("write"):
        failed = lab.io(write)
    io = lab.io(f"{write}\n read f offset=0 length=4096")

    assert failed.step("write", "f").status in FAILURES
    assert io.step("write", "f").status == NtStatus.SUCCESS
    assert lab.trace.only(IrpMajor.WRITE, name="data.bin").of("above").post.status == NtStatus.SUCCESS
    assert set(io.step("read", "f").data) == {0x11}


@pytest.mark.rule("PRE-PASS-03")
def test_an_error_of_the_disk_is_one_after_others_too(lab, disk):
    """A file system that gives up after the first error would answer by itself, and of its own."""
    with disk.fails("write"):
        io = lab.io(rf"""
            open  g V:\other.bin access=rw disposition=create
            write g offset=0 length=4096
            flush g
            open  f V:\data.bin access=rw options=noncached
            {STEPS[IrpMajor.WRITE]}
        """)

    posts_see(lab.trace.only(IrpMajor.WRITE, name="data.bin"), io.step("write", "f"), FAILURES)


@pytest.mark.rule("PRE-PEND-01", "PRE-PEND-02")
def test_on_a_slow_disk_every_operation_comes_back_once(lab, disk):
    lab.pending.when(IrpMajor.READ, name="data.bin").pend("thread", resume="with-callback")
    numbers = range(6)

    with disk.is_slow(50):
        io = lab.io(
            "\n".join(
                (
                    r"open f V:\data.bin access=read options=noncached,overlapped",
                    *(f"read f offset={4096 * n} length=4096 async=r{n}" for n in numbers),
                    *(f"wait r{n}" for n in numbers),
                )
            )
        )

    assert {io.step("wait", f"r{n}").status for n in numbers} == {NtStatus.SUCCESS}
    reads = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert [read.path.count("pending.post") for read in reads] == [1 for _ in numbers]
    assert [read.path.count("above.post") for read in reads] == [1 for _ in numbers]


@pytest.mark.rule("PRE-PASS-03", "PRE-PEND-01")
def test_a_write_that_has_no_room_comes_up_through_a_filter_that_has_pended(lab, disk):
    lab.pending.when(IrpMajor.WRITE, name="data.bin").pend("queue", resume="with-callback", hold=True)

    with disk.is_full():
        io = lab.io(HELD.format(step="write f offset=65536 length=65536 fill=0x11"))

    posts_see(lab.trace.only(IrpMajor.WRITE, name="data.bin"), io.step("wait", "doing"), NO_ROOM)


@pytest.mark.rule("PRE-PEND-01", "PRE-PEND-02")
def test_an_operation_is_pended_while_its_disk_is_taken_away(lab, disk):
    lab.io("sleep 1")  # makes the file
    reading = lab.beside(rf"""
        deadline     3600000
        filter       pending
        rule         pending major=read name=data.bin do=pend mechanism=queue resume=with-callback hold=yes
        open         f V:\data.bin access=read options=noncached,overlapped
        {STEPS[IrpMajor.READ]} async=doing
        expect-held  pending count=1
        await        gone timeout=3600000
        release      pending
        wait         doing
    """)

    disk.is_removed()
    lab.beside("signal gone").result()

    result = reading.result()
    end = result.step("wait", "doing")
    assert (end.status in GONE, end.information) == (True, 0)
    events = result.filters["pending"].events
    posts = [event for event in events if event.is_post and event.major == IrpMajor.READ]
    assert [event.status for event in posts] == [end.status]
