"""Work items: what is refused, where routines run, and who waits for them."""

import pytest

from harness.nt import NtStatus

pytestmark = pytest.mark.stack("observer@above", "services", "observer@below")


@pytest.mark.rule("PEND-WI-02")
def test_fast_io_is_not_handed_to_a_deferred_work_item(lab, said, volume):
    volume.file("deferred.bin", length=4096, fill=0x5A)

    io = lab.io(r"""
        open  f V:\deferred.bin access=read
        read  f offset=0 length=512
        read  f offset=1024 length=512
    """)

    lines = said()
    lab.witness(bool(lines), "a read came as fast I/O")
    assert set(lines) <= {"deferred for fast I/O: FLT_NOT_SAFE_TO_POST_OPERATION"}
    assert [step.status for step in io.all("read")] == [NtStatus.SUCCESS] * 2


@pytest.mark.rule("PEND-WI-03")
def test_nothing_is_posted_while_the_thread_has_a_top_level_irp(lab, said, volume):
    volume.file("top-level.bin", length=4096, fill=0x5A)

    lab.io(r"""
        open  f V:\top-level.bin access=read options=noncached
        read  f offset=0 length=512
    """)

    assert said() == ["deferred with a top-level IRP: FLT_NOT_SAFE_TO_POST_OPERATION"]


@pytest.mark.rule("PEND-WI-04")
def test_nothing_is_posted_for_an_instance_that_is_torn_down(lab, said, volume):
    volume.file("late.bin", length=4096, fill=0x5A)

    io = lab.io(r"""
        open    f V:\late.bin access=read options=noncached
        spawn   reading read f offset=0 length=512
        sleep   50
        detach  services
        wait    reading
    """)

    assert "deferred in teardown: FLT_DELETING_OBJECT" in said()
    assert "the deferred routine ran" not in said()
    assert io.step("wait", "reading").status == NtStatus.SUCCESS


@pytest.mark.rule("PEND-WI-07")
def test_a_generic_work_item_is_tied_to_no_operation_and_can_be_used_again(lab, said, volume):
    volume.file("generic.bin", length=512, fill=0x5A)

    lab.io(r"open f V:\generic.bin access=read")

    assert said() == ["generic run 1: IRQL 0, system process", "generic run 2: IRQL 0, system process"]


@pytest.mark.rule("PEND-WI-07", "UNL-04")
def test_unregistering_tears_every_instance_down_and_waits_for_work_items(lab, said, volume):
    volume.file("slow.bin", length=512, fill=0x5A)

    io = lab.io(r"""
        open    f V:\slow.bin access=read
        close   f
        unload  fltlab-services
    """)

    assert io.steps[-1].status == NtStatus.SUCCESS
    lines = said()
    assert lines[0].startswith("teardown starts")
    assert "generic in unload: FLT_DELETING_OBJECT" in lines
    assert lines.count("teardown is complete") == 1
    assert lines.index("the slow item is done") < lines.index("unregistered")
