"""Pended operations and pended completions, by every mechanism."""

import pytest

from harness.minifilter.events import Mechanism, Phase
from harness.nt import IrpMajor, Irql, NtStatus, PostopStatus, PreopStatus
from tests.minifilter.driver_code import (
    CONTEXT,
    HOLD,
    PEND,
    POST_HOLD,
    POST_PEND,
    POST_STATUS,
    RACE,
    READ,
    RESUME_COMPLETE,
    RESUME_NO_CALLBACK,
    RESUME_WITH_CALLBACK,
    WITH_CALLBACK,
    Load,
    every_mechanism,
    phases,
)
from tests.minifilter.stub_filter_manager import FAST_IO, FS_FILTER, Stub, load

__all__ = ["load"]

# Pending


def resumes(stub: Stub) -> list[tuple[int, ...]]:
    return [call[1:] for call in stub.calls if call[0] == "resume"]


@every_mechanism
def test_a_pended_operation_is_resumed_once_as_the_rule_says(load: Load, mechanism: Mechanism):
    stub = load("pending")
    file = stub.file(r"\a")
    cases = {
        RESUME_NO_CALLBACK: (PreopStatus.SUCCESS_NO_CALLBACK, 0, 0),
        RESUME_WITH_CALLBACK: (PreopStatus.SUCCESS_WITH_CALLBACK, 0x60D, 0),
        RESUME_COMPLETE: (PreopStatus.COMPLETE, 0, 0xC0000022),
    }
    for resume, (status, context, io_status) in cases.items():
        stub.send(1)
        stub.calls.clear()
        more = {"status": 0xC0000022, "context": 0x60D, "flags": CONTEXT}
        assert stub.rule(READ, action=PEND, mechanism=mechanism, resume=resume, **more) == NtStatus.SUCCESS

        assert stub.pre(data := stub.data(file, READ)) == (PreopStatus.PENDING, 0)
        stub.kernel.settle()

        assert resumes(stub) == [(data, status, context, io_status)]
        assert phases(stub) == [Phase.PRE, Phase.WORK_ROUTINE, Phase.RESUME_PRE]
        assert (stub.query()["pended"], stub.query()["resumed"], stub.query()["outstanding"]) == (1, 1, 0)


@every_mechanism
def test_a_held_operation_waits_for_release(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, flags=HOLD)
    stub.pre(stub.data(stub.file(r"\a"), READ))
    stub.kernel.settle()
    assert (stub.query()["held"], resumes(stub)) == (1, [])

    assert stub.release() == 1

    assert len(resumes(stub)) == 1
    assert stub.query()["held"] == 0


@every_mechanism
def test_the_resume_can_be_made_to_win_the_race(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, flags=RACE)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.PENDING, 0)

    assert len(resumes(stub)) == 1  # before anything else was let run


@every_mechanism
def test_teardown_lets_everything_go_and_nothing_new_is_pended(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, resume=RESUME_WITH_CALLBACK, flags=HOLD)
    file = stub.file(r"\a")
    held = [stub.data(file, READ) for _ in range(2)]
    for data in held:
        stub.pre(data)
    stub.kernel.settle()
    assert resumes(stub) == []

    stub.lifecycle("teardown-start", 1)

    assert sorted(data for data, *_ in resumes(stub)) == sorted(held)
    assert {status for _, status, *_ in resumes(stub)} == {PreopStatus.SUCCESS_NO_CALLBACK}
    assert stub.pre(stub.data(file, READ))[0] == PreopStatus.SUCCESS_WITH_CALLBACK
    assert stub.query()["outstanding"] == 0
    assert stub.queue_enabled is False


@pytest.mark.parametrize("kind", [FAST_IO, FS_FILTER], ids=["fast I/O", "FSFilter"])
def test_only_irp_based_operations_are_pended(load: Load, kind: int):
    stub = load("pending")
    stub.rule(READ, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), READ, kind=kind))[0] == PreopStatus.SUCCESS_WITH_CALLBACK


