"""Callback data queues: what goes in, what comes out, and under whose lock."""

import pytest

from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "services", "observer@below")

READ = r"""
    open  f V:\queue.bin access=read options=noncached
    read  f offset=0 length=512
"""


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("queue.bin", length=512, fill=0x5A)


def of(lines, *starts):
    return [line for line in lines if line.partition(":")[0] in starts]


@pytest.mark.rule("PEND-CBDQ-01")
def test_a_queue_that_is_disabled_takes_nothing_and_keeps_what_it_has(lab, said):
    lab.io(READ)

    assert of(said(), "insert when disabled", "remove") == [
        "insert when disabled: FLT_CBDQ_DISABLED",
        "remove: the operation",
    ]
    assert len(of(said(), "insert when enabled")) == 1
    assert "insert when enabled: FLT_CBDQ_DISABLED" not in said()


@pytest.mark.rule("PEND-CBDQ-02")
def test_insert_remove_and_peek_are_called_with_the_lock_held(lab, said):
    lab.io(READ)

    assert of(said(), "calls without the lock") == ["calls without the lock: 0"]


@pytest.mark.rule("PEND-CBDQ-04")
def test_an_empty_queue_hands_out_nothing(lab, said):
    lab.io(READ)

    assert of(said(), "remove next", "remove next again") == [
        "remove next: the operation",
        "remove next again: nothing",
    ]


@pytest.mark.rule("PEND-CBDQ-05")
def test_an_operation_is_removed_by_its_context_once(lab, said):
    lab.io(READ)

    assert of(said(), "remove", "remove again") == ["remove: the operation", "remove again: nothing"]


@pytest.mark.rule("PEND-CBDQ-06")
def test_insert_answers_what_the_filters_insert_routine_has_answered(lab, said):
    lab.io(READ)

    assert [line.split(": ")[1] for line in of(said(), "insert", "insert when enabled")] == ["0x00000321"] * 2


@pytest.mark.rule("PEND-CBDQ-07")
def test_only_irps_without_a_cancel_routine_go_through_the_queue(lab, said):
    io = lab.io(READ)

    read = lab.trace.only(IrpMajor.READ, name="queue.bin")
    assert read.path == ["above.pre", "below.pre", "below.post", "above.post"]
    assert "remove next: the operation" in said()
    assert io.step("read", "f").status == NtStatus.SUCCESS


@pytest.mark.rule("PEND-CAN-01")
def test_a_cancel_routine_is_called_without_a_lock_when_the_request_is_cancelled(lab, said, volume):
    volume.file("canceled.bin", length=512, fill=0x5A)

    io = lab.io(r"""
        open    f V:\canceled.bin access=read options=noncached,overlapped
        read    f offset=0 length=512 async=reading
        cancel  f async=reading
        wait    reading
    """)

    assert said() == ["the cancel routine is called, the lock free"]
    read = lab.trace.only(IrpMajor.READ, name="canceled.bin")
    assert read.path == ["above.pre", "above.post"]
    assert io.step("wait", "reading").status == NtStatus.CANCELLED