def test_an_operation_that_the_queue_refuses_is_passed_on_and_the_event_says_why(load: Load):
    stub = load("pending")
    stub.refuse_to_queue = NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    stub.rule(READ, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.SUCCESS_NO_CALLBACK, 0)

    event = stub.events()[-1]
    assert (event.phase, event.returned) == (Phase.PRE, PreopStatus.SUCCESS_NO_CALLBACK)
    assert event.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    assert (stub.query()["pended"], stub.query()["outstanding"]) == (0, 0)


@every_mechanism
def test_the_requesters_buffer_is_locked_before_another_process_carries_on(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism)

    stub.pre(data := stub.data(stub.file(r"\a"), READ))
    stub.kernel.settle()

    done = [call for call in stub.calls if call[0] in {"lock", "resume"}]
    assert [call[:2] for call in done] == [("lock", data), ("resume", data)]


def test_an_operation_whose_buffer_cannot_be_locked_is_not_pended_and_the_event_says_why(load: Load):
    stub = load("pending")
    stub.refuse_to_lock = NtStatus.ACCESS_VIOLATION
    stub.rule(READ, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.SUCCESS_NO_CALLBACK, 0)

    event = stub.events()[-1]
    assert (event.phase, event.returned) == (Phase.PRE, PreopStatus.SUCCESS_NO_CALLBACK)
    assert event.detail == NtStatus.ACCESS_VIOLATION
    assert (stub.query()["pended"], stub.query()["outstanding"]) == (0, 0)


@pytest.mark.parametrize(
    ("code", "status"),
    [(0x90028, PreopStatus.PENDING), (0x90073, PreopStatus.SUCCESS_NO_CALLBACK)],
    ids=["buffered", "neither"],
)
def test_a_control_code_whose_buffers_nobody_can_lock_is_not_pended(load: Load, code: int, status: PreopStatus):
    stub = load("pending")
    stub.rule(IrpMajor.FILE_SYSTEM_CONTROL, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), IrpMajor.FILE_SYSTEM_CONTROL, offset=code))[0] == status
    assert "lock" not in [call[0] for call in stub.calls]


def test_a_cancelled_operation_in_the_queue_is_completed_as_cancelled(load: Load):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=Mechanism.QUEUE, flags=HOLD)
    stub.pre(data := stub.data(stub.file(r"\a"), READ))

    stub.cancel(data)

    assert resumes(stub) == [(data, PreopStatus.COMPLETE, 0, NtStatus.CANCELLED)]
    assert phases(stub)[-2:] == [Phase.PRE, Phase.CANCEL]
    assert stub.query()["outstanding"] == 0


@pytest.mark.parametrize("mechanism", [Mechanism.DEFERRED, Mechanism.GENERIC, Mechanism.THREAD])
def test_a_pended_completion_comes_back_with_its_status(load: Load, mechanism: Mechanism):
    stub = load("pending")
    post = {"post": POST_PEND, "post_mechanism": mechanism, "post_status": 0xC0000022}
    stub.rule(READ, action=WITH_CALLBACK, flags=POST_STATUS | POST_HOLD, **post)
    stub.pre(data := stub.data(stub.file(r"\a"), READ))

    assert stub.post(data, irql=Irql.DISPATCH) == PostopStatus.MORE_PROCESSING_REQUIRED
    stub.kernel.settle()
    assert stub.query()["held"] == 1
    stub.release()

    assert [call for call in stub.calls if call[0] == "resume-post"] == [("resume-post", data, 0xC0000022)]
    assert phases(stub)[-4:] == [Phase.PRE, Phase.POST, Phase.WORK_ROUTINE, Phase.RESUME_POST]


def test_a_draining_completion_is_not_pended(load: Load):
    stub = load("pending")
    stub.rule(READ, action=WITH_CALLBACK, post=POST_PEND)
    file = stub.file(r"\a")
    stub.pre(stub.data(file, READ))

    assert stub.post(stub.data(file, READ), flags=1) == PostopStatus.FINISHED_PROCESSING
